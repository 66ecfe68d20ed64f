package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// A report is what this side saw of all streams, in no order: digests of single streams are added up.
type report struct {
	// Sent and Received count bytes, and their digests.
	Sent, Received             uint64
	SentDigest, ReceivedDigest uint32
	// Whole and Reset count streams by how they ended.
	Whole, Reset int
	// Left counts the streams that yamux still knows at the end.
	Left     int
	Failures []string

	mutex sync.Mutex
	group sync.WaitGroup
}

func newReport() *report { return &report{Failures: []string{}} }

func (r *report) run(work func() error) {
	r.group.Add(1)
	go func() {
		defer r.group.Done()
		if err := work(); err != nil {
			r.mutex.Lock()
			defer r.mutex.Unlock()
			if len(r.Failures) < 20 {
				r.Failures = append(r.Failures, err.Error())
			}
		}
	}()
}

func (r *report) wait() { r.group.Wait() }

func (r *report) reset() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.Reset++
}

func (r *report) whole(sent, received *sum) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.Whole++
	r.Sent += sent.bytes
	r.Received += received.bytes
	r.SentDigest += sent.digest()
	r.ReceivedDigest += received.digest()
}

// A sum counts and digests what is written to it.
type sum struct {
	hash  hash.Hash
	bytes uint64
}

func newSum() *sum { return &sum{hash: sha256.New()} }

func (s *sum) Write(bytes []byte) (int, error) {
	s.bytes += uint64(len(bytes))
	return s.hash.Write(bytes)
}

func (s *sum) digest() uint32 { return binary.BigEndian.Uint32(s.hash.Sum(nil)) }

func unexpected(p plan, err error) error { return fmt.Errorf("plan %+v: %v", p, err) }
