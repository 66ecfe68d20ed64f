package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// closeOutput closes stdout and stderr of the process for whoever reads them. /dev/null takes their numbers, which the
// next socket would get otherwise, with all that is printed there.
func closeOutput() {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		giveUp("cannot open "+os.DevNull, err)
	}
	defer null.Close()
	for _, number := range []int{1, 2} {
		if err := unix.Dup2(int(null.Fd()), number); err != nil {
			giveUp("cannot close a stream", err)
		}
	}
}
