package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// spoiled is a board of 9 events, anchored at 3, 6 and 9, beside another one
// of 4, before something happens to it.
type spoiled struct {
	t     *testing.T
	h     *Home
	id    events.BoardID
	other events.BoardID
	old   []byte // board.db at position 6
	paths Paths
}

func newSpoiled(t *testing.T) *spoiled {
	h := newHome(t)
	s := &spoiled{t: t, h: h, paths: h.Paths("acme")}
	s.other = makeBoard(t, h, "other", 4)
	s.id = makeBoard(t, h, "acme", 3)
	extend(t, h, "acme", 3)
	s.old = readFile(t, s.paths.DB)
	extend(t, h, "acme", 3)
	return s
}

func (s *spoiled) anchor(name string) string {
	return filepath.Join(s.h.dir, anchorDir(s.id), name)
}

var spoilings = []struct {
	name     string
	spoil    func(s *spoiled) error
	problem  Problem
	from, to uint64 // missing
	accepted bool   // a person's word is enough
}{
	{"older copy put back", func(s *spoiled) error { return os.WriteFile(s.paths.DB, s.old, 0o600) }, RolledBack, 7, 9, true},
	{"another board's file", func(s *spoiled) error {
		return os.WriteFile(s.paths.DB, readFile(s.t, s.h.Paths("other").DB), 0o600)
	}, Swapped, 0, 0, false},
	{"another board's file, which is gone", func(s *spoiled) error {
		b := readFile(s.t, s.h.Paths("other").DB)
		return errors.Join(os.RemoveAll(s.h.Paths("other").Dir), os.WriteFile(s.paths.DB, b, 0o600))
	}, Swapped, 0, 0, true},
	{"no bytes", func(s *spoiled) error { return os.Truncate(s.paths.DB, 0) }, Empty, 1, 9, false},
	{"cut off", func(s *spoiled) error { return os.Truncate(s.paths.DB, 3*4096) }, Truncated, 0, 0, false},
	{"file gone", func(s *spoiled) error { return os.Remove(s.paths.DB) }, Missing, 1, 9, false},
	{"folder gone", func(s *spoiled) error { return os.RemoveAll(s.paths.Dir) }, Missing, 1, 9, false},
	{"meta pages overwritten", func(s *spoiled) error { return overwrite(s.paths.DB, 0, 2*4096) }, Damaged, 0, 0, false},
	{"second name", func(s *spoiled) error { return os.Link(s.paths.DB, s.paths.DB+"2") }, Linked, 0, 0, false},
	{"symbolic link", func(s *spoiled) error {
		return errors.Join(os.Rename(s.paths.DB, s.paths.DB+"2"), os.Symlink("board.db2", s.paths.DB))
	}, NotRegular, 0, 0, false},
	{"folder a link", func(s *spoiled) error {
		return errors.Join(os.RemoveAll(s.paths.Dir), os.Symlink("other", s.paths.Dir))
	}, NotRegular, 0, 0, false},
	{"mode", func(s *spoiled) error { return os.Chmod(s.paths.DB, 0o644) }, WrongMode, 0, 0, false},
	{"lock gone", func(s *spoiled) error { return os.Remove(s.paths.Lock) }, LockMissing, 0, 0, true},
	{"anchor gone", func(s *spoiled) error { return os.RemoveAll(s.anchor("")) }, AnchorMissing, 0, 0, true},
	{"key gone", func(s *spoiled) error { return os.Remove(s.anchor("key")) }, KeyMissing, 0, 0, true},
	{"key of another board", func(s *spoiled) error {
		return os.WriteFile(s.anchor("key"), readFile(s.t, filepath.Join(s.h.dir, anchorDir(s.other), "key")), 0o600)
	}, AnchorDamaged, 0, 0, true},
	{"place gone", func(s *spoiled) error { return os.Remove(s.anchor("slug")) }, AnchorDamaged, 0, 0, true},
	{"checkpoints gone", func(s *spoiled) error { return os.Remove(s.anchor("log")) }, AnchorDamaged, 0, 0, true},
	{"no checkpoint", func(s *spoiled) error { return os.Truncate(s.anchor("log"), 0) }, AnchorDamaged, 0, 0, true},
	{"last checkpoint edited", func(s *spoiled) error {
		b := readFile(s.t, s.anchor("log"))
		return os.WriteFile(s.anchor("log"), bytes.Replace(b, []byte(`\n9\n`), []byte(`\n8\n`), 1), 0o600)
	}, AnchorDamaged, 0, 0, true},
	{"other history", func(s *spoiled) error {
		// From position 6 on, with the same checkpoints kept away meanwhile.
		signed := readFile(s.t, s.anchor("log"))
		lines := bytes.SplitAfter(signed, []byte("\n"))
		writeFile(s.t, s.paths.DB, s.old)
		writeFile(s.t, s.anchor("log"), bytes.Join(lines[:2], nil))
		extend(s.t, s.h, "acme", 1)
		extend(s.t, s.h, "acme", 4)
		return os.WriteFile(s.anchor("log"), signed, 0o600)
	}, RootMismatch, 0, 0, true},
	{"other and shorter history", func(s *spoiled) error {
		signed := readFile(s.t, s.anchor("log"))
		writeFile(s.t, s.paths.DB, s.old)
		writeFile(s.t, s.anchor("log"), bytes.SplitAfter(signed, []byte("\n"))[0])
		a, err := s.h.loadAnchor(s.id)
		fatal(s.t, err)
		fatal(s.t, a.sign(events.Head{Seq: 6, Root: events.DigestOf([]byte("forged"))}, false))
		fatal(s.t, a.sign(events.Head{Seq: 9, Root: events.DigestOf([]byte("forged"))}, false))
		return nil
	}, RootMismatch, 0, 0, true},
}

