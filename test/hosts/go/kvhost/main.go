// Command kvhost uses the key-value plugin over gRPC.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"example.com/kvhosts/hosting"
	"example.com/kvplugins/kvtest"
)

type kvPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (kvPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this program is a host only")
}

func (kvPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return kvtest.NewKVClient(conn), nil
}

func main() {
	var options hosting.Options
	options.Register()
	flag.Parse()
	config := options.Config("KV_PLUGIN_COOKIE", "kv", plugin.ProtocolGRPC)
	config.Plugins = plugin.PluginSet{"kv": kvPlugin{}}
	hosting.Run(config, "kv", use)
}

func use(kv kvtest.KVClient) error {
	ctx := context.Background()
	for n := range 20 {
		key := fmt.Sprintf("key %d", n)
		if _, err := kv.Put(ctx, &kvtest.PutRequest{Key: key, Value: []byte(fmt.Sprint(n * n))}); err != nil {
			return err
		}
		got, err := kv.Get(ctx, &kvtest.GetRequest{Key: key})
		if err != nil {
			return err
		}
		fmt.Printf("%s: %s\n", key, got.GetValue())
	}
	_, err := kv.Get(ctx, &kvtest.GetRequest{Key: "none"})
	fmt.Println("none:", status.Code(err), status.Convert(err).Message())
	sum, err := kv.Sum(ctx)
	if err != nil {
		return err
	}
	for n := range int64(1000) {
		if err := sum.Send(&kvtest.SumRequest{N: n}); err != nil {
			return err
		}
	}
	total, err := sum.CloseAndRecv()
	fmt.Println("sum:", total.GetTotal())
	return err
}
