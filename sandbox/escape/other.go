//go:build !linux || !(amd64 || arm64)

package escape

import (
	"context"

	"github.com/hermesboard/hermes/sandbox"
)

// IDs is empty.
func IDs() []string { return nil }

// Run returns ErrUnsupported.
func Run(context.Context, *sandbox.Sandbox, *sandbox.Sandbox, *Options) ([]Result, error) {
	return nil, ErrUnsupported
}

// Inside does nothing.
func Inside([]string) {}
