package main

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"example.com/kvplugins/kvtest"
)

func (s *store) CallHost(ctx context.Context, request *kvtest.CallHostRequest) (*kvtest.CallHostResponse, error) {
	connection, err := s.dialHost(request)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	greeting, err := kvtest.NewHostServiceClient(connection).Greet(ctx, &kvtest.GreetRequest{Text: request.GetText()})
	if err != nil {
		return nil, err
	}
	return &kvtest.CallHostResponse{Text: greeting.GetText()}, nil
}

// dialHost goes through the broker if there is an id, otherwise to the address in plaintext, by the name of localhost.
func (s *store) dialHost(request *kvtest.CallHostRequest) (*grpc.ClientConn, error) {
	if id := request.GetBrokerId(); id != 0 {
		return s.broker.Dial(id)
	}
	return grpc.NewClient(
		"passthrough:localhost",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, request.GetNetwork(), request.GetAddress())
		}),
	)
}
