package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// interceptHandshake gives go-plugin a pipe to print the handshake line to. What arrives there is passed on to the
// process's stdout, with another address for -tcp; then afterHandshake is called. Nothing else changes: go-plugin
// prints this one line, and puts a pipe of its own into os.Stdout right after it.
func (b behaviour) interceptHandshake() {
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
		if b.tcp {
			line = overTCP(line)
		}
		fmt.Fprint(realStdout, line)
		b.afterHandshake()
	}()
}

// overTCP starts a TCP listener before the unix socket that the handshake line names, and returns the line that names
// the listener.
func overTCP(line string) string {
	fields := strings.Split(line, "|")
	if len(fields) < 6 || fields[2] != "unix" {
		giveUp("cannot understand the handshake line", fmt.Errorf("%q", line))
	}
	address, err := forwardTo(fields[3])
	if err != nil {
		giveUp("cannot listen on TCP", err)
	}
	fields[2], fields[3] = "tcp", address
	return strings.Join(fields, "|")
}

// giveUp ends the process with code 1 and the reason.
func giveUp(what string, err error) {
	fmt.Fprintf(realStderr, "kv: %s: %v\n", what, err)
	os.Exit(1)
}
