// Command sshserver is an SSH server as people write them on golang.org/x/crypto/ssh: commands through /bin/sh, and
// forwards of TCP in both directions. It knows nothing of unix sockets.
//
// It takes a port, the host key, the authorized keys and a user, logs "listening", and resets all connections on SIGUSR1.
package main

import (
	"bytes"
	"errors"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"
)

func main() {
	port, hostKey, authorizedKeys, user := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	config := newConfig(hostKey, authorizedKeys, user)
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		log.Fatal(err)
	}
	// Before anybody knows of it, or the signal would end it.
	resets := make(chan os.Signal, 1)
	signal.Notify(resets, syscall.SIGUSR1)
	log.Print("listening")
	var open connections
	go open.resetOn(resets)
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			open.add(conn)
			defer open.remove(conn)
			defer conn.Close()
			if err := serve(conn, config); err != nil {
				log.Print(err)
			}
		}()
	}
}

// newConfig lets the holder of one key in.
func newConfig(hostKey, authorizedKeys, user string) *ssh.ServerConfig {
	signer, err := ssh.ParsePrivateKey(read(hostKey))
	if err != nil {
		log.Fatal(err)
	}
	allowed, _, _, _, err := ssh.ParseAuthorizedKey(read(authorizedKeys))
	if err != nil {
		log.Fatal(err)
	}
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if meta.User() == user && bytes.Equal(key.Marshal(), allowed.Marshal()) {
				return nil, nil
			}
			return nil, errors.New("no such key")
		},
	}
	config.AddHostKey(signer)
	return config
}

// serve talks to one client until it leaves.
func serve(conn net.Conn, config *ssh.ServerConfig) error {
	client, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return err
	}
	forwards := &listeners{client: client, open: map[string]net.Listener{}}
	defer forwards.closeAll()
	go forwards.answer(requests)
	for channel := range channels {
		switch channel.ChannelType() {
		case "session":
			go session(client, channel)
		case "direct-tcpip":
			go dial(channel)
		default:
			channel.Reject(ssh.UnknownChannelType, "unknown channel type")
		}
	}
	return nil
}

func read(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return content
}

// connections are those that are open now.
type connections struct {
	mutex sync.Mutex
	open  map[net.Conn]bool
}

func (c *connections) add(conn net.Conn) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]bool{}
	}
	c.open[conn] = true
}

func (c *connections) remove(conn net.Conn) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.open, conn)
}

func (c *connections) resetOn(resets <-chan os.Signal) {
	for range resets {
		c.mutex.Lock()
		for conn := range c.open {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
		c.mutex.Unlock()
	}
}
