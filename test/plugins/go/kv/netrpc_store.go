package main

import (
	"fmt"
	"sync"
)

// netRPCStore is the key-value store for net/rpc.
type netRPCStore struct {
	lock   sync.Mutex
	values map[string][]byte
}

// Pair is what Put takes.
type Pair struct {
	Key   string
	Value []byte
}

// Get answers with what was put under a key.
func (s *netRPCStore) Get(key string, value *[]byte) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	found, ok := s.values[key]
	if !ok {
		return fmt.Errorf("there is no %q", key)
	}
	*value = found
	return nil
}

// Put remembers a value.
func (s *netRPCStore) Put(pair Pair, _ *struct{}) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.values[pair.Key] = pair.Value
	return nil
}

// Echo answers with what it is given.
func (*netRPCStore) Echo(payload []byte, answer *[]byte) error {
	*answer = payload
	return nil
}
