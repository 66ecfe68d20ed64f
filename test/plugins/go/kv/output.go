package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"slices"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/kvplugins/kvtest"
)

// output is the Output service.
type output struct {
	kvtest.UnimplementedOutputServer
}

func (output) Print(_ context.Context, request *kvtest.PrintRequest) (*kvtest.PrintResponse, error) {
	// go-plugin has put pipes of its own into os.Stdout and os.Stderr by now.
	to := map[kvtest.Sink]io.Writer{
		kvtest.Sink_SINK_STDIO_STDOUT:   os.Stdout,
		kvtest.Sink_SINK_STDIO_STDERR:   os.Stderr,
		kvtest.Sink_SINK_PROCESS_STDOUT: realStdout,
		kvtest.Sink_SINK_PROCESS_STDERR: realStderr,
	}[request.GetSink()]
	if to == nil {
		return nil, status.Errorf(codes.InvalidArgument, "there is no sink %v", request.GetSink())
	}
	total := request.GetTotal()
	if total == 0 {
		total = uint64(len(request.GetData()))
	}
	if request.GetBackground() {
		go func() { _ = repeat(to, request.GetData(), total) }()
		return &kvtest.PrintResponse{}, nil
	}
	return &kvtest.PrintResponse{}, repeat(to, request.GetData(), total)
}

// repeat writes data again and again, up to so many bytes.
func repeat(to io.Writer, data []byte, total uint64) error {
	const blockLength = 64 * 1024
	if len(data) == 0 {
		return nil
	}
	block := bytes.Repeat(data, max(1, blockLength/len(data)))
	for total > 0 {
		part := block[:min(total, uint64(len(block)))]
		if _, err := to.Write(part); err != nil {
			return err
		}
		total -= uint64(len(part))
	}
	return nil
}

func (output) Hclog(_ context.Context, request *kvtest.HclogRequest) (*kvtest.HclogResponse, error) {
	level := hclog.LevelFromString(request.GetLevel())
	if level < hclog.Trace || level > hclog.Error {
		return nil, status.Errorf(codes.InvalidArgument, "there is no level %q", request.GetLevel())
	}
	pairs, err := pairsIn(request.GetFields())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "the fields are no JSON object: %v", err)
	}
	hclog.New(&hclog.LoggerOptions{
		Name:            request.GetName(),
		Level:           hclog.Trace,
		Output:          realStderr,
		JSONFormat:      !request.GetText(),
		IncludeLocation: request.GetCaller(),
	}).Log(level, request.GetMessage(), pairs...)
	return &kvtest.HclogResponse{}, nil
}

// pairsIn is key, value, key, value as in a JSON object, by key. Numbers keep their digits.
func pairsIn(object string) ([]any, error) {
	if object == "" {
		return nil, nil
	}
	fields := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader([]byte(object)))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	pairs := make([]any, 0, 2*len(keys))
	for _, key := range keys {
		pairs = append(pairs, key, fields[key])
	}
	return pairs, nil
}

// The package log took the stderr of the process before go-plugin changed os.Stderr.
func (output) Log(_ context.Context, request *kvtest.LogLinesRequest) (*kvtest.LogLinesResponse, error) {
	for _, line := range request.GetLines() {
		log.Println(line)
	}
	return &kvtest.LogLinesResponse{}, nil
}