func overwrite(path string, from, to int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xEE}, int(to-from)), from)
	return errors.Join(err, f.Close())
}

func TestSpoiledBoardIsQuarantined(t *testing.T) {
	for _, tt := range spoilings {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpoiled(t)
			fatal(t, tt.spoil(s))
			before := tree(t, s.h.dir)

			q, err := s.h.Examine(t.Context(), "acme", nil)
			if err != nil || q == nil || q.Problem != tt.problem {
				t.Fatalf("Examine: got %v, %v, want %s", q, err, tt.problem)
			}
			if diff := changed(before, tree(t, s.h.dir)); diff != "" {
				t.Errorf("Examine changed %s", diff)
			}
			_, err = s.h.Hold(t.Context(), "acme", 0, nil)
			if !errors.As(err, &q) || q.Problem != tt.problem {
				t.Fatalf("Hold: got %v, want %s", err, tt.problem)
			}
			if q.MissingFrom != tt.from || q.MissingTo != tt.to || q.Slug != "acme" || q.Detail == "" || q.Hint == "" {
				t.Errorf("got %+v, want missing %d–%d", q, tt.from, tt.to)
			}
			if said := strings.Contains(q.Error(), fmt.Sprintf("events %d–%d were acknowledged and are gone", tt.from, tt.to)); said != (tt.to > 0) {
				t.Errorf("message: got %q", q)
			}
			if diff := changed(before, tree(t, s.h.dir)); diff != "" && diff != "boards/acme/quarantine" {
				t.Errorf("Hold changed %s", diff)
			}
			if _, err := s.h.Create(t.Context(), "acme", genesis(1), nil); err == nil {
				t.Error("a quarantined board could be created anew")
			}
			if exists(s.h.boards, "other") {
				hold(t, s.h, "other")
			}
		})
	}
}

