// Command muxcounter is a go-plugin plugin that speaks net/rpc and calls its host back through the MuxBroker, as plugins
// did before gRPC.
package main

import (
	"errors"
	"net/rpc"
	"sync"

	"github.com/hashicorp/go-plugin"
)

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "MUXCOUNTER_PLUGIN_COOKIE",
			MagicCookieValue: "muxcounter",
		},
		Plugins: plugin.PluginSet{"counter": counterPlugin{}},
	})
}

// counterPlugin tells go-plugin which service there is.
type counterPlugin struct{}

func (counterPlugin) Server(broker *plugin.MuxBroker) (any, error) {
	return &Counter{broker: broker, sums: map[string]int64{}}, nil
}

func (counterPlugin) Client(*plugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, errors.New("this program is a plugin only")
}

// Counter is the service. Its sums are done by the host.
type Counter struct {
	broker *plugin.MuxBroker
	lock   sync.Mutex
	sums   map[string]int64
}

// PutRequest says what to add to what, and at which of the host's ids.
type PutRequest struct {
	Key       string
	Value     int64
	AddServer uint32
}

// Pair is what the host adds.
type Pair struct{ A, B int64 }

// Put adds a value to what is under a key.
func (c *Counter) Put(request PutRequest, sum *int64) error {
	conn, err := c.broker.Dial(request.AddServer)
	if err != nil {
		return err
	}
	helper := rpc.NewClient(conn)
	defer helper.Close()
	c.lock.Lock()
	defer c.lock.Unlock()
	if err := helper.Call("Plugin.Sum", Pair{c.sums[request.Key], request.Value}, sum); err != nil {
		return err
	}
	c.sums[request.Key] = *sum
	return nil
}

// Get is the sum under a key.
func (c *Counter) Get(key string, sum *int64) error {
	c.lock.Lock()
	defer c.lock.Unlock()
	*sum = c.sums[key]
	return nil
}
