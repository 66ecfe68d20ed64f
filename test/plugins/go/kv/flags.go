package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// milliseconds is a flag with a whole number of them.
func milliseconds(to *time.Duration, name string, otherwise int, usage string) {
	*to = time.Duration(otherwise) * time.Millisecond
	flag.Func(name, usage, func(text string) error {
		count, err := strconv.Atoi(text)
		*to = time.Duration(count) * time.Millisecond
		return err
	})
}

// versionList is a flag with numbers, as in `1,2,3`.
type versionList []int

func (v *versionList) String() string {
	return fmt.Sprint([]int(*v))
}

// Set reads the flag.
func (v *versionList) Set(text string) error {
	for _, word := range strings.Split(text, ",") {
		number, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		*v = append(*v, number)
	}
	return nil
}

// serviceList is a flag with names of go-plugin's services, as in `stdio,broker`. It holds what their methods begin with.
type serviceList []string

func (s *serviceList) String() string {
	return fmt.Sprint([]string(*s))
}

// Set reads the flag.
func (s *serviceList) Set(text string) error {
	known := map[string]string{
		"stdio":      "/plugin.GRPCStdio/",
		"broker":     "/plugin.GRPCBroker/",
		"controller": "/plugin.GRPCController/",
		"health":     "/grpc.health.v1.Health/",
	}
	for _, word := range strings.Split(text, ",") {
		prefix, found := known[word]
		if !found {
			return fmt.Errorf("there is no service %q", word)
		}
		*s = append(*s, prefix)
	}
	return nil
}
