package main

import (
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-plugin"

	"example.com/kvplugins/handshake"
)

// serve is the plugin proper. It returns when the host says Shutdown.
func (b behaviour) serve() {
	defer b.cleanUp()
	if b.emptyCert {
		os.Unsetenv("PLUGIN_CLIENT_CERT")
	}
	config := b.config()
	if b.reattach {
		b.serveInTestMode(config)
		return
	}
	if b.tcp || b.crashAfter >= 0 || b.flood > 0 || b.closeOutput {
		handshake.Intercept(b.tcp, b.afterHandshake)
	}
	plugin.Serve(config)
}

// config is what go-plugin is told.
func (b behaviour) config() *plugin.ServeConfig {
	config := &plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			MagicCookieKey:   "KV_PLUGIN_COOKIE",
			MagicCookieValue: "kv",
		},
		TLSProvider: b.ownTLS.Provider(),
	}
	b.offerVersions(config)
	if !b.netRPC {
		config.GRPCServer = b.grpcServer
	}
	return config
}

// afterHandshake starts what happens while serving.
func (b behaviour) afterHandshake() {
	if b.closeOutput {
		closeOutput()
	}
	if b.flood > 0 {
		go flood(b.flood)
	}
	if b.crashAfter >= 0 {
		time.AfterFunc(b.crashAfter, func() { os.Exit(b.crashCode) })
	}
}

// cleanUp is what happens when serving is over.
func (b behaviour) cleanUp() {
	if b.slowEnd > 0 || b.stubborn {
		fmt.Fprintln(realStderr, "kv: cleaning up")
	}
	time.Sleep(b.slowEnd)
	if b.stubborn {
		stay()
	}
}
