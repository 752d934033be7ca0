package ocibox

import "github.com/hermesboard/hermes/sandbox"

// Runtime is a program that runs bundles, and the backend's name in
// configuration.
type Runtime string

// The runtimes.
const (
	Runc   Runtime = "runc"
	GVisor Runtime = "gvisor"
)

// Options choose the runtime. Nil means defaults.
type Options struct {
	// Runtime is empty for runc.
	Runtime Runtime
	// Path is the runtime's program; empty looks it up in PATH.
	Path string
	// Cgroups gives sessions control groups of their own, with the limits that
	// they enforce on this host; nil for none.
	Cgroups *sandbox.Cgroups
	// Init is a static binary of this host that imports package inside; empty is
	// the binary of this process.
	Init string
}

// New returns the backend "runc" or "gvisor". It is made on every host; Probe
// says whether it works there. The setting Image is honoured.
func New(opts *Options) *sandbox.Sandbox {
	if opts == nil {
		opts = &Options{}
	}
	b := box{Options: *opts}
	if b.Runtime == "" {
		b.Runtime = Runc
	}
	return sandbox.New(b)
}
