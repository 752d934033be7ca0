package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/hermesboard/hermes/events"
)

func TestReopen(t *testing.T) {
	for _, suspect := range []bool{false, true} {
		t.Run(fmt.Sprintf("suspect %t", suspect), func(t *testing.T) {
			h := newHome(t)
			makeBoard(t, h, "acme", 3)
			var verified []string
			held, err := h.Hold(t.Context(), "acme", 0, &HoldOptions{VerifyChild: func(_ context.Context, path string) error {
				verified = append(verified, path)
				return nil
			}})
			fatal(t, err)
			defer held.Release()
			old := held.Log()
			fatal(t, appendTo(old, 2))
			before, err := os.Stat(held.Paths().DB)
			fatal(t, err)
			log, err := held.Reopen(t.Context(), suspect)
			fatal(t, err)
			if log != held.Log() || log == old || log.Head() != old.Head() {
				t.Errorf("got head %v, want %v", log.Head(), old.Head())
			}
			if err := appendTo(old, 1); !errors.Is(err, events.ErrClosed) {
				t.Errorf("the former log: got %v, want ErrClosed", err)
			}
			after, err := os.Stat(held.Paths().DB)
			fatal(t, err)
			if os.SameFile(before, after) == suspect {
				t.Errorf("same file %t, want %t", !suspect, !suspect)
			}
			if len(verified) == 0 || verified[len(verified)-1] != held.Paths().DB {
				t.Errorf("verified %q, want %s last", verified, held.Paths().DB)
			}
			fatal(t, held.Moved())
			fatal(t, appendTo(log, 1))
			fatal(t, held.Anchor(log.Head()))
			if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, new(*HeldError)) {
				t.Errorf("the lock was lost: %v", err)
			}
			if exists(h.boards, "acme/"+suspectFile) || exists(h.boards, "acme/board.db.new") {
				t.Error("something is left of the copy")
			}
		})
	}
}

func TestReopenFindsProblems(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 3)
	held := hold(t, h, "acme")
	old := readFile(t, held.Paths().DB)
	fatal(t, appendTo(held.Log(), 2))
	fatal(t, held.Anchor(held.Log().Head()))
	fatal(t, held.Log().Close())
	writeFile(t, held.Paths().DB, old)
	var q *QuarantinedError
	if _, err := held.Reopen(t.Context(), false); !errors.As(err, &q) || q.Problem != RolledBack || q.MissingFrom != 4 || q.MissingTo != 5 {
		t.Errorf("got %v, want rolled back", err)
	}
	fatal(t, held.Release())
	if got := readFile(t, held.Paths().Lock); len(got) == 0 {
		t.Error("released in doubt, but the lock is empty as if clean")
	}
}

func TestReopenFailsAndGoesOn(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 3)
	broken := errors.New("no child could be started")
	var fail error
	held, err := h.Hold(t.Context(), "acme", 0, &HoldOptions{VerifyChild: func(context.Context, string) error { return fail }})
	fatal(t, err)
	defer held.Release()
	for _, suspect := range []bool{false, true} {
		fail = broken
		if _, err := held.Reopen(t.Context(), suspect); !errors.Is(err, broken) {
			t.Fatalf("got %v, want %v", err, broken)
		}
		fail = nil
		log, err := held.Reopen(t.Context(), false)
		fatal(t, err)
		fatal(t, appendTo(log, 1))
	}
	if exists(h.boards, "acme/"+suspectFile) {
		t.Error("still suspect after a copy")
	}
}

func TestCopyForwardCrashes(t *testing.T) {
	for _, step := range []string{"copied", "swapped"} {
		t.Run(step, func(t *testing.T) {
			h := newHome(t)
			makeBoard(t, h, "acme", 3)
			wantKilled(t, child(t, "reopen", h, "acme", step).Run())
			before, err := os.Stat(h.Paths("acme").DB)
			fatal(t, err)
			if !exists(h.boards, "acme/"+suspectFile) {
				t.Fatal("no mark of suspicion is left")
			}
			held := hold(t, h, "acme")
			if !held.Unclean() || held.Log().Head().Seq != 3 {
				t.Errorf("got unclean %t, head %d, want true and 3", held.Unclean(), held.Log().Head().Seq)
			}
			after, err := os.Stat(h.Paths("acme").DB)
			fatal(t, err)
			if os.SameFile(before, after) {
				t.Error("the suspect file is still in use")
			}
			if exists(h.boards, "acme/"+suspectFile) || exists(h.boards, "acme/board.db.new") {
				t.Error("something is left of the copy")
			}
		})
	}
}

func TestSuspectDamagedFile(t *testing.T) {
	s := newSpoiled(t)
	fatal(t, createFile(s.h.boards, "acme/"+suspectFile, nil))
	fatal(t, overwrite(s.paths.DB, 0, 2*4096))
	var q *QuarantinedError
	if _, err := s.h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, &q) || q.Problem != Suspect {
		t.Errorf("got %v, want suspect", err)
	}
	fatal(t, os.Remove(s.paths.DB))
	if _, err := s.h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, &q) || q.Problem != Missing {
		t.Errorf("got %v, want missing", err)
	}
}
