//go:build unix

package sshbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestSharedFolder is joined when it is whole, and until the last has left.
func TestSharedFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "base", "root")
	open := func(id string) (*folder, error) {
		f, err := openFolder(root, id)
		if err == nil {
			t.Cleanup(f.close)
		}
		return f, err
	}
	a, err := open("a")
	if err != nil || !a.first {
		t.Fatalf("got %+v, %v; want the first", a, err)
	}
	if _, err := open("b"); !errors.Is(err, errSending) {
		t.Errorf("before it is whole: got %v, want %v", err, errSending)
	}
	if err := a.whole(); err != nil {
		t.Fatal(err)
	}
	b, err := open("b")
	if err != nil || b.first {
		t.Fatalf("got %+v, %v; want it to join", b, err)
	}
	if last, err := a.leave(); err != nil || last {
		t.Errorf("got last %v, %v; want others to have it", last, err)
	}
	c, err := open("c")
	if err != nil || c.first {
		t.Fatalf("got %+v, %v; want it to join those that are left", c, err)
	}
	for _, f := range []*folder{a, b} {
		if err := f.remove(); err != nil {
			t.Error(err)
		}
	}
	if last, err := c.leave(); err != nil || !last {
		t.Errorf("got last %v, %v; want nobody else to have it", last, err)
	}
	if _, err := open("d"); !errors.Is(err, errEnding) {
		t.Errorf("after the last has left: got %v, want %v", err, errEnding)
	}
	if err := c.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the folder removed", err)
	}
	if e, err := open("e"); err != nil || !e.first {
		t.Errorf("got %+v, %v; want a new one", e, err)
	}
}

// TestDeadSessions are swept when all of them are gone.
func TestDeadSessions(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	dead, err := openFolder(filepath.Join(base, "dead"), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.whole(); err != nil {
		t.Fatal(err)
	}
	alive, err := openFolder(filepath.Join(base, "dead"), "b")
	if err != nil {
		t.Fatal(err)
	}
	dead.close()
	next := func(id string, want bool) {
		t.Helper()
		f, err := openFolder(filepath.Join(base, "other"+id), id)
		if err != nil {
			t.Fatal(err)
		}
		defer f.close()
		if _, err := os.Lstat(filepath.Join(base, "dead")); (err == nil) != want {
			t.Errorf("got %v, want it there: %v", err, want)
		}
	}
	next("1", true)
	alive.close()
	next("2", false)
	// One that died before it could lock anything.
	if err := os.Mkdir(filepath.Join(base, "dead"), 0o700); err != nil {
		t.Fatal(err)
	}
	next("3", false)
}
