// Command netrpchost uses a plugin over net/rpc, which calls back through the MuxBroker.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/rpc"

	"github.com/hashicorp/go-plugin"

	"example.com/kvhosts/hosting"
)

type counterPlugin struct{}

func (counterPlugin) Server(*plugin.MuxBroker) (any, error) {
	return nil, errors.New("this program is a host only")
}

func (counterPlugin) Client(broker *plugin.MuxBroker, client *rpc.Client) (any, error) {
	return &counter{broker, client}, nil
}

type counter struct {
	broker *plugin.MuxBroker
	client *rpc.Client
}

// AddHelper does the sums for the plugin.
type AddHelper struct{}

// Pair is what to add.
type Pair struct{ A, B int64 }

// Sum adds.
func (AddHelper) Sum(pair Pair, sum *int64) error {
	*sum = pair.A + pair.B
	return nil
}

// PutRequest is what the plugin's Put takes.
type PutRequest struct {
	Key       string
	Value     int64
	AddServer uint32
}

func main() {
	var options hosting.Options
	options.Register()
	flag.Parse()
	config := options.Config("MUXCOUNTER_PLUGIN_COOKIE", "muxcounter", plugin.ProtocolNetRPC)
	config.Plugins = plugin.PluginSet{"counter": counterPlugin{}}
	hosting.Run(config, "counter", use)
}

func use(c *counter) error {
	for n := range int64(20) {
		id := c.broker.NextId()
		go c.broker.AcceptAndServe(id, AddHelper{})
		var sum int64
		if err := c.client.Call("Plugin.Put", PutRequest{"sum", n + 1, id}, &sum); err != nil {
			return err
		}
		fmt.Println("so far:", sum)
	}
	var sum int64
	err := c.client.Call("Plugin.Get", "sum", &sum)
	fmt.Println("sum:", sum)
	return err
}
