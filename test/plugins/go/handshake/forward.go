package handshake

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// ForwardTo listens on a free port of 127.0.0.1 and carries each connection to the unix socket, one to one. It returns
// the address. It never connects by itself, because go-plugin takes the first connection for the host's.
func ForwardTo(socket string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			outside, err := listener.Accept()
			if err != nil {
				return
			}
			go carry(outside.(*net.TCPConn), socket)
		}
	}()
	return listener.Addr().String(), nil
}

// carry copies both ways until both have ended. Either side may end first.
func carry(outside *net.TCPConn, socket string) {
	defer outside.Close()
	inside, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: socket})
	if err != nil {
		fmt.Fprintln(stderr, "cannot reach the plugin's socket:", err)
		return
	}
	defer inside.Close()
	var both sync.WaitGroup
	both.Add(2)
	go copyHalf(inside, outside, &both)
	go copyHalf(outside, inside, &both)
	both.Wait()
}

// half is a connection that can end its own direction alone.
type half interface {
	net.Conn
	CloseWrite() error
}

// copyHalf copies one direction and passes its end on. After a failure both directions end.
func copyHalf(to, from half, both *sync.WaitGroup) {
	defer both.Done()
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite()
}
