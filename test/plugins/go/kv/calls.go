package main

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

const shutdownMethod = "/plugin.GRPCController/Shutdown"

// grpcServer is go-plugin's default server with a guard before each call.
func (b behaviour) grpcServer(options []grpc.ServerOption) *grpc.Server {
	guard := &guard{ending: b.ending, without: b.without}
	return plugin.DefaultGRPCServer(append(options,
		grpc.ChainUnaryInterceptor(guard.unary),
		grpc.ChainStreamInterceptor(guard.stream),
	))
}

// guard sees each call before the service does.
type guard struct {
	ending
	without serviceList
	calls   atomic.Int64
}

func (g *guard) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.admit(info.FullMethod); err != nil {
		return nil, err
	}
	if info.FullMethod == shutdownMethod {
		time.Sleep(g.slowShutdown)
		if g.ignoreShutdown {
			return &emptypb.Empty{}, nil
		}
	}
	return handle(ctx, request)
}

func (g *guard) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := g.admit(info.FullMethod); err != nil {
		return err
	}
	return handle(service, stream)
}

// admit fails as gRPC does for services that are not there, and ends the process at the call of -crash-at-call.
func (g *guard) admit(method string) error {
	for _, prefix := range g.without {
		if strings.HasPrefix(method, prefix) {
			return status.Errorf(codes.Unimplemented, "unknown service %s", strings.Split(method, "/")[1])
		}
	}
	if strings.HasPrefix(method, "/kvtest.") && g.calls.Add(1) == g.crashAtCall {
		os.Exit(g.crashCode)
	}
	return nil
}
