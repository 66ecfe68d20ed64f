// Command hostlog tells how go-plugin's own host logs what a plugin writes to its stderr: it takes the bytes from its
// stdin and prints one JSON object for each call of the logger.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
)

func main() {
	size := flag.Int("buffer", 0, "PluginLogBufferSize in `bytes`")
	level := flag.String("level", "trace", "the logger's `level`")
	name := flag.String("name", "", "the runner's `name`")
	flag.Parse()

	output := json.NewEncoder(os.Stdout)
	stub := newStub(*name, os.Stdin)
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:     plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "key", MagicCookieValue: "value"},
		Plugins:             plugin.PluginSet{},
		PluginLogBufferSize: *size,
		Logger:              &recorder{Logger: hclog.NewNullLogger(), level: hclog.LevelFromString(*level), output: output},
		RunnerFunc: func(hclog.Logger, *exec.Cmd, string) (runner.Runner, error) {
			return stub, nil
		},
	})
	if _, err := client.Start(); err == nil {
		log.Fatal("a plugin without a handshake line was started")
	}
	client.Kill() // waits for the reading to end
}
