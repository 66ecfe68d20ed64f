package main

import (
	"errors"
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

func openAll(session *yamux.Session, count, atOnce int, seed, kinds uint32, seen *report) {
	next := numbers(seed | 1)
	slots := make(chan struct{}, atOnce)
	for range count {
		p := newPlan(&next, kinds)
		slots <- struct{}{}
		seen.run(func() error {
			defer func() { <-slots }()
			stream, err := session.OpenStream()
			if err != nil {
				return unexpected(p, err)
			}
			return do(stream, p, true, seen)
		})
	}
}

func acceptAll(session *yamux.Session, count int, seen *report) {
	for range count {
		stream, err := session.AcceptStream()
		if err != nil {
			seen.run(func() error { return err })
			return
		}
		seen.run(func() error {
			p, err := readPlan(stream)
			if errors.Is(err, yamux.ErrConnectionReset) {
				_ = stream.Close()
				seen.reset()
				return nil
			}
			if err != nil {
				return unexpected(p, err)
			}
			return do(stream, p, false, seen)
		})
	}
}

// do is our part of a plan.
func do(stream *yamux.Stream, p plan, isOpener bool, seen *report) error {
	defer stream.Close()
	sent, received := newSum(), newSum()
	write := func(length uint32) error {
		return content(io.MultiWriter(stream, sent), length, p.chunk, p.seed)
	}
	read := func() error {
		_, err := io.Copy(received, stream)
		return err
	}
	var steps []func() error
	if isOpener {
		steps = append(steps, func() error { _, err := stream.Write(p.encode()); return err })
	}
	open := func() error { return write(p.there) }
	answer := func() error { return write(p.back) }
	own := answer
	if isOpener {
		own = open
	}
	switch {
	case p.kind == timedOut:
		steps = append(steps, own, stream.Close, read)
	case p.kind == crossed || (p.kind == echoed && isOpener):
		steps = append(steps, func() error { return both(func() error { return then(own, stream.Close) }, read) })
	case p.kind == echoed:
		steps = append(steps, func() error {
			_, err := io.CopyBuffer(io.MultiWriter(stream, sent, received), onlyReader{stream}, make([]byte, p.chunk))
			return err
		}, stream.Close)
	case isOpener:
		steps = append(steps, own, stream.Close, read)
	case p.kind == stalled:
		steps = append(steps, func() error { time.Sleep(time.Duration(p.seed%20) * time.Millisecond); return nil }, read, own, stream.Close)
	default:
		steps = append(steps, read, own, stream.Close)
	}
	err := then(steps...)
	if p.kind == dropped || p.kind == timedOut {
		// Whatever it ended with: after its own reset, Go reads an ordinary end.
		seen.reset()
		return nil
	}
	if err != nil {
		return unexpected(p, err)
	}
	seen.whole(sent, received)
	return nil
}

type onlyReader struct{ io.Reader }

func then(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func both(one, other func() error) error {
	result := make(chan error, 1)
	go func() { result <- one() }()
	return errors.Join(other(), <-result)
}
