//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"os"

	"github.com/moby/moby/client"

	"github.com/hermesboard/hermes/sandbox"
)

// noFilter is in the environment of a first process that installs no filter.
const noFilter = "HERMES_TEST_NO_FILTER=1"

// Edited returns a backend whose containers are made otherwise, if filter is
// false without the filter of the first process.
func Edited(opts *Options, filter bool, edit func(*client.ContainerCreateOptions)) *sandbox.Sandbox {
	b := newBox(opts)
	b.edit = func(o *client.ContainerCreateOptions) {
		if !filter {
			o.Config.Env = append(o.Config.Env, noFilter)
		}
		edit(o)
	}
	return sandbox.New(b)
}

// First is Main for the first process of an edited backend, too.
func First() {
	if os.Getenv(noFilter[:len(noFilter)-2]) != "" {
		installFilter = func() error { return nil }
	}
	Main()
}
