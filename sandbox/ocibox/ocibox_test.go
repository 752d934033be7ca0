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
