package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

var createSteps = []string{"folder", "locked", "log", "genesis", "anchor", "signed", "renamed"}

func TestCreate(t *testing.T) {
	h := newHome(t)
	var given events.BoardID
	held, err := h.Create(t.Context(), "Acme", func(log *boltlog.Log, id events.BoardID, _ string) error {
		given = id
		return genesis(2)(log, id, "")
	}, nil)
	fatal(t, err)
	defer held.Release()
	if held.Slug() != "acme" || held.Board() != given || held.Log().Meta().Board != given || held.Log().Meta().Slug != "acme" {
		t.Errorf("got board %s %q, want %s", held.Board(), held.Slug(), given)
	}
	fatal(t, held.Moved())
	if got := held.Anchored(); got != held.Log().Head() || got.Seq != 2 {
		t.Errorf("anchored: got %v, want %v", got, held.Log().Head())
	}
	fatal(t, appendTo(held.Log(), 1))
	fatal(t, held.Anchor(held.Log().Head()))
	if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, new(*HeldError)) {
		t.Errorf("the new board is not held: %v", err)
	}
	for _, dir := range []string{held.Paths().Snap, held.Paths().Artifacts, held.Paths().Runs, held.Paths().State} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got %v, want a folder with mode 0700", dir, err)
		}
	}
	var there *ExistsError
	if _, err := h.Create(t.Context(), "ACME", genesis(1), nil); !errors.As(err, &there) || there.Slug != "acme" {
		t.Errorf("again: got %v, want an ExistsError", err)
	}
	if _, err := h.Create(t.Context(), "../acme", genesis(1), nil); !errors.As(err, new(*SlugError)) {
		t.Errorf("bad slug: got %v, want a SlugError", err)
	}
}

func TestCreateRace(t *testing.T) {
	h := newHome(t)
	var wg sync.WaitGroup
	results := make(chan error, 4)
	for range cap(results) {
		wg.Go(func() {
			held, err := h.Create(t.Context(), "acme", genesis(1), nil)
			if err == nil {
				err = held.Release()
			}
			results <- err
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if !errors.As(err, new(*ExistsError)) {
			t.Errorf("loser: got %v, want an ExistsError", err)
		}
	}
	if won != 1 {
		t.Errorf("%d creates won, want 1", won)
	}
	wantWholeBoards(t, h, 1)
}

// wantWholeBoards checks that there are n boards, each can be held, and
// nothing else is left.
func wantWholeBoards(t *testing.T, h *Home, n int) {
	t.Helper()
	list, err := h.List(t.Context())
	fatal(t, err)
	if len(list) != n {
		t.Errorf("got %d boards, want %d: %+v", len(list), n, list)
	}
	for _, e := range list {
		held := hold(t, h, e.Slug)
		if held.Board() != e.Board || held.Anchored() != held.Log().Head() {
			t.Errorf("board %s: got %s at %v, want %s at %v", e.Slug, held.Board(), held.Anchored(), e.Board, held.Log().Head())
		}
		fatal(t, held.Release())
	}
	ids, err := h.anchored()
	fatal(t, err)
	if len(ids) != n {
		t.Errorf("got %d anchors, want %d", len(ids), n)
	}
	for name := range tree(t, h.dir) {
		if strings.Contains(name, newPrefix) || strings.Contains(name, ".tmp") {
			t.Errorf("left behind: %s", name)
		}
	}
}

func TestCreateFails(t *testing.T) {
	for _, step := range createSteps {
		t.Run(step, func(t *testing.T) {
			h := newHome(t)
			broken := errors.New("broken")
			h.fault = func(s string) error {
				if s == step {
					return broken
				}
				return nil
			}
			if _, err := h.Create(t.Context(), "acme", genesis(1), nil); !errors.Is(err, broken) {
				t.Fatalf("got %v, want %v", err, broken)
			}
			h.fault = nil
			if step == "renamed" {
				wantWholeBoards(t, h, 1)
				return
			}
			wantWholeBoards(t, h, 0)
			makeBoard(t, h, "acme", 1)
			wantWholeBoards(t, h, 1)
		})
	}
}

func TestCreateNeedsGenesis(t *testing.T) {
	h := newHome(t)
	broken := errors.New("broken")
	fails := func(*boltlog.Log, events.BoardID, string) error { return broken }
	if _, err := h.Create(t.Context(), "acme", fails, nil); !errors.Is(err, broken) {
		t.Errorf("genesis fails: got %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancels := func(log *boltlog.Log, id events.BoardID, _ string) error {
		cancel()
		return genesis(1)(log, id, "")
	}
	if _, err := h.Create(ctx, "acme", cancels, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	if _, err := h.Create(t.Context(), "acme", genesis(0), nil); err == nil {
		t.Error("a board without events was created")
	}
	wantWholeBoards(t, h, 0)
}

func TestCreateCrashes(t *testing.T) {
	for _, step := range createSteps {
		t.Run(step, func(t *testing.T) {
			h := newHome(t)
			wantKilled(t, child(t, "create", h, "acme", step).Run())
			_, err := h.Hold(t.Context(), "acme", 0, nil)
			if step == "renamed" {
				fatal(t, err)
				return
			}
			if !errors.Is(err, ErrNoBoard) {
				t.Errorf("got %v, want no board", err)
			}
			if list, err := h.List(t.Context()); len(list) != 0 || err != nil {
				t.Errorf("List: got %+v, %v, want none", list, err)
			}
			if step == "folder" { // too young to be known as litter
				makeOlder(t, h, 2*youngest)
			}
			swept, err := h.Sweep(t.Context())
			if len(swept) != 1 || err != nil {
				t.Errorf("Sweep: got %v, %v, want one folder", swept, err)
			}
			wantWholeBoards(t, h, 0)
			makeBoard(t, h, "acme", 1)
			wantWholeBoards(t, h, 1)
		})
	}
}

// The litter of a crash must not keep its name from being used.
func TestCreateOverLitter(t *testing.T) {
	h := newHome(t)
	wantKilled(t, child(t, "create", h, "acme", "signed").Run())
	makeBoard(t, h, "acme", 2)
	_, err := h.Sweep(t.Context())
	fatal(t, err)
	wantWholeBoards(t, h, 1)
}

func TestSweepLeavesWorkAlone(t *testing.T) {
	h := newHome(t)
	for _, step := range createSteps[:6] {
		h.fault = func(s string) error {
			if s != step {
				return nil
			}
			if swept, err := h.Sweep(t.Context()); len(swept) != 0 || err != nil {
				t.Errorf("at %s: Sweep removed %v, %v", step, swept, err)
			}
			return nil
		}
		makeBoard(t, h, fmt.Sprintf("at-%s", step), 1)
	}
	h.fault = nil
	wantWholeBoards(t, h, 6)
}

func makeOlder(t *testing.T, h *Home, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	entries, err := os.ReadDir(h.dir + "/boards")
	fatal(t, err)
	for _, e := range entries {
		fatal(t, os.Chtimes(h.dir+"/boards/"+e.Name(), then, then))
	}
}
