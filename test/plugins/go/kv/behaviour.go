package main

import (
	"flag"
	"time"

	"example.com/kvplugins/owntls"
)

// behaviour is what the flags ask for.
type behaviour struct {
	beginning
	serving
	ending
}

// beginning is what goes before the handshake, or takes its place.
type beginning struct {
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
}

// serving is what it serves, and where.
type serving struct {
	protocolVersion int
	versions        versionList
	netRPC          bool
	without         serviceList

	tcp       bool
	emptyCert bool
	ownTLS    owntls.Files
	reattach  bool
	syncStdio bool

	flood       int64
	closeOutput bool
}

// ending is how it comes to its end.
type ending struct {
	crashAfter     time.Duration
	crashAtCall    int64
	crashCode      int
	slowShutdown   time.Duration
	ignoreShutdown bool
	slowEnd        time.Duration
	stubborn       bool
}

// never is the value of a flag that was not given.
const never = -1

// parseBehaviour reads the flags. Arguments that are no flags are left for Inspect.
func parseBehaviour() behaviour {
	var b behaviour
	b.beginning.register()
	b.serving.register()
	b.ending.register()
	flag.Parse()
	b.ignoreTerm = b.ignoreTerm || b.stubborn
	return b
}

func (b *beginning) register() {
	b.exit = never
	flag.BoolVar(&b.ignoreTerm, "ignore-term", false, "ignore SIGTERM and SIGHUP")
	flag.BoolVar(&b.grandchild, "grandchild", false, "start a child in the same process group and print `grandchild <pid>` to stderr")
	flag.BoolVar(&b.daemonGrandchild, "daemon-grandchild", false, "start a child in a session of its own and print `grandchild <pid>` to stderr")
	flag.BoolVar(&b.sleeper, "sleeper", false, "be such a child: do nothing")
	flag.StringVar(&b.noise, "noise", "", "print this `text` as a line on stdout first")
	milliseconds(&b.slow, "slow", 0, "wait so many `ms` before serving")

	flag.IntVar(&b.exit, "exit", never, "exit at once with this `code`, saying so on stderr")
	flag.BoolVar(&b.silent, "silent", false, "print nothing and stay")
	flag.BoolVar(&b.garbage, "garbage", false, "print a line that is no handshake and stay")
	flag.BoolVar(&b.longLine, "long-line", false, "print 70 KiB without a line end and stay")
}

func (s *serving) register() {
	flag.IntVar(&s.protocolVersion, "protocol-version", never, "the `version` in ProtocolVersion and Plugins; 1 unless there is -versions")
	flag.Var(&s.versions, "versions", "the `numbers`, with commas, in VersionedPlugins")
	flag.BoolVar(&s.netRPC, "netrpc", false, "serve net/rpc instead of gRPC: Get, Put and Echo only")
	flag.Var(&s.without, "without", "do as if there were no stdio, broker, controller or health: some of these `names`, with commas")

	flag.BoolVar(&s.tcp, "tcp", false, "serve on 127.0.0.1 instead of a unix socket")
	flag.BoolVar(&s.emptyCert, "empty-cert", false, "serve in plaintext and print no certificate, even if the host asks for AutoMTLS")
	s.ownTLS.Register()
	flag.BoolVar(&s.reattach, "reattach", false, "serve in go-plugin's test mode: print the ReattachConfig as JSON, end with stdin or at SIGTERM or SIGINT")
	flag.BoolVar(&s.syncStdio, "sync-stdio", false, "with -reattach: let go-plugin carry stdout and stderr too")

	flag.Int64Var(&s.flood, "flood", 0, "write so many `bytes` of log lines to stderr after the handshake")
	flag.BoolVar(&s.closeOutput, "close-output", false, "close stdout and stderr after the handshake, and serve on")
}

func (e *ending) register() {
	milliseconds(&e.crashAfter, "crash-after", never, "exit so many `ms` after the handshake")
	flag.Int64Var(&e.crashAtCall, "crash-at-call", never, "exit at the `n`-th call of an own service, without an answer")
	flag.IntVar(&e.crashCode, "crash-code", 3, "the exit `code` of these two")
	milliseconds(&e.slowShutdown, "slow-shutdown", 0, "wait so many `ms` before Shutdown is obeyed")
	flag.BoolVar(&e.ignoreShutdown, "ignore-shutdown", false, "answer Shutdown well and serve on")
	milliseconds(&e.slowEnd, "slow-end", 0, "clean up for so many `ms` when serving is over, saying so on stderr")
	flag.BoolVar(&e.stubborn, "stubborn", false, "-ignore-term, and clean up for ever")
}
