// Yamuxpeer speaks HashiCorp's yamux on a unix socket: it opens streams, each with a plan in its first bytes, and does
// with the streams that the other side opens what their plans say. At the end it prints what it saw.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/hashicorp/yamux"
)

func main() {
	socket := flag.String("socket", "", "the unix socket to connect to")
	role := flag.String("role", "server", "client or server")
	count := flag.Int("streams", 0, "how many streams to open, and to expect")
	seed := flag.Uint("seed", 1, "decides the plans of our own streams")
	kinds := flag.Uint("kinds", 5, "how many of the kinds of plans to use")
	atOnce := flag.Int("at-once", 32, "how many streams to have open")
	closeTimeout := flag.Duration("close-timeout", 5*time.Minute, "after how long a half-closed stream is reset")
	keepAlive := flag.Duration("keep-alive", 30*time.Second, "how often to ping")
	flag.Parse()

	connection, err := net.Dial("unix", *socket)
	check(err)
	config := yamux.DefaultConfig()
	config.LogOutput = os.Stderr
	config.StreamCloseTimeout = *closeTimeout
	config.KeepAliveInterval = *keepAlive
	start := yamux.Server
	if *role == "client" {
		start = yamux.Client
	}
	session, err := start(connection, config)
	check(err)

	seen := newReport()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		acceptAll(session, *count, seen)
	}()
	openAll(session, *count, *atOnce, uint32(*seed), uint32(*kinds), seen)
	<-accepted
	seen.wait()
	seen.Left = session.NumStreams()
	check(json.NewEncoder(os.Stdout).Encode(seen))

	// The other side ends the connection when it has seen everything.
	_, _ = io.Copy(io.Discard, os.Stdin)
	<-session.CloseChan()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
