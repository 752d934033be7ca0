//go:build linux && (amd64 || arm64)

package nativebox_test

import (
	"os"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/nativebox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func bare() *sandbox.Sandbox { return nativebox.New(nil) }

func grouped() *sandbox.Sandbox {
	return nativebox.New(&nativebox.Options{Cgroups: sandbox.DetectCgroups()})
}

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == insideArg {
		inside[os.Args[2]](os.Args[3:])
		os.Exit(0)
	}
	sandboxtest.Main(m, bare, grouped)
}

func TestConformance(t *testing.T) { sandboxtest.Run(t, bare) }

func TestConformanceWithCgroups(t *testing.T) { sandboxtest.RunWithCgroups(t, grouped) }
