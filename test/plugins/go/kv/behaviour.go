package main

import (
	"flag"
	"time"
)

// behaviour is what the flags ask for.
type behaviour struct {
	ignoreTerm       bool
	grandchild       bool
	daemonGrandchild bool
	sleeper          bool
	noise            string
	slow             time.Duration

	exit     int
	silent   bool
	garbage  bool
	longLine bool

	tcp        bool
	emptyCert  bool
	crashAfter time.Duration
	flood      int64
}

// never is the value of a flag that was not given.
const never = -1

// parseBehaviour reads the flags. Arguments that are no flags are left for Inspect.
func parseBehaviour() behaviour {
	var b behaviour
	flag.BoolVar(&b.ignoreTerm, "ignore-term", false, "ignore SIGTERM and SIGHUP")
	flag.BoolVar(&b.grandchild, "grandchild", false, "start a child in the same process group and print `grandchild <pid>` to stderr")
	flag.BoolVar(&b.daemonGrandchild, "daemon-grandchild", false, "start a child in a session of its own and print `grandchild <pid>` to stderr")
	flag.BoolVar(&b.sleeper, "sleeper", false, "be such a child: do nothing")
	flag.StringVar(&b.noise, "noise", "", "print this `text` as a line on stdout first")
	slow := flag.Int("slow", 0, "wait so many `ms` before serving")

	flag.IntVar(&b.exit, "exit", never, "exit at once with this `code`, saying so on stderr")
	flag.BoolVar(&b.silent, "silent", false, "print nothing and stay")
	flag.BoolVar(&b.garbage, "garbage", false, "print a line that is no handshake and stay")
	flag.BoolVar(&b.longLine, "long-line", false, "print 70 KiB without a line end and stay")

	flag.BoolVar(&b.tcp, "tcp", false, "serve on 127.0.0.1 instead of a unix socket")
	flag.BoolVar(&b.emptyCert, "empty-cert", false, "serve in plaintext and print no certificate, even if the host asks for AutoMTLS")
	crashAfter := flag.Int("crash-after", never, "exit with code 3 so many `ms` after the handshake")
	flag.Int64Var(&b.flood, "flood", 0, "write so many `bytes` of log lines to stderr after the handshake")
	flag.Parse()

	b.slow = time.Duration(*slow) * time.Millisecond
	b.crashAfter = time.Duration(*crashAfter) * time.Millisecond // negative: never
	return b
}
