// Command kv is a go-plugin plugin for tests. Without flags it is a well-behaved key-value store; each flag makes it
// misbehave in one way.
package main

import "os"

// The streams of the process. go-plugin puts its own into os.Stdout and os.Stderr when it serves.
var (
	realStdout = os.Stdout
	realStderr = os.Stderr
)

func main() {
	behaviour := parseBehaviour()
	behaviour.beforeServing()
	if behaviour.sleeper {
		sleep()
	}
	behaviour.insteadOfServing()
	behaviour.serve()
}
