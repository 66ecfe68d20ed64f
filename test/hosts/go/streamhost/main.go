// Command streamhost sends a lot through one stream and gets it back on the same, and says whether it was the same.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"example.com/kvhosts/hosting"
	"example.com/kvplugins/kvtest"
)

const pieceLength = 1 << 20

type kvPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (kvPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this program is a host only")
}

func (kvPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return kvtest.NewKVClient(conn), nil
}

func main() {
	var options hosting.Options
	options.Register()
	mebibytes := flag.Int("mib", 1024, "how many `MiB` go each way")
	flag.Parse()
	config := options.Config("KV_PLUGIN_COOKIE", "kv", plugin.ProtocolGRPC)
	config.Plugins = plugin.PluginSet{"kv": kvPlugin{}}
	hosting.Run(config, "kv", func(kv kvtest.KVClient) error { return exchange(kv, *mebibytes) })
}

func exchange(kv kvtest.KVClient, mebibytes int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	chat, err := kv.Chat(ctx)
	if err != nil {
		return err
	}
	sent := sha256.New()
	sending := make(chan error, 1)
	go func() {
		random := rand.New(rand.NewPCG(1, 2))
		for range mebibytes {
			text := piece(random)
			io.WriteString(sent, text)
			if err := chat.Send(&kvtest.ChatMessage{Text: text}); err != nil {
				sending <- err
				return
			}
		}
		sending <- chat.CloseSend()
	}()
	received := sha256.New()
	total := 0
	for {
		message, err := chat.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		io.WriteString(received, message.GetText())
		total += len(message.GetText())
	}
	if err := <-sending; err != nil {
		return err
	}
	fmt.Println("bytes:", total)
	fmt.Printf("sent:     %x\nreceived: %x\n", sent.Sum(nil), received.Sum(nil))
	return nil
}

// piece is a text of one MiB, other ones each time.
func piece(random *rand.Rand) string {
	bytes := make([]byte, pieceLength)
	for at := 0; at < len(bytes); at += 8 {
		word := random.Uint64()
		for n := range 8 {
			bytes[at+n] = 'a' + byte(word>>(8*n))&15
		}
	}
	return string(bytes)
}
