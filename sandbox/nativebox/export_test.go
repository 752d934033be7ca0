//go:build linux && (amd64 || arm64)

package nativebox

import (
	"syscall"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
	"github.com/hermesboard/hermes/sandbox/nativebox/stage"
)

// Change is what is left out of a sandbox, or is otherwise than it should be.
type Change struct {
	Spaces uintptr                           // name spaces, as flags of clone
	Walls  []string                          // of those that a stage puts up
	Plan   func([]rootfs.Step) []rootfs.Step // of the files
}

// Changed returns a backend with a change.
func Changed(opts *Options, c Change) *sandbox.Sandbox {
	return sandbox.New(native{cgroups: opts.Cgroups, edit: func(o *stage.Orders, cmd *process.Command) {
		o.Without = c.Walls
		cmd.Attr.Cloneflags &^= c.Spaces
		if c.Spaces&syscall.CLONE_NEWNET != 0 {
			o.OwnNetwork = false
		}
		if c.Plan != nil {
			o.Plan = c.Plan(o.Plan)
		}
	}})
}
