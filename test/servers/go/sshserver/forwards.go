package main

import (
	"io"
	"net"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"
)

// dial connects to where the client asks for.
func dial(request ssh.NewChannel) {
	var ask struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}
	if ssh.Unmarshal(request.ExtraData(), &ask) != nil {
		request.Reject(ssh.ConnectionFailed, "bad request")
		return
	}
	conn, err := net.Dial("tcp", net.JoinHostPort(ask.Host, strconv.Itoa(int(ask.Port))))
	if err != nil {
		request.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := request.Accept()
	if err != nil {
		conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	join(channel, conn.(*net.TCPConn))
}

// join copies both ways, and keeps half-close.
func join(channel ssh.Channel, conn *net.TCPConn) {
	together(
		func() { io.Copy(conn, channel); conn.CloseWrite() },
		func() { io.Copy(channel, conn); channel.CloseWrite() },
	)
	channel.Close()
	conn.Close()
}

// together runs both at once, and returns when both have.
func together(one, other func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		one()
	}()
	other()
	<-done
}

// listeners are those that one client asked for.
type listeners struct {
	client *ssh.ServerConn
	mutex  sync.Mutex
	open   map[string]net.Listener
}

// address is what tcpip-forward and its cancel say, RFC 4254, section 7.1.
type address struct {
	Host string
	Port uint32
}

func (l *listeners) answer(requests <-chan *ssh.Request) {
	for req := range requests {
		var ask address
		ssh.Unmarshal(req.Payload, &ask)
		switch req.Type {
		case "tcpip-forward":
			port, err := l.listen(ask)
			req.Reply(err == nil, ssh.Marshal(struct{ Port uint32 }{port}))
		case "cancel-tcpip-forward":
			req.Reply(l.close(ask), nil)
		default:
			req.Reply(false, nil)
		}
	}
}

func (l *listeners) listen(ask address) (uint32, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(ask.Host, strconv.Itoa(int(ask.Port))))
	if err != nil {
		return 0, err
	}
	bound := address{ask.Host, uint32(listener.Addr().(*net.TCPAddr).Port)}
	l.mutex.Lock()
	l.open[key(bound)] = listener
	l.mutex.Unlock()
	go l.accept(listener, bound)
	return bound.Port, nil
}

func (l *listeners) accept(listener net.Listener, bound address) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go l.forward(conn.(*net.TCPConn), bound)
	}
}

func (l *listeners) forward(conn *net.TCPConn, bound address) {
	peer := conn.RemoteAddr().(*net.TCPAddr)
	channel, requests, err := l.client.OpenChannel("forwarded-tcpip", ssh.Marshal(struct {
		Host       string
		Port       uint32
		OriginHost string
		OriginPort uint32
	}{bound.Host, bound.Port, peer.IP.String(), uint32(peer.Port)}))
	if err != nil {
		conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	join(channel, conn)
}

func (l *listeners) close(ask address) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	listener, known := l.open[key(ask)]
	if known {
		listener.Close()
		delete(l.open, key(ask))
	}
	return known
}

func (l *listeners) closeAll() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, listener := range l.open {
		listener.Close()
	}
}

func key(a address) string {
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}
