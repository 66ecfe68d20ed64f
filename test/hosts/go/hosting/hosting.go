// Package hosting is what the hosts have in common: the plugin is started as any program is, and its command is what follows
// the flags.
package hosting

import (
	"flag"
	"fmt"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// Options are the flags that every host has.
type Options struct {
	autoMTLS bool
	mux      bool
}

// Register adds the flags. flag.Parse is for the host to call.
func (o *Options) Register() {
	flag.BoolVar(&o.autoMTLS, "automtls", false, "protect the connections by AutoMTLS")
	flag.BoolVar(&o.mux, "mux", false, "ask for a broker that multiplexes")
}

// Config is for a plugin with this cookie.
func (o *Options) Config(cookieKey, cookieValue string, protocols ...plugin.Protocol) *plugin.ClientConfig {
	arguments := flag.Args()
	if len(arguments) == 0 {
		fmt.Fprintln(os.Stderr, "the plugin's command is missing")
		os.Exit(2)
	}
	return &plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   cookieKey,
			MagicCookieValue: cookieValue,
		},
		Cmd:                 exec.Command(arguments[0], arguments[1:]...),
		AllowedProtocols:    protocols,
		AutoMTLS:            o.autoMTLS,
		GRPCBrokerMultiplex: o.mux,
		Logger:              hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: os.Stderr}),
	}
}

// Run is the whole of a host: it starts the plugin, dispenses what has a name, uses it, and ends the plugin.
func Run[T any](config *plugin.ClientConfig, name string, use func(T) error) {
	client := plugin.NewClient(config)
	err := dispenseAndUse(client, name, use)
	client.Kill()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
	fmt.Println("exited:", client.Exited())
}

func dispenseAndUse[T any](client *plugin.Client, name string, use func(T) error) error {
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	if err := protocol.Ping(); err != nil {
		return err
	}
	raw, err := protocol.Dispense(name)
	if err != nil {
		return err
	}
	fmt.Println("version:", client.NegotiatedVersion())
	return use(raw.(T))
}
