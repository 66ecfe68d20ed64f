package main

import (
	"context"
	"errors"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"example.com/kvplugins/kvtest"
)

// offerVersions fills in the plugins, in the old way (one version), in the newer one (several), or in both.
func (b behaviour) offerVersions(config *plugin.ServeConfig) {
	single := b.protocolVersion
	if single == never && len(b.versions) == 0 {
		single = 1
	}
	if single != never {
		config.ProtocolVersion = uint(single)
		config.Plugins = pluginsOf(single)
	}
	if len(b.versions) == 0 {
		return
	}
	config.VersionedPlugins = map[int]plugin.PluginSet{}
	for _, version := range b.versions {
		config.VersionedPlugins[version] = pluginsOf(version)
	}
}

// pluginsOf is the set for one version of the protocol.
func pluginsOf(version int) plugin.PluginSet {
	return plugin.PluginSet{"kv": &kvPlugin{version: version}}
}

// kvPlugin tells go-plugin which services there are.
type kvPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	version int
}

// GRPCServer registers the services of this plugin.
func (p *kvPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	kvtest.RegisterKVServer(server, newStore(broker, p.version))
	kvtest.RegisterOutputServer(server, output{})
	kvtest.RegisterTroubleServer(server, trouble{})
	return nil
}

// GRPCClient is for hosts in Go, and this program is none.
func (*kvPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this program is a plugin only")
}

// Server is the service for net/rpc.
func (*kvPlugin) Server(*plugin.MuxBroker) (any, error) {
	return &netRPCStore{values: map[string][]byte{}}, nil
}
