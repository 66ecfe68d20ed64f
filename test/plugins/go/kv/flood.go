package main

import (
	"bytes"
	"fmt"
)

// flood writes exactly so many bytes of text lines to stderr, 64 KiB at a time. Each line begins with `flood`, except
// that the last one may be cut short; it has its line end nevertheless.
func flood(total int64) {
	const lineLength, blockLength = 128, 64 * 1024
	padding := bytes.Repeat([]byte("."), lineLength)
	var block bytes.Buffer
	for n, written := 0, int64(0); written < total; {
		block.Reset()
		for ; block.Len() < blockLength; n++ {
			head := fmt.Sprintf("flood %012d ", n)
			block.WriteString(head)
			block.Write(padding[:lineLength-len(head)-1])
			block.WriteByte('\n')
		}
		part := block.Bytes()
		if left := total - written; left < int64(len(part)) {
			part = part[:left]
			part[left-1] = '\n'
		}
		if _, err := realStderr.Write(part); err != nil {
			return
		}
		written += int64(len(part))
	}
}
