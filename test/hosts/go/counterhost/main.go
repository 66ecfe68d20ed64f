// Command counterhost uses the counter plugin, whose calls come back: it serves AddHelper through the broker, as in
// go-plugin's bidirectional example, and calls services that the plugin serves in the same way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"example.com/kvhosts/hosting"
	"example.com/kvplugins/countertest"
)

type counterPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (counterPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this program is a host only")
}

func (counterPlugin) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &counter{broker: broker, client: countertest.NewCounterClient(conn)}, nil
}

type counter struct {
	broker *plugin.GRPCBroker
	client countertest.CounterClient
}

// addHelper does the sums for the plugin.
type addHelper struct {
	countertest.UnimplementedAddHelperServer
}

func (addHelper) Sum(_ context.Context, request *countertest.SumRequest) (*countertest.SumResponse, error) {
	return &countertest.SumResponse{Sum: request.GetA() + request.GetB()}, nil
}

// put has the plugin add a value; for that it serves AddHelper anew, and stops afterwards.
func (c *counter) put(ctx context.Context, key string, value int64) error {
	var server *grpc.Server
	ready := make(chan struct{})
	id := c.broker.NextId()
	go c.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
		server = grpc.NewServer(options...)
		countertest.RegisterAddHelperServer(server, addHelper{})
		close(ready)
		return server
	})
	_, err := c.client.Put(ctx, &countertest.PutRequest{Key: key, Value: value, AddServer: id})
	<-ready
	server.Stop()
	return err
}

// echoBatch is how many services the plugin begins to serve at once: go-plugin forgets what was announced 5 s ago.
const echoBatch = 10

// allEchoes has the plugin serve so many services and calls all of them.
func (c *counter) allEchoes(ctx context.Context, count uint32) (int, error) {
	right := 0
	for left := count; left > 0; left -= min(left, echoBatch) {
		more, err := c.echoes(ctx, min(left, echoBatch))
		right += more
		if err != nil {
			return right, err
		}
	}
	return right, nil
}

func (c *counter) echoes(ctx context.Context, count uint32) (int, error) {
	answer, err := c.client.ServeEchoes(ctx, &countertest.ServeEchoesRequest{Count: count})
	if err != nil {
		return 0, err
	}
	right := 0
	for _, id := range answer.GetIds() {
		conn, err := c.broker.Dial(id)
		if err != nil {
			return right, fmt.Errorf("dialling %d: %w", id, err)
		}
		defer conn.Close()
		payload := []byte(fmt.Sprint("payload ", id))
		said, err := countertest.NewEchoClient(conn).Say(ctx, &countertest.SayRequest{Payload: payload})
		if err != nil {
			return right, fmt.Errorf("calling %d: %w", id, err)
		}
		if said.GetId() == id && string(said.GetPayload()) == string(payload) {
			right++
		}
	}
	return right, nil
}

func main() {
	var options hosting.Options
	options.Register()
	puts := flag.Int64("puts", 20, "how often the plugin calls back, each time at another listener")
	atOnce := flag.Int64("at-once", 1, "how many of them at the same time")
	echoes := flag.Uint("echoes", 5, "how many services the plugin serves")
	flag.Parse()
	config := options.Config("COUNTER_PLUGIN_COOKIE", "counter", plugin.ProtocolGRPC)
	config.Plugins = plugin.PluginSet{"counter": counterPlugin{}}
	hosting.Run(config, "counter", func(c *counter) error {
		ctx := context.Background()
		if err := c.putAll(ctx, *puts, *atOnce); err != nil {
			return err
		}
		sum, err := c.client.Get(ctx, &countertest.GetRequest{Key: "sum"})
		if err != nil {
			return err
		}
		fmt.Println("sum:", sum.GetValue())
		right, err := c.allEchoes(ctx, uint32(*echoes))
		fmt.Println("echoes:", right)
		return err
	})
}

func (c *counter) putAll(ctx context.Context, puts, atOnce int64) error {
	numbers := make(chan int64)
	failures := make([]error, atOnce)
	var all sync.WaitGroup
	for worker := range atOnce {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range numbers {
				if err := c.put(ctx, "sum", n); err != nil && failures[worker] == nil {
					failures[worker] = fmt.Errorf("putting %d: %w", n, err)
				}
			}
		}()
	}
	for n := range puts {
		numbers <- n + 1
	}
	close(numbers)
	all.Wait()
	return errors.Join(failures...)
}
