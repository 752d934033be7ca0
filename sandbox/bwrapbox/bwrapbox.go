package bwrapbox

import "github.com/hermesboard/hermes/sandbox"

// Name is the backend's name in configuration.
const Name = "bubblewrap"

// Options choose the program. Nil means defaults.
type Options struct {
	// Path is the bwrap program; empty looks it up in PATH.
	Path string
	// Cgroups gives sessions control groups of their own, with the limits that
	// they enforce on this host; nil for none.
	Cgroups *sandbox.Cgroups
}

// New returns the backend "bubblewrap". It is made on every host; Probe says
// whether it works there.
func New(opts *Options) *sandbox.Sandbox {
	if opts == nil {
		opts = &Options{}
	}
	return sandbox.New(bubblewrap{path: opts.Path, cgroups: opts.Cgroups})
}
