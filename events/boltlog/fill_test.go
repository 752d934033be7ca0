package boltlog

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A long-lived log writes into pages that have blocks on the disk already.
func TestFill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "board.db")
	l, err := Create(path, Meta{Slug: "eng"}, &Options{LongLived: true})
	if err != nil {
		t.Fatal(err)
	}
	ahead := 0
	const commits = 300
	for range commits {
		var before, after unix.Stat_t
		if err := unix.Fstat(int(l.file.Fd()), &before); err != nil {
			t.Fatal(err)
		}
		appendOne(t, l)
		if err := unix.Fstat(int(l.file.Fd()), &after); err != nil {
			t.Fatal(err)
		}
		if before.Blocks == after.Blocks {
			ahead++
		}
	}
	if ahead < commits*9/10 {
		t.Errorf("%d of %d commits needed no new blocks, want nearly all", ahead, commits)
	}
	l.Close()
	for p := range Verify(t.Context(), path) {
		t.Errorf("verify: %s", p)
	}
}
