// Command versionshost speaks several versions of the application's protocol, and lets the plugin choose.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"example.com/kvhosts/hosting"
	"example.com/kvplugins/kvtest"
)

// kvPlugin is the set for one version.
type kvPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	version int
}

func (kvPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this program is a host only")
}

func (p kvPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return versioned{p.version, kvtest.NewKVClient(conn)}, nil
}

type versioned struct {
	version int
	client  kvtest.KVClient
}

func main() {
	var options hosting.Options
	options.Register()
	versions := flag.String("versions", "2,3,5", "what to offer, with commas")
	flag.Parse()
	config := options.Config("KV_PLUGIN_COOKIE", "kv", plugin.ProtocolGRPC)
	config.VersionedPlugins = map[int]plugin.PluginSet{}
	for _, text := range strings.Split(*versions, ",") {
		version, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		config.VersionedPlugins[version] = plugin.PluginSet{"kv": kvPlugin{version: version}}
	}
	hosting.Run(config, "kv", func(kv versioned) error {
		said, err := kv.client.Version(context.Background(), &kvtest.VersionRequest{})
		fmt.Println("host:", kv.version, "plugin:", said.GetVersion())
		return err
	})
}