func TestAccept(t *testing.T) {
	for _, tt := range spoilings {
		t.Run(tt.name, func(t *testing.T) {
			s := newSpoiled(t)
			fatal(t, tt.spoil(s))
			_, err := s.h.Hold(t.Context(), "acme", 0, nil)
			held, q, err2 := s.h.HoldAccepting(t.Context(), "acme", nil)
			if !tt.accepted {
				if !errors.As(err2, &q) || q.Problem != tt.problem || held != nil {
					t.Errorf("got %v, want the board to stay quarantined", err2)
				}
				return
			}
			if err == nil || err2 != nil || (q == nil) != (tt.problem == LockMissing) || q != nil && q.Problem != tt.problem {
				t.Fatalf("got %v, %v, want the board in spite of %s", q, err2, tt.problem)
			}
			key, _ := s.h.VerifierKey(held.Board()) // none if it was spoiled
			fatal(t, appendTo(held.Log(), 1))
			if tt.problem != LockMissing {
				if _, err := s.h.Examine(t.Context(), "acme", nil); err == nil {
					t.Error("Examine got in while the board was held")
				}
			}
			fatal(t, held.AnchorReset(held.Log().Head()))
			if got := held.Anchored(); got != held.Log().Head() {
				t.Errorf("anchored: got %v, want %v", got, held.Log().Head())
			}
			if got := held.VerifierKey(); got == "" || key != "" && got != key {
				t.Errorf("key: got %q, want %q", got, key)
			}
			fatal(t, held.Release())
			extend(t, s.h, "acme", 2)
			held = hold(t, s.h, "acme")
			if held.Unclean() {
				t.Error("afterwards: the stop counts as unclean")
			}
			if list, err := s.h.List(t.Context()); err != nil || list[0].Slug != "acme" || list[0].Board != held.Board() || list[0].State != InUse || list[0].Quarantine != nil {
				t.Errorf("List: got %+v, %v", list, err)
			}
		})
	}
}

func TestFolderRenamedByHand(t *testing.T) {
	h := newHome(t)
	id := makeBoard(t, h, "acme", 3)
	fatal(t, os.Rename(h.Paths("acme").Dir, h.Paths("shop").Dir))
	var q *QuarantinedError
	if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, &q) || q.Problem != Missing {
		t.Errorf("old name: got %v, want missing", err)
	}
	if _, err := h.Hold(t.Context(), "shop", 0, nil); !errors.As(err, &q) || q.Problem != Swapped || q.Board != id {
		t.Errorf("new name: got %v, want swapped", err)
	}
	held, _, err := h.HoldAccepting(t.Context(), "shop", nil)
	fatal(t, err)
	fatal(t, held.AnchorReset(held.Log().Head()))
	fatal(t, held.Release())
	hold(t, h, "shop")
	if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.Is(err, ErrNoBoard) {
		t.Errorf("old name afterwards: got %v, want ErrNoBoard", err)
	}
}

// Until the reset is signed, a crash leaves the board quarantined.
func TestAcceptCutOff(t *testing.T) {
	s := newSpoiled(t)
	writeFile(t, s.paths.DB, s.old)
	held, q, err := s.h.HoldAccepting(t.Context(), "acme", nil)
	fatal(t, err)
	if q.Anchored.Seq != 9 || q.Found.Seq != 6 || q.Board != s.id {
		t.Errorf("got %+v, want 6 of 9", q)
	}
	fatal(t, appendTo(held.Log(), 1))
	fatal(t, held.Release())
	if _, err := s.h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, &q) || q.MissingFrom != 8 {
		t.Errorf("got %v, want still rolled back", err)
	}
}

