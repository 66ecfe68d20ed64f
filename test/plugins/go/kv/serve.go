package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"example.com/kvplugins/kvtest"
)

// serve is the plugin proper. It returns when the host says Shutdown.
func (b behaviour) serve() {
	if b.emptyCert {
		os.Unsetenv("PLUGIN_CLIENT_CERT")
	}
	if b.tcp || b.crashAfter >= 0 || b.flood > 0 {
		b.interceptHandshake()
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "KV_PLUGIN_COOKIE",
			MagicCookieValue: "kv",
		},
		Plugins:    plugin.PluginSet{"kv": &kvPlugin{}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}

// afterHandshake starts what happens while serving.
func (b behaviour) afterHandshake() {
	if b.flood > 0 {
		go flood(b.flood)
	}
	if b.crashAfter >= 0 {
		time.AfterFunc(b.crashAfter, func() { os.Exit(3) })
	}
}

// kvPlugin tells go-plugin which services there are.
type kvPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

// GRPCServer registers the services of this plugin.
func (*kvPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	kvtest.RegisterKVServer(server, newStore(broker))
	return nil
}

// GRPCClient is for hosts in Go, and this program is none.
func (*kvPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this program is a plugin only")
}
