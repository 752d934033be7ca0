package apptainerbox

import "github.com/hermesboard/hermes/sandbox"

// Name is the backend's name in configuration.
const Name = "apptainer"

// Options choose the program. Nil means defaults.
type Options struct {
	// Path is the program; empty looks up apptainer, then singularity, in PATH.
	Path string
	// Cgroups gives sessions control groups of their own, with the limits that
	// they enforce on this host; nil for none.
	Cgroups *sandbox.Cgroups
	// Init is a static binary of this host that imports package ocibox/inside;
	// empty is the binary of this process.
	Init string
}

// New returns the backend "apptainer". It is made on every host; Probe says
// whether it works there. The setting Image is needed.
func New(opts *Options) *sandbox.Sandbox {
	if opts == nil {
		opts = &Options{}
	}
	return sandbox.New(box{Options: *opts})
}
