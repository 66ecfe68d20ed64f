package main

import (
	"context"
	"io"
)

// stub is a runner for a plugin that never says a handshake line: it ends when its stderr does.
type stub struct {
	name   string
	stdout *io.PipeReader
	stderr io.ReadCloser
	ended  chan struct{}
}

func newStub(name string, stderr io.Reader) *stub {
	stdout, closer := io.Pipe()
	ended := make(chan struct{})
	return &stub{name: name, stdout: stdout, stderr: &reading{stderr, closer, ended}, ended: ended}
}

// reading closes the plugin's stdout when its stderr has been read to the end.
type reading struct {
	io.Reader
	stdout *io.PipeWriter
	ended  chan struct{}
}

func (r *reading) Read(into []byte) (int, error) {
	count, err := r.Reader.Read(into)
	if err != nil {
		select {
		case <-r.ended:
		default:
			close(r.ended)
			r.stdout.Close()
		}
	}
	return count, err
}

func (r *reading) Close() error { return nil }

func (s *stub) Start(context.Context) error                      { return nil }
func (s *stub) Kill(context.Context) error                       { return nil }
func (s *stub) Diagnose(context.Context) string                  { return "" }
func (s *stub) Wait(context.Context) error                       { <-s.ended; return nil }
func (s *stub) Stdout() io.ReadCloser                            { return s.stdout }
func (s *stub) Stderr() io.ReadCloser                            { return s.stderr }
func (s *stub) Name() string                                     { return s.name }
func (s *stub) ID() string                                       { return "stub" }
func (s *stub) PluginToHost(n, a string) (string, string, error) { return n, a, nil }
func (s *stub) HostToPlugin(n, a string) (string, string, error) { return n, a, nil }
