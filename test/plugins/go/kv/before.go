package main

import (
	"fmt"
	"os/signal"
	"syscall"
	"time"
)

// beforeServing does what happens before the handshake, in whatever way the plugin goes on.
func (b behaviour) beforeServing() {
	if b.ignoreTerm {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
	}
	if b.grandchild {
		b.startSleeper(&syscall.SysProcAttr{})
	}
	if b.daemonGrandchild {
		b.startSleeper(&syscall.SysProcAttr{Setsid: true})
	}
	if b.noise != "" {
		fmt.Fprintln(realStdout, b.noise)
	}
	time.Sleep(b.slow)
}
