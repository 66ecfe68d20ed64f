package main

import (
	"context"
	"sync"

	"example.com/kvplugins/kvtest"
)

// trouble is the Trouble service. gRPC recovers from nothing, so a bug in a method ends the process.
type trouble struct {
	kvtest.UnimplementedTroubleServer
}

func (trouble) Panic(_ context.Context, request *kvtest.PanicRequest) (*kvtest.PanicResponse, error) {
	if !request.GetBackground() {
		panic(request.GetMessage())
	}
	go panic(request.GetMessage())
	select {}
}

func (trouble) FatalError(context.Context, *kvtest.FatalErrorRequest) (*kvtest.FatalErrorResponse, error) {
	new(sync.Mutex).Unlock()
	return nil, nil
}
