package main

import (
	"encoding/binary"
	"io"
)

// What happens on a stream.
const (
	// answered: the opener writes and half-closes; the acceptor reads to the end, writes as well and closes.
	answered = iota
	// echoed: the acceptor writes what it reads while it comes.
	echoed
	// stalled: as answered, but the acceptor waits before it reads.
	stalled
	// dropped: the Node side resets the stream in the middle.
	dropped
	// crossed: both write and close without waiting for each other.
	crossed
	// timedOut: the Go side closes, the Node side does not, and Go resets the stream.
	timedOut
)

const planBytes = 20

// A plan is what the opener of a stream writes first.
type plan struct {
	kind, there, back, chunk, seed uint32
}

func (p plan) encode() []byte {
	bytes := make([]byte, 0, planBytes)
	for _, value := range []uint32{p.kind, p.there, p.back, p.chunk, p.seed} {
		bytes = binary.BigEndian.AppendUint32(bytes, value)
	}
	return bytes
}

func readPlan(from io.Reader) (plan, error) {
	bytes := make([]byte, planBytes)
	if _, err := io.ReadFull(from, bytes); err != nil {
		return plan{}, err
	}
	at := func(i int) uint32 { return binary.BigEndian.Uint32(bytes[4*i:]) }
	return plan{at(0), at(1), at(2), at(3), at(4)}, nil
}

// Numbers are Marsaglia's xorshift, the same in Node.
type numbers uint32

func (n *numbers) below(limit uint32) uint32 {
	state := uint32(*n)
	state ^= state << 13
	state ^= state >> 17
	state ^= state << 5
	*n = numbers(state)
	return state % limit
}

// newPlan is small most of the time, and larger than a window now and then.
func newPlan(next *numbers, kinds uint32) plan {
	size := func() uint32 {
		switch next.below(64) {
		case 0:
			return next.below(600_000)
		case 1, 2, 3, 4:
			return next.below(60_000)
		case 5, 6:
			return 0
		default:
			return next.below(3_000)
		}
	}
	return plan{next.below(kinds), size(), size(), 1 + next.below(40_000), next.below(1 << 30)}
}

// content writes length bytes that depend on the seed.
func content(to io.Writer, length, chunk, seed uint32) error {
	next := numbers(seed | 1)
	buffer := make([]byte, chunk)
	for length > 0 {
		size := min(chunk, length)
		for i := range buffer[:size] {
			if i%64 == 0 {
				buffer[i] = byte(next.below(256))
			} else {
				buffer[i] = buffer[i-1] + 7
			}
		}
		if _, err := to.Write(buffer[:size]); err != nil {
			return err
		}
		length -= size
	}
	return nil
}
