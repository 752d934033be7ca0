//go:build linux && (amd64 || arm64)

package localbox_test

import (
	"testing"

	"github.com/hermesboard/hermes/sandbox/localbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, localbox.New) }

func TestConformance(t *testing.T) { sandboxtest.Run(t, localbox.New) }
