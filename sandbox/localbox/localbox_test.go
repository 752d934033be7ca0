//go:build linux && (amd64 || arm64)

package localbox_test

import (
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/localbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func bare() *sandbox.Sandbox { return localbox.New() }

func grouped() *sandbox.Sandbox { return localbox.New(localbox.WithCgroups(sandbox.DetectCgroups())) }

func TestMain(m *testing.M) { sandboxtest.Main(m, bare, grouped) }

func TestConformance(t *testing.T) { sandboxtest.Run(t, bare) }

func TestConformanceWithCgroups(t *testing.T) { sandboxtest.RunWithCgroups(t, grouped) }
