//go:build linux

package usage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const mib = 1 << 20

func write(t *testing.T, path string, size int) {
	t.Helper()
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
}

// measured is what was added to dir since the disk was made.
func measured(t *testing.T, d *Disk, pid int) int64 {
	t.Helper()
	if err := d.measure(t.Context(), pid); err != nil {
		t.Fatal(err)
	}
	return d.used
}

func TestMeasure(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "before"), 3*mib)
	write(t, filepath.Join(outside, "big"), 9*mib)
	d, err := NewDisk(t.Context(), []string{dir}, mib)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func() error
		want int64
	}{
		{"nothing", func() error { return nil }, 0},
		{"a file", func() error { write(t, filepath.Join(dir, "file"), mib); return nil }, mib},
		{"another name of it", func() error { return os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "second")) }, mib},
		{"a link out of the folder", func() error { return os.Symlink(outside, filepath.Join(dir, "out")) }, mib + fileBytes},
		{"an empty file", func() error { write(t, filepath.Join(dir, "empty"), 0); return nil }, mib + 2*fileBytes},
		{"a pipe", func() error { return unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600) }, mib + 3*fileBytes},
		{"a hole", func() error {
			write(t, filepath.Join(dir, "hole"), 0)
			return os.Truncate(filepath.Join(dir, "hole"), 1<<40)
		}, mib + 4*fileBytes},
		{"a folder in a folder", func() error { return os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700) }, mib + 6*fileBytes},
		{"less than before", func() error { return os.Remove(filepath.Join(dir, "before")) }, mib + 6*fileBytes - 3*mib},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := measured(t, d, 0); got != step.want {
			t.Errorf("%s: got %d, want %d", step.name, got, step.want)
		}
	}
}

func TestDeletedCounts(t *testing.T) {
	dir := t.TempDir()
	d, err := NewDisk(t.Context(), []string{dir}, mib)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "gone"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 2*mib)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if got := measured(t, d, os.Getpid()); got != 2*mib {
		t.Errorf("got %d, want %d", got, 2*mib)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, mib, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := measured(t, d, os.Getpid()); got != 2*mib && os.Geteuid() == 0 {
		t.Errorf("mapped: got %d, want %d", got, 2*mib)
	}
	if err := unix.Munmap(mapped); err != nil {
		t.Fatal(err)
	}
	if got := measured(t, d, os.Getpid()); got != 0 {
		t.Errorf("closed: got %d, want 0", got)
	}
}

// TestHiding refuses what it cannot look into.
func TestHiding(t *testing.T) {
	dir := t.TempDir()
	d, err := NewDisk(t.Context(), []string{dir}, mib)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", maxDepth+1)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.measure(t.Context(), 0); !errors.Is(err, errDeep) {
		t.Errorf("got %v, want %v", err, errDeep)
	}
	if _, err := d.Watch(t.Context(), 0); !errors.Is(err, errDeep) {
		t.Errorf("got %v, want it told", err)
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	d, err := NewDisk(t.Context(), []string{dir}, 4*mib)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "fits"), 3*mib)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if used, err := d.Watch(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %d, %v for less than the limit; want nothing", used, err)
	}
	go func() {
		os.WriteFile(filepath.Join(dir, "too much"), make([]byte, 2*mib), 0o600) // the watch would not end otherwise
	}()
	if used, err := d.Watch(t.Context(), 0); err != nil || used <= 4*mib {
		t.Errorf("got %d, %v; want more than the limit", used, err)
	}
}

// TestPause looks more often the less is left.
func TestPause(t *testing.T) {
	d := &Disk{limit: 10 << 30}
	for _, c := range []struct {
		used, gone int64
		want       time.Duration
	}{
		{0, 0, maxPause}, {10<<30 - 200*mib, 0, 97656250 * time.Nanosecond}, {9 << 30, 1 << 30, minPause}, {11 << 30, 0, minPause},
	} {
		d.used = c.used
		if got := d.pause(c.gone); got != c.want {
			t.Errorf("used %d, gone %d: got %v, want %v", c.used, c.gone, got, c.want)
		}
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := NewDisk(t.Context(), []string{filepath.Join(t.TempDir(), "none")}, mib); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}
