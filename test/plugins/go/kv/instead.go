package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// insteadOfServing does not return if a flag says that the plugin never gets as far as serving.
func (b behaviour) insteadOfServing() {
	switch {
	case b.exit != never:
		fmt.Fprintf(realStderr, "kv: leaving with code %d, as -exit says\n", b.exit)
		os.Exit(b.exit)
	case b.silent:
		stay()
	case b.garbage:
		fmt.Fprintln(realStdout, "this is not a handshake")
		stay()
	case b.longLine:
		fmt.Fprint(realStdout, strings.Repeat("x", 70*1024))
		stay()
	}
}

// stay keeps the process alive until it is killed. After ten minutes it ends by itself, so that a test that went wrong
// leaves nothing behind for good.
func stay() {
	time.Sleep(10 * time.Minute)
	os.Exit(4)
}
