package profile

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/hermesboard/hermes/agents"
)

// decode reads YAML strictly.
func decode(b []byte, v any) error { return agents.Decode(b, v, yaml.Strict()) }

// parse returns the syntax tree of a file. The parser panics on some input, as
// the decoder does.
func parse(b []byte) (f *ast.File, err error) {
	defer func() {
		if recover() != nil {
			f, err = nil, errors.New("malformed YAML")
		}
	}()
	return parser.ParseBytes(b, 0)
}
