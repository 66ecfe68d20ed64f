package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-plugin"

	"example.com/kvplugins/handshake"
)

// serveInTestMode serves as in a Go test: without cookie and handshake line, until stdin ends or a signal comes. A stdin
// that is /dev/null never ends.
func (b behaviour) serveInTestMode(config *plugin.ServeConfig) {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if b.ignoreTerm {
		signals = signals[:1]
	}
	ctx, end := signal.NotifyContext(context.Background(), signals...)
	defer end()
	if !stdinIsDevNull() {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			end()
		}()
	}
	ready := make(chan *plugin.ReattachConfig)
	config.Test = &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: ready, SyncStdio: b.syncStdio}
	go func() { b.announce(<-ready) }()
	plugin.Serve(config)
}

// reattachAddress is an address as hosts that reattach write it.
type reattachAddress struct {
	Network, String string
}

// announce prints the config on stdout, in one line, in the form that TF_REATTACH_PROVIDERS has for one provider.
func (b behaviour) announce(config *plugin.ReattachConfig) {
	address := reattachAddress{config.Addr.Network(), config.Addr.String()}
	if b.tcp {
		forwarded, err := handshake.ForwardTo(address.String)
		if err != nil {
			giveUp("cannot listen on TCP", err)
		}
		address = reattachAddress{"tcp", forwarded}
	}
	if err := json.NewEncoder(realStdout).Encode(map[string]any{
		"Protocol":        config.Protocol,
		"ProtocolVersion": config.ProtocolVersion,
		"Pid":             config.Pid,
		"Test":            config.Test,
		"Addr":            address,
	}); err != nil {
		giveUp("cannot print the ReattachConfig", err)
	}
	b.afterHandshake()
}
