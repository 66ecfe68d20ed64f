package main

import (
	"encoding/json"
	"log"

	"github.com/hashicorp/go-hclog"
)

// recorder is a logger that prints what it is called with. Only one that has a name does: the host's own messages are
// not asked for.
type recorder struct {
	hclog.Logger
	level  hclog.Level
	name   string
	output *json.Encoder
}

// call is one call of the logger. The message is bytes, because it need not be UTF-8.
type call struct {
	Name    string         `json:"name"`
	Level   string         `json:"level"`
	Message []byte         `json:"message"`
	Fields  map[string]any `json:"fields,omitempty"`
}

func (r *recorder) Named(name string) hclog.Logger {
	return &recorder{Logger: r.Logger, level: r.level, name: name, output: r.output}
}

func (r *recorder) GetLevel() hclog.Level { return r.level }

func (r *recorder) Trace(message string, args ...any) { r.record(hclog.Trace, message, args) }
func (r *recorder) Debug(message string, args ...any) { r.record(hclog.Debug, message, args) }
func (r *recorder) Info(message string, args ...any)  { r.record(hclog.Info, message, args) }
func (r *recorder) Warn(message string, args ...any)  { r.record(hclog.Warn, message, args) }
func (r *recorder) Error(message string, args ...any) { r.record(hclog.Error, message, args) }

func (r *recorder) record(level hclog.Level, message string, args []any) {
	if r.name == "" || level < r.level {
		return
	}
	one := call{Name: r.name, Level: level.String(), Message: []byte(message)}
	for at := 0; at+1 < len(args); at += 2 {
		if one.Fields == nil {
			one.Fields = map[string]any{}
		}
		one.Fields[args[at].(string)] = args[at+1]
	}
	if err := r.output.Encode(one); err != nil {
		log.Fatal(err)
	}
}
