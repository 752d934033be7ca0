//go:build linux && (amd64 || arm64)

package bwrapbox_test

import (
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func newBox() *sandbox.Sandbox { return bwrapbox.New(nil) }

func TestMain(m *testing.M) { sandboxtest.Main(m, newBox) }

func TestConformance(t *testing.T) { sandboxtest.Run(t, newBox) }
