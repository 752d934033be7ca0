//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/escape"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// Escapes makes every attempt of package escape on the backend that newBox
// makes. One that succeeds against what the backend claims fails the test. It
// takes long, and a backend that does not work here is skipped as by Run.
func Escapes(t *testing.T, newBox func() *sandbox.Sandbox) {
	Long(t)
	box := newBox()
	ready(t, box)
	testable := 0
	for _, r := range attempts(t, box, nil) {
		if r.Broken() {
			t.Errorf("%s %s: %s: %s", r.ID, r.Name, r.Outcome, r.Detail)
		} else if r.Outcome != escape.Contained {
			t.Logf("%s %s: %s: %s", r.ID, r.Name, r.Outcome, r.Detail)
		}
		if r.Outcome != escape.NotTestable {
			testable++
		}
	}
	if testable < len(escape.IDs())*3/4 {
		t.Errorf("got %d of %d attempts testable, want at least three quarters", testable, len(escape.IDs()))
	}
}

// Wall is one thing that a backend puts between a program and the host.
type Wall struct {
	Name string
	// Without makes the backend as it is without this wall.
	Without func() *sandbox.Sandbox
	// Attempts are the ids of those that then succeed, at least one.
	Attempts []string
	// Redundant says what else stands in the way of all Attempts, where none
	// succeeds though the wall is gone.
	Redundant string
}

// Walls takes the walls of a backend away, one at a time, and fails for each
// that carries no weight and is not known to be redundant, and for each that is
// said to be redundant and is not. It skips as Escapes does.
func Walls(t *testing.T, newBox func() *sandbox.Sandbox, walls []Wall) {
	Long(t)
	box := newBox()
	ready(t, box)
	var all []string
	for _, w := range walls {
		all = append(all, w.Attempts...)
	}
	for _, r := range attempts(t, box, all) {
		if r.Outcome == escape.Open {
			t.Errorf("with all walls, %s %s is open: %s", r.ID, r.Name, r.Detail)
		}
	}
	for _, w := range walls {
		t.Run(w.Name, func(t *testing.T) {
			var open []string
			testable := false
			for _, r := range attempts(t, w.Without(), w.Attempts) {
				testable = testable || r.Outcome != escape.NotTestable
				if r.Outcome == escape.Open {
					open = append(open, fmt.Sprintf("%s %s (%s)", r.ID, r.Name, r.Detail))
				} else {
					t.Logf("still %s: %s %s %s", r.Outcome, r.ID, r.Name, r.Detail)
				}
			}
			switch {
			case !testable:
				t.Logf("not testable here: %v", w.Attempts)
			case len(open) == 0 && w.Redundant == "":
				t.Errorf("without it, none of %v succeeds: it carries no weight", w.Attempts)
			case len(open) == 0:
				t.Logf("redundant: %s", w.Redundant)
			case w.Redundant != "":
				t.Errorf("it is said to be redundant, but without it %v succeed", open)
			default:
				t.Logf("without it: %v", open)
			}
		})
	}
}

// controls are what came of attempts without a sandbox, for all backends and
// walls that are tested in this process.
var controls escape.Controls

// attempts runs the suite, or a part of it.
func attempts(t *testing.T, box *sandbox.Sandbox, only []string) []escape.Result {
	t.Helper()
	results, err := escape.Run(t.Context(), box, localbox.New(), &escape.Options{Args: []string{EscapeArg}, Only: only, Controls: &controls})
	if errors.Is(err, escape.ErrUnsupported) {
		skip(t, err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	return results
}
