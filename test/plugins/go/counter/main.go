// Command counter is a go-plugin plugin for tests of the broker, in both directions and both modes: whether everything
// goes through one connection is for the host to say, as always.
package main

import (
	"context"
	"errors"
	"flag"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"example.com/kvplugins/countertest"
	"example.com/kvplugins/handshake"
	"example.com/kvplugins/owntls"
)

func main() {
	overTCP := flag.Bool("tcp", false, "serve on 127.0.0.1 instead of a unix socket; the broker's own are not changed")
	var ownTLS owntls.Files
	ownTLS.Register()
	flag.Parse()
	if *overTCP {
		handshake.Intercept(true, func() {})
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "COUNTER_PLUGIN_COOKIE",
			MagicCookieValue: "counter",
		},
		Plugins:     plugin.PluginSet{"counter": &counterPlugin{}},
		GRPCServer:  plugin.DefaultGRPCServer,
		TLSProvider: ownTLS.Provider(),
	})
}

// counterPlugin tells go-plugin which services there are.
type counterPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

// GRPCServer registers the services of this plugin.
func (*counterPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	countertest.RegisterCounterServer(server, &counter{broker: broker, sums: map[string]int64{}})
	return nil
}

// GRPCClient is for hosts in Go, and this program is none.
func (*counterPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this program is a plugin only")
}
