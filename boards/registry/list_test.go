package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestList(t *testing.T) {
	h := newHome(t)
	if list, err := h.List(t.Context()); len(list) != 0 || err != nil {
		t.Errorf("empty home: got %v, %v", list, err)
	}
	ids := map[string]string{}
	for _, slug := range []string{"bad", "free", "gone", "old", "used"} {
		ids[slug] = makeBoard(t, h, slug, 2).String()
	}
	_, err := h.Archive(t.Context(), "old")
	fatal(t, err)
	fatal(t, os.RemoveAll(h.Paths("gone").Dir))
	fatal(t, os.Chmod(h.Paths("bad").DB, 0o644))
	if _, err := h.Hold(t.Context(), "bad", 0, nil); !errors.As(err, new(*QuarantinedError)) {
		t.Errorf("got %v, want quarantined", err)
	}
	fatal(t, h.SetCurrent("free"))
	used := hold(t, h, "used")
	fatal(t, used.Serving("/u.sock"))

	list, err := h.List(t.Context())
	fatal(t, err)
	var got []string
	for _, e := range list {
		got = append(got, e.Slug+" "+string(e.State))
		if e.Board.String() != ids[e.Slug] {
			t.Errorf("%s: got id %s, want %s", e.Slug, e.Board, ids[e.Slug])
		}
		if (e.Bytes == 0) != (e.Slug == "gone") || (e.Archived != 0) != (e.Slug == "old") {
			t.Errorf("%s: got %+v", e.Slug, e)
		}
		if (e.Quarantine != nil) != (e.State == Quarantined) || (e.Holder != nil) != (e.State == InUse) {
			t.Errorf("%s: got %+v", e.Slug, e)
		}
		if e.Holder != nil && e.Holder.Socket != "/u.sock" {
			t.Errorf("holder: got %+v", e.Holder)
		}
	}
	want := "bad quarantined, free free, gone quarantined, used held, old archived"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %v", got, want)
	}
	hold(t, h, "free") // looking at it has not taken it
}

func TestArchive(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	fatal(t, h.SetCurrent("acme"))
	held := hold(t, h, "acme")
	if _, err := h.Archive(t.Context(), "acme"); !errors.As(err, new(*HeldError)) {
		t.Errorf("archived under its owner: %v", err)
	}
	dir, err := held.Archive(t.Context())
	fatal(t, err)
	if parent := filepath.Join(h.dir, "boards", "_archived"); filepath.Dir(dir) != parent || !strings.HasPrefix(filepath.Base(dir), "acme-") {
		t.Errorf("got folder %s", dir)
	}
	if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.Is(err, ErrNoBoard) {
		t.Errorf("afterwards: got %v, want ErrNoBoard", err)
	}
	if got, err := h.Current(); got != "" || err != nil {
		t.Errorf("current: got %q, %v, want none", got, err)
	}
	if again := makeBoard(t, h, "acme", 1); again == id {
		t.Error("the new board has the old one's id")
	}
	// The archived board over the new one is the wrong board.
	b := readFile(t, filepath.Join(dir, "board.db"))
	writeFile(t, h.Paths("acme").DB, b)
	var q *QuarantinedError
	if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, &q) || q.Problem != Swapped {
		t.Errorf("got %v, want swapped", err)
	}
	if _, _, err := h.HoldAccepting(t.Context(), "acme", nil); !errors.As(err, &q) || !strings.Contains(q.Hint, "_archived") {
		t.Errorf("accept: got %v, want a refusal while the archived one is there", err)
	}
}

func TestArchivedBoardTakenBack(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	dir, err := h.Archive(t.Context(), "acme")
	fatal(t, err)
	fatal(t, os.Rename(dir, h.Paths("acme").Dir))
	held, q, err := h.HoldAccepting(t.Context(), "acme", nil)
	fatal(t, err)
	if q.Problem != Swapped || held.Board() != id {
		t.Errorf("got %v, want swapped", q)
	}
	fatal(t, held.AnchorReset(held.Log().Head()))
	fatal(t, held.Release())
	hold(t, h, "acme")
}

func TestDelete(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	fatal(t, hold(t, h, "acme").Delete(t.Context()))
	makeBoard(t, h, "acme", 1)
	fatal(t, os.Truncate(h.Paths("acme").DB, 0))
	fatal(t, h.Delete(t.Context(), "acme"))
	makeBoard(t, h, "acme", 1)
	fatal(t, os.RemoveAll(h.Paths("acme").Dir))
	if _, err := h.Create(t.Context(), "acme", genesis(1), nil); !errors.As(err, new(*QuarantinedError)) {
		t.Errorf("create over a vanished board: got %v, want quarantined", err)
	}
	fatal(t, h.Delete(t.Context(), "acme"))
	if err := h.Delete(t.Context(), "acme"); !errors.Is(err, ErrNoBoard) {
		t.Errorf("delete again: got %v, want ErrNoBoard", err)
	}
	makeBoard(t, h, "acme", 1)
	for name := range tree(t, filepath.Join(h.dir, "boards")) {
		if strings.HasPrefix(name, gonePrefix) {
			t.Errorf("left behind: %s", name)
		}
	}
	for c, err := range h.Checkpoints(id) {
		if err != nil || c.Head.Seq != 3 {
			t.Errorf("checkpoints of the deleted board: got %v, %v", c, err)
		}
	}
}

func TestLeaveCrashes(t *testing.T) {
	for _, verb := range []string{"archive", "delete"} {
		for _, step := range []string{"announced", "moved"} {
			t.Run(verb+" "+step, func(t *testing.T) {
				h := newHome(t)
				makeBoard(t, h, "acme", 3)
				wantKilled(t, child(t, "leave", h, "acme", step, verb).Run())
				_, err := h.Sweep(t.Context())
				fatal(t, err)
				if step == "announced" {
					fatal(t, hold(t, h, "acme").Release())
					if verb == "archive" {
						_, err = h.Archive(t.Context(), "acme")
					} else {
						err = h.Delete(t.Context(), "acme")
					}
					fatal(t, err)
				}
				if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.Is(err, ErrNoBoard) {
					t.Errorf("got %v, want ErrNoBoard", err)
				}
				makeBoard(t, h, "acme", 1)
				hold(t, h, "acme")
			})
		}
	}
}
