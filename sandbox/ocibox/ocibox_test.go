//go:build linux && (amd64 || arm64)

package ocibox_test

import (
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/ocibox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func runc() *sandbox.Sandbox { return ocibox.New(nil) }

func grouped() *sandbox.Sandbox {
	return ocibox.New(&ocibox.Options{Cgroups: sandbox.DetectCgroups()})
}

func gvisor() *sandbox.Sandbox { return ocibox.New(&ocibox.Options{Runtime: ocibox.GVisor}) }

func TestMain(m *testing.M) {
	sandboxtest.Main(m, runc, grouped)
}

func TestRunc(t *testing.T) { sandboxtest.RunSlow(t, runc) }

func TestRuncWithCgroups(t *testing.T) { sandboxtest.RunWithCgroups(t, grouped) }

func TestGVisor(t *testing.T) {
	if testing.Short() {
		t.Skip("every start takes half a second")
	}
	sandboxtest.RunSlow(t, gvisor)
}

// TestFirstProcessIsDeaf: the program cannot end the container's first process,
// nor have itself signalled by it.
func TestFirstProcessIsDeaf(t *testing.T) {
	if report := runc().Probe(t.Context()); !report.Available {
		missing(t, report.Reason)
	}
	out := output(t, runc(), sandbox.Settings{}, "for s in TERM INT HUP QUIT USR1 ABRT SEGV KILL; do kill -$s 1; done; echo lives")
	if out != "lives\n" {
		t.Errorf("got %q, want the program to go on", out)
	}
}
