package nativebox

import "github.com/hermesboard/hermes/sandbox"

// Name is the backend's name in configuration.
const Name = "native"

// Options are given to New. Nil means defaults.
type Options struct {
	// Program is a program that imports package stage; empty is the one that is
	// running.
	Program string
	// Cgroups gives sessions control groups of their own, with the limits that
	// they enforce on this host; nil for none.
	Cgroups *sandbox.Cgroups
}

// New returns the backend "native". It is made on every host; Probe says
// whether it works there.
func New(opts *Options) *sandbox.Sandbox {
	if opts == nil {
		opts = &Options{}
	}
	return sandbox.New(native{program: opts.Program, cgroups: opts.Cgroups})
}
