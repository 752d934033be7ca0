package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/hermesboard/hermes/events"
)

func TestAnchor(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	held := hold(t, h, "acme")
	first := held.Anchored()
	fatal(t, held.Anchor(first)) // signed already: nothing to do
	fatal(t, appendTo(held.Log(), 2))
	fatal(t, appendTo(held.Log(), 2))
	head := held.Log().Head()
	between, err := held.Log().RootAt(5)
	fatal(t, err)
	fatal(t, held.Anchor(events.Head{Seq: 5, Root: between}))
	fatal(t, held.Anchor(head))

	for name, bad := range map[string]events.Head{
		"before the last":  first,
		"same, other root": {Seq: 7, Root: first.Root},
	} {
		var refused *AnchorError
		if err := held.Anchor(bad); !errors.As(err, &refused) || refused.Last != head {
			t.Errorf("%s: got %v, want an AnchorError", name, err)
		}
	}
	if err := held.Anchor(events.Head{Seq: 8, Root: first.Root}); err == nil {
		t.Error("a head beyond the log was signed")
	}
	if held.Anchored() != head {
		t.Errorf("anchored: got %v, want %v", held.Anchored(), head)
	}

	verifier, err := note.NewVerifier(held.VerifierKey())
	fatal(t, err)
	var seqs []uint64
	for c, err := range h.Checkpoints(id) {
		fatal(t, err)
		seqs = append(seqs, c.Head.Seq)
		if signed, err := events.OpenCheckpoint([]byte(c.Note), verifier); err != nil || signed.Head != c.Head {
			t.Errorf("note: got %v, %v, want %v", signed, err, c.Head)
		}
	}
	if len(seqs) != 3 || seqs[0] != 3 || seqs[1] != 5 || seqs[2] != 7 {
		t.Errorf("checkpoints: got %v, want 3 5 7", seqs)
	}
	if last, err := h.LastCheckpoint(id); err != nil || last.Head != head || last.Time == 0 {
		t.Errorf("last checkpoint: got %v, %v, want %v", last, err, head)
	}
	var other events.BoardID
	if last, err := h.LastCheckpoint(other); err == nil {
		t.Errorf("last checkpoint of no board: got %v", last)
	}
	for _, name := range []string{"key", "log", "slug"} {
		if info, err := os.Stat(filepath.Join(h.dir, anchorDir(id), name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: got %v, want mode 0600", name, info.Mode())
		}
	}
}

// A line that a crash cut off was never relied on.
func TestTornCheckpoint(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	log := filepath.Join(h.dir, anchorDir(id), "log")
	whole := readFile(t, log)
	for _, torn := range []string{`{"time":"20`, strings.TrimSuffix(string(whole), "\n"), "\x00\x00\x00", strings.Repeat("x", 1000)} {
		writeFile(t, log, append(whole[:len(whole):len(whole)], torn...))
		held := hold(t, h, "acme")
		if got := held.Anchored().Seq; got != 3 {
			t.Errorf("after %q: got %d, want 3", torn, got)
		}
		fatal(t, held.Release())
	}
	extend(t, h, "acme", 2)
	if b := readFile(t, log); !strings.HasSuffix(string(b), "}\n") {
		t.Errorf("the torn line is still there: %q", b)
	}
	n := 0
	for _, err := range h.Checkpoints(id) {
		fatal(t, err)
		n++
	}
	if n != 2 {
		t.Errorf("got %d checkpoints, want 2", n)
	}
}

func TestCheckpointsNamesBadLines(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	extend(t, h, "acme", 1)
	extend(t, h, "acme", 1)
	log := filepath.Join(h.dir, anchorDir(id), "log")
	b := strings.Replace(string(readFile(t, log)), `\n4\n`, `\n5\n`, 1)
	writeFile(t, log, []byte(b))
	good, bad := 0, 0
	for _, err := range h.Checkpoints(id) {
		if err == nil {
			good++
		} else if bad++; !errors.Is(err, events.ErrDamaged) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("got %v, want line 2 damaged", err)
		}
	}
	if good != 2 || bad != 1 {
		t.Errorf("got %d good and %d bad lines, want 2 and 1", good, bad)
	}
	if err := errors.Join(first(h.Checkpoints(events.BoardID{1}))); err == nil {
		t.Error("checkpoints of an unknown board: no error")
	}
}

func first(seq func(func(Checkpoint, error) bool)) (err error) {
	seq(func(_ Checkpoint, e error) bool { err = e; return false })
	return err
}

func TestHeldIsConcurrent(t *testing.T) {
	h := newHome(t)
	makeBoard(t, h, "acme", 1)
	held := hold(t, h, "acme")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				_, _, _ = held.Anchored(), held.VerifierKey(), held.Log().Head()
				if err := held.Moved(); err != nil {
					t.Error(err)
				}
				if err := held.Serving("/s"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		fatal(t, appendTo(held.Log(), 1))
		fatal(t, held.Anchor(held.Log().Head()))
		_, err := held.Reopen(t.Context(), false)
		fatal(t, err)
	}
	wg.Wait()
	if held.Anchored().Seq != 4 {
		t.Errorf("anchored: got %d, want 4", held.Anchored().Seq)
	}
}
