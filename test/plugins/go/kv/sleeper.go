package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// readyDescriptor is closed by a sleeper as soon as it ignores what it shall ignore.
const readyDescriptor = 3

// startSleeper starts this program again, as a child that does nothing, and prints its pid to stderr when it is ready.
// The child holds the plugin's stdout and stderr open, as one that a careless plugin leaves behind would.
func (b behaviour) startSleeper(attributes *syscall.SysProcAttr) {
	ready, readyInChild, err := os.Pipe()
	if err != nil {
		giveUp("cannot make a pipe", err)
	}
	child := exec.Command(ownPath(), "-sleeper")
	if b.ignoreTerm {
		child.Args = append(child.Args, "-ignore-term")
	}
	child.Stdout = realStdout
	child.Stderr = realStderr
	child.ExtraFiles = []*os.File{readyInChild}
	child.SysProcAttr = attributes
	if err := child.Start(); err != nil {
		giveUp("cannot start a grandchild", err)
	}
	readyInChild.Close()
	_, _ = io.ReadAll(ready)
	ready.Close()
	fmt.Fprintln(realStderr, "grandchild", child.Process.Pid)
	go func() { _ = child.Wait() }()
}

// sleep is all that a sleeper does.
func sleep() {
	os.NewFile(readyDescriptor, "ready").Close()
	stay()
}

// ownPath is the file that this program was started from.
func ownPath() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
