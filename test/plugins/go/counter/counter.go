package main

import (
	"context"
	"sync"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"example.com/kvplugins/countertest"
)

// counter is the Counter service.
type counter struct {
	countertest.UnimplementedCounterServer
	broker *plugin.GRPCBroker

	lock    sync.Mutex
	sums    map[string]int64
	helpers []*grpc.ClientConn
	echoes  []*grpc.Server
}

func (c *counter) Put(ctx context.Context, request *countertest.PutRequest) (*countertest.PutResponse, error) {
	helper, err := c.broker.Dial(request.GetAddServer())
	if err != nil {
		return nil, err
	}
	defer helper.Close()
	c.lock.Lock()
	defer c.lock.Unlock()
	key := request.GetKey()
	sum, err := add(ctx, helper, c.sums[key], request.GetValue())
	if err != nil {
		return nil, err
	}
	c.sums[key] = sum
	return &countertest.PutResponse{}, nil
}

func (c *counter) Get(_ context.Context, request *countertest.GetRequest) (*countertest.GetResponse, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	return &countertest.GetResponse{Value: c.sums[request.GetKey()]}, nil
}

// ServeEchoes returns before the listeners are there, so that announcements come before and after the host's dials.
func (c *counter) ServeEchoes(
	_ context.Context, request *countertest.ServeEchoesRequest,
) (*countertest.ServeEchoesResponse, error) {
	var ids []uint32
	for range request.GetCount() {
		id := c.broker.NextId()
		ids = append(ids, id)
		go c.serveEcho(id)
	}
	return &countertest.ServeEchoesResponse{Ids: ids}, nil
}

// serveEcho accepts the id again whenever DropEchoes has ended its server.
func (c *counter) serveEcho(id uint32) {
	for {
		c.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(options...)
			countertest.RegisterEchoServer(server, &echo{id: id})
			c.lock.Lock()
			defer c.lock.Unlock()
			c.echoes = append(c.echoes, server)
			return server
		})
	}
}

func (c *counter) DropEchoes(
	context.Context, *countertest.DropEchoesRequest,
) (*countertest.DropEchoesResponse, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	for _, server := range c.echoes {
		server.Stop()
	}
	c.echoes = nil
	return &countertest.DropEchoesResponse{}, nil
}

// Connect dials all ids at once, each in a goroutine of its own.
func (c *counter) Connect(
	_ context.Context, request *countertest.ConnectRequest,
) (*countertest.ConnectResponse, error) {
	ids := request.GetIds()
	helpers := make([]*grpc.ClientConn, len(ids))
	failures := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Add(1)
		go func() {
			defer all.Done()
			helpers[i], failures[i] = c.broker.Dial(id)
		}()
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.helpers = append(c.helpers, helpers...)
	return &countertest.ConnectResponse{}, nil
}

func (c *counter) SumAll(
	ctx context.Context, request *countertest.SumAllRequest,
) (*countertest.SumAllResponse, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	var sums []int64
	for _, helper := range c.helpers {
		sum, err := add(ctx, helper, request.GetA(), request.GetB())
		if err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	return &countertest.SumAllResponse{Sums: sums}, nil
}

// add has the host do the sum. A connection that was lost is made anew before the call.
func add(ctx context.Context, helper *grpc.ClientConn, a, b int64) (int64, error) {
	client := countertest.NewAddHelperClient(helper)
	answer, err := client.Sum(ctx, &countertest.SumRequest{A: a, B: b}, grpc.WaitForReady(true))
	return answer.GetSum(), err
}

// echo is the Echo service at one id.
type echo struct {
	countertest.UnimplementedEchoServer
	id uint32
}

func (e *echo) Say(_ context.Context, request *countertest.SayRequest) (*countertest.SayResponse, error) {
	return &countertest.SayResponse{Payload: request.GetPayload(), Id: e.id}, nil
}
