package main

import (
	"fmt"
	"os"
)

// giveUp ends the process with code 1 and the reason.
func giveUp(what string, err error) {
	fmt.Fprintf(realStderr, "kv: %s: %v\n", what, err)
	os.Exit(1)
}
