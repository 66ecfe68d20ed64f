// Package handshake stands between go-plugin's handshake line and the host, and puts a TCP port before the plugin.
package handshake

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// The streams of the process. go-plugin puts its own into os.Stdout and os.Stderr when it serves.
var (
	stdout = os.Stdout
	stderr = os.Stderr
)

// Intercept gives go-plugin a pipe to print the handshake line to. What arrives there is passed on to the process's
// stdout, with another address if overTCP; then after is called. Nothing else changes: go-plugin prints this one line,
// and puts a pipe of its own into os.Stdout right after it.
func Intercept(overTCP bool, after func()) {
	reader, writer, err := os.Pipe()
	if err != nil {
		giveUp("cannot make a pipe", err)
	}
	os.Stdout = writer
	go func() {
		line, err := bufio.NewReader(reader).ReadString('\n')
		if err != nil {
			giveUp("cannot read the handshake line", err)
		}
		if overTCP {
			line = frontOf(line)
		}
		fmt.Fprint(stdout, line)
		after()
	}()
}

// frontOf starts a TCP listener before the unix socket that the handshake line names, and returns the line that names
// the listener.
func frontOf(line string) string {
	fields := strings.Split(line, "|")
	if len(fields) < 6 || fields[2] != "unix" {
		giveUp("cannot understand the handshake line", fmt.Errorf("%q", line))
	}
	address, err := ForwardTo(fields[3])
	if err != nil {
		giveUp("cannot listen on TCP", err)
	}
	fields[2], fields[3] = "tcp", address
	return strings.Join(fields, "|")
}

// giveUp ends the process with code 1 and the reason.
func giveUp(what string, err error) {
	fmt.Fprintf(stderr, "%s: %v\n", what, err)
	os.Exit(1)
}
