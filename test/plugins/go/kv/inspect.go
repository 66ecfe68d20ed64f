package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"example.com/kvplugins/kvtest"
)

func (*store) Inspect(context.Context, *kvtest.InspectRequest) (*kvtest.InspectResponse, error) {
	directory, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return &kvtest.InspectResponse{
		Arguments:        texts(os.Args[1:]),
		Environment:      environment(),
		WorkingDirectory: directory,
		Pid:              int64(os.Getpid()),
		User:             userName(),
		StdinIsDevNull:   stdinIsDevNull(),
	}, nil
}

func (*store) Crash(_ context.Context, request *kvtest.CrashRequest) (*kvtest.CrashResponse, error) {
	os.Exit(int(request.GetExitCode()))
	return nil, nil
}

func (*store) Log(_ context.Context, request *kvtest.LogRequest) (*kvtest.LogResponse, error) {
	for _, line := range request.GetLines() {
		if _, err := fmt.Fprintln(realStderr, line); err != nil {
			return nil, err
		}
	}
	return &kvtest.LogResponse{}, nil
}

func environment() map[string]string {
	variables := map[string]string{}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		variables[text(name)] = text(value)
	}
	return variables
}

// userName falls back to the number where the user has no name.
func userName() string {
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return strconv.Itoa(os.Getuid())
}

func stdinIsDevNull() bool {
	stdin, err := os.Stdin.Stat()
	if err != nil {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && os.SameFile(stdin, null)
}

// texts is text for each of them.
func texts(values []string) []string {
	result := make([]string, len(values))
	for i, value := range values {
		result[i] = text(value)
	}
	return result
}

// text makes any bytes fit for a string field, which has to be UTF-8.
func text(value string) string {
	return strings.ToValidUTF8(value, "\uFFFD")
}
