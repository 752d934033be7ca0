package profile

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// errMalformed is the error for YAML that the decoder itself trips over.
var errMalformed = errors.New("malformed YAML")

// decode reads YAML strictly. The decoder panics on some input; here that is
// an error like others.
func decode(b []byte, v any) error { return decodeSome(b, v, yaml.Strict()) }

// decodeSome is decode that passes over unknown keys.
func decodeSome(b []byte, v any, o ...yaml.DecodeOption) (err error) {
	defer func() {
		if recover() != nil {
			err = errMalformed
		}
	}()
	return yaml.UnmarshalWithOptions(b, v, o...)
}

// parse returns the syntax tree of a file.
func parse(b []byte) (f *ast.File, err error) {
	defer func() {
		if recover() != nil {
			f, err = nil, errMalformed
		}
	}()
	return parser.ParseBytes(b, 0)
}
