//go:build linux

package runtime

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime/runtimetest"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// TestMocks runs the cases with imitations.
func TestMocks(t *testing.T) {
	for kind := range runtimetest.Programs {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			subject{agent: real[kind].agent, bench: func(t *testing.T, a agents.Agent) *bench {
				b := newBench(t, localbox.New(), a)
				b.hermes, b.program = self(t), filepath.Join(b.dir, kind)
				if err := os.Symlink(self(t), b.program); err != nil {
					t.Fatal(err)
				}
				return b
			}}.test(t)
		})
	}
}
