package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/kvplugins/kvtest"
)

// store is the KV service.
type store struct {
	kvtest.UnimplementedKVServer
	broker  *plugin.GRPCBroker
	version int

	lock   sync.Mutex
	values map[string][]byte
}

func newStore(broker *plugin.GRPCBroker, version int) *store {
	return &store{broker: broker, version: version, values: map[string][]byte{}}
}

func (s *store) Version(context.Context, *kvtest.VersionRequest) (*kvtest.VersionResponse, error) {
	return &kvtest.VersionResponse{Version: int32(s.version)}, nil
}

func (s *store) Get(_ context.Context, request *kvtest.GetRequest) (*kvtest.GetResponse, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	value, found := s.values[request.GetKey()]
	if !found {
		return nil, status.Errorf(codes.NotFound, "there is no %q", request.GetKey())
	}
	return &kvtest.GetResponse{Value: value}, nil
}

func (s *store) Put(_ context.Context, request *kvtest.PutRequest) (*kvtest.PutResponse, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.values[request.GetKey()] = request.GetValue()
	return &kvtest.PutResponse{}, nil
}

func (*store) Echo(_ context.Context, request *kvtest.EchoRequest) (*kvtest.EchoResponse, error) {
	return &kvtest.EchoResponse{Payload: request.GetPayload()}, nil
}

func (*store) Count(request *kvtest.CountRequest, stream grpc.ServerStreamingServer[kvtest.CountResponse]) error {
	payload := make([]byte, request.GetSize())
	for n := int64(request.GetFrom()); n <= int64(request.GetTo()); n++ {
		if err := stream.Send(&kvtest.CountResponse{N: int32(n), Payload: payload}); err != nil {
			return err
		}
	}
	return nil
}

func (*store) Sum(stream grpc.ClientStreamingServer[kvtest.SumRequest, kvtest.SumResponse]) error {
	var total int64
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&kvtest.SumResponse{Total: total})
		}
		if err != nil {
			return err
		}
		total += request.GetN()
	}
}

func (*store) Chat(stream grpc.BidiStreamingServer[kvtest.ChatMessage, kvtest.ChatMessage]) error {
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(message); err != nil {
			return err
		}
	}
}