func TestCheckpointsStayAfterReset(t *testing.T) {
	s := newSpoiled(t)
	writeFile(t, s.paths.DB, s.old)
	held, _, err := s.h.HoldAccepting(t.Context(), "acme", nil)
	fatal(t, err)
	fatal(t, appendTo(held.Log(), 1))
	fatal(t, held.AnchorReset(held.Log().Head()))
	fatal(t, held.Release())
	var got []string
	for c, err := range s.h.Checkpoints(s.id) {
		fatal(t, err)
		got = append(got, fmt.Sprint(c.Head.Seq, c.Reset))
	}
	if want := "[3 false 6 false 9 false 7 true]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// The mark goes when the board is put right, but what a child found only a
// child can declare gone.
func TestQuarantineIsLifted(t *testing.T) {
	s := newSpoiled(t)
	good := readFile(t, s.paths.DB)
	writeFile(t, s.paths.DB, s.old)
	var first, q *QuarantinedError
	_, err := s.h.Hold(t.Context(), "acme", 0, nil)
	if !errors.As(err, &first) {
		t.Fatal(err)
	}
	_, err = s.h.Hold(t.Context(), "acme", 0, nil)
	if !errors.As(err, &q) || q.Since != first.Since {
		t.Errorf("since: got %v, want %v as first seen", q.Since, first.Since)
	}
	fatal(t, json.Unmarshal(readFile(t, filepath.Join(s.paths.Dir, "quarantine")), q))
	if *q != *first {
		t.Errorf("file: got %+v, want %+v", q, first)
	}
	writeFile(t, s.paths.DB, good)
	fatal(t, hold(t, s.h, "acme").Release())
	if exists(s.h.boards, "acme/quarantine") {
		t.Error("the mark is still there")
	}

	found := fmt.Errorf("%w: page 7", events.ErrDamaged)
	o := &HoldOptions{VerifyChild: func(context.Context, string) error { return found }}
	o.Log.LongLived = true
	if _, err := s.h.Hold(t.Context(), "acme", 0, o); !errors.As(err, &q) || q.Problem != Damaged {
		t.Fatalf("got %v, want damaged", err)
	}
	if _, err := s.h.Hold(t.Context(), "acme", 0, nil); !errors.As(err, &q) || q.Problem != Damaged || !strings.Contains(q.Detail, "page 7") {
		t.Errorf("without a child: got %v, want still damaged", err)
	}
	if _, _, err := s.h.HoldAccepting(t.Context(), "acme", nil); !errors.As(err, &q) {
		t.Errorf("accept without a child: got %v, want still damaged", err)
	}
	found = nil
	o.Log.LongLived = false
	held, err := s.h.Hold(t.Context(), "acme", 0, o)
	fatal(t, err)
	fatal(t, held.Release())
}

func TestNotAReasonForQuarantine(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	makeBoard(t, h, "acme", 2)
	path := h.Paths("acme").DB
	log, err := boltlog.Open(path, nil)
	fatal(t, err)
	if _, err := h.Hold(t.Context(), "acme", 0, nil); !errors.Is(err, boltlog.ErrLocked) {
		t.Errorf("file in use: got %v, want ErrLocked", err)
	}
	fatal(t, log.Close())
	fatal(t, hold(t, h, "acme").Release())

	newer := &boltlog.NewerError{Path: path, Needs: 2, Have: 1}
	if f, err := (findings{}).blame(newer); f.flaw != nil || err != newer {
		t.Errorf("newer format: got %v, %v, want the error as it is", f.flaw, err)
	}
	if exists(h.boards, "acme/"+quarantineFile) {
		t.Error("the board was set aside")
	}
}

func TestCancelledVerificationIsNoVerdict(t *testing.T) {
	s := newSpoiled(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := &HoldOptions{VerifyChild: func(context.Context, string) error {
		cancel()
		return fmt.Errorf("%w: the child was killed", events.ErrDamaged)
	}}
	o.Log.LongLived = true
	if _, err := s.h.Hold(ctx, "acme", 0, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want cancelled", err)
	}
	fatal(t, hold(t, s.h, "acme").Release())
}

// tree returns the contents of all files below dir, by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	fatal(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		switch {
		case d.IsDir():
			files[rel] = "folder"
		case d.Type().IsRegular():
			files[rel] = string(readFile(t, path))
		default:
			files[rel] = d.Type().String()
		}
		return nil
	}))
	return files
}

// changed names the first file that differs.
func changed(before, after map[string]string) string {
	for name, b := range before {
		if a, ok := after[name]; !ok || a != b {
			return name
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			return name
		}
	}
	return ""
}
