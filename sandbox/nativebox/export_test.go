//go:build linux && (amd64 || arm64)

package nativebox

import (
	"os"
	"slices"
	"syscall"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// Change is what is left out of a sandbox, or is otherwise than it should be.
type Change struct {
	Spaces uintptr                           // name spaces, as flags of clone
	Walls  []string                          // of those that a stage puts up, or "read-only proc"
	Plan   func([]rootfs.Step) []rootfs.Step // of the files
}

// Changed returns a backend with a change. Its stages are told by arguments
// that only [Stage] understands.
func Changed(opts *Options, c Change) *sandbox.Sandbox {
	return sandbox.New(native{cgroups: opts.Cgroups, edit: func(o *orders, cmd *process.Command) {
		cmd.Argv = append(cmd.Argv, c.Walls...)
		cmd.Attr.Cloneflags &^= c.Spaces
		if c.Spaces&syscall.CLONE_NEWNET != 0 {
			o.OwnNetwork = false
		}
		if c.Plan != nil {
			o.Plan = c.Plan(o.Plan)
		}
	}})
}

// Stage is Main for the stages of a changed backend, too.
func Stage() {
	if len(os.Args) > 2 && os.Args[1] == stageArg {
		for _, name := range os.Args[2:] {
			if name == "read-only proc" {
				procAttr = baseAttr
				continue
			}
			i := slices.IndexFunc(walls, func(w struct {
				name  string
				build func([]rootfs.Step) error
			}) bool {
				return w.name == name
			})
			walls = slices.Delete(walls, i, i+1)
		}
		os.Args = os.Args[:2]
	}
	Main()
}
