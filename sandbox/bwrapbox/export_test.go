//go:build linux && (amd64 || arm64)

package bwrapbox

import "github.com/hermesboard/hermes/sandbox"

// Edited returns a backend whose options for bwrap are changed by edit.
func Edited(opts *Options, edit func(options []string) []string) *sandbox.Sandbox {
	return sandbox.New(bubblewrap{cgroups: opts.Cgroups, edit: edit})
}
