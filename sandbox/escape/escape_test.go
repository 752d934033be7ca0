//go:build linux && (amd64 || arm64)

package escape_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/escape"
	"github.com/hermesboard/hermes/sandbox/localbox"
	"github.com/hermesboard/hermes/sandbox/nativebox"
	"github.com/hermesboard/hermes/sandbox/ocibox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	sandboxtest.Main(m, nil, nil)
}

// boxes are the backends that must hold. Engines with a daemon are tried by
// their own package.
var boxes = []struct {
	name string
	make func() *sandbox.Sandbox
}{
	{"bubblewrap", func() *sandbox.Sandbox {
		return bwrapbox.New(&bwrapbox.Options{Cgroups: sandbox.DetectCgroups()})
	}},
	{"native", func() *sandbox.Sandbox {
		return nativebox.New(&nativebox.Options{Cgroups: sandbox.DetectCgroups()})
	}},
	{"runc", func() *sandbox.Sandbox {
		return ocibox.New(&ocibox.Options{Cgroups: sandbox.DetectCgroups()})
	}},
	{"gvisor", func() *sandbox.Sandbox {
		return ocibox.New(&ocibox.Options{Runtime: ocibox.GVisor, Cgroups: sandbox.DetectCgroups()})
	}},
}

func TestContained(t *testing.T) {
	for _, b := range boxes {
		t.Run(b.name, func(t *testing.T) { sandboxtest.Escapes(t, b.make) })
	}
}

// TestNothingContained makes attempts where all must get out but those that
// every backend, or the supervisor, owes.
func TestNothingContained(t *testing.T) {
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	results, err := escape.Run(t.Context(), localbox.New(), localbox.New(), &escape.Options{
		Args: []string{sandboxtest.EscapeArg}, Only: []string{"F1", "F7", "F12", "P1", "P2", "P10", "N1", "N3", "N5", "K2", "R4", "H1", "M1", "M4"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		owed := r.Needs == ""
		if owed != (r.Outcome == escape.Contained) && r.Outcome != escape.NotTestable {
			t.Errorf("%s %s: got %s (%s), owed %v", r.ID, r.Name, r.Outcome, r.Detail, owed)
		}
		if r.Broken() {
			t.Errorf("%s is broken, though local claims nothing", r.ID)
		}
	}
}

// TestPublishedList counts the attempts of each kind.
func TestPublishedList(t *testing.T) {
	for letter, n := range map[string]int{"F": 14, "P": 10, "N": 16, "K": 8, "R": 9, "H": 7} {
		for i := range n {
			if id := fmt.Sprint(letter, i+1); !slices.Contains(escape.IDs(), id) {
				t.Errorf("there is no %s", id)
			}
		}
		if slices.Contains(escape.IDs(), fmt.Sprint(letter, n+1)) {
			t.Errorf("there are more than %d attempts %s", n, letter)
		}
	}
}
