//go:build linux && (amd64 || arm64)

package escape_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/driver"
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

// diskAttempts are those that a limit of disk stands against.
var diskAttempts = []string{"R4", "R5", "M6", "M7", "M8", "M9", "M10"}

// unwatched is a backend that says it bounds the disk, and of a session of
// which nobody measures what it takes. The kernel bounds its single files.
type unwatched struct{ *sandbox.Sandbox }

func (u unwatched) Start(ctx context.Context, spec *sandbox.Spec) (driver.Session, error) {
	own := *spec
	own.Limits.FileBytes, own.Limits.DiskBytes = spec.Limits.DiskBytes, 0
	return u.Sandbox.Start(ctx, &own)
}

// TestDisk bounds what is taken of the disk, and has all attempts get out where
// nothing watches, except for what the filter refuses.
func TestDisk(t *testing.T) {
	sandboxtest.Long(t)
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	box := nativebox.New(&nativebox.Options{Cgroups: sandbox.DetectCgroups()})
	if report := box.Probe(t.Context()); !report.Available {
		if os.Getenv("CI") == "true" {
			t.Fatal(report.Reason)
		}
		t.Skip(report.Reason)
	}
	controls := new(escape.Controls)
	for _, watched := range []bool{true, false} {
		if !watched {
			box = sandbox.New(unwatched{box})
		}
		results, err := escape.Run(t.Context(), box, localbox.New(), &escape.Options{Args: []string{sandboxtest.EscapeArg}, Only: diskAttempts, Controls: controls})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			want := escape.Contained
			if !watched && r.ID != "M8" {
				want = escape.Open
			}
			if r.ID == "M8" && r.Outcome == escape.NotTestable {
				continue // not every file system sets space aside
			}
			if r.Outcome != want {
				t.Errorf("watched %v: %s %s: got %s (%s), want %s", watched, r.ID, r.Name, r.Outcome, r.Detail, want)
			}
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
