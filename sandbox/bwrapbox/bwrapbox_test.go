//go:build linux && (amd64 || arm64)

package bwrapbox_test

import (
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func bare() *sandbox.Sandbox { return bwrapbox.New(nil) }

func grouped() *sandbox.Sandbox {
	return bwrapbox.New(&bwrapbox.Options{Cgroups: sandbox.DetectCgroups()})
}

func TestMain(m *testing.M) { sandboxtest.Main(m, bare, grouped) }

func TestConformance(t *testing.T) { sandboxtest.Run(t, bare) }

func TestConformanceWithCgroups(t *testing.T) { sandboxtest.RunWithCgroups(t, grouped) }
