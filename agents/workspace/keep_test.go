package workspace

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/events"
)

func made(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", path, err)
	}
}

func TestTakeOver(t *testing.T) {
	repo := newRepo(t)
	runs := t.TempDir()
	first, second := filepath.Join(runs, "t7.1"), filepath.Join(runs, "t7.2")
	made(t, first, second)
	c, err := Clone(t.Context(), first, source(repo, ""), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(first, "outputs", "draft"), "half", 0o644)
	if err := os.Chmod(filepath.Join(first, "workspace"), 0o000); err != nil {
		t.Fatal(err)
	}
	if err := TakeOver(runs, events.RunID{Task: 7, N: 1}, events.RunID{Task: 7, N: 2}); err != nil {
		t.Fatal(err)
	}
	if got, err := Open(second); err != nil || *got != *c {
		t.Errorf("got %v, %v, want %v", got, err, c)
	}
	if got := read(t, filepath.Join(second, "outputs", "draft")); got != "half" {
		t.Errorf("got %q", got)
	}
	for _, part := range []string{"workspace", "outputs", checkoutFile} {
		gone(t, filepath.Join(first, part))
	}
	// A run that left nothing is continued from nothing.
	if err := TakeOver(runs, events.RunID{Task: 8, N: 1}, events.RunID{Task: 8, N: 2}); err != nil {
		t.Error(err)
	}
	// A link is not what was made for a run.
	made(t, filepath.Join(runs, "t9.1"), filepath.Join(runs, "t9.2"))
	if err := os.Symlink("/etc", filepath.Join(runs, "t9.1", "workspace")); err != nil {
		t.Fatal(err)
	}
	if err := TakeOver(runs, events.RunID{Task: 9, N: 1}, events.RunID{Task: 9, N: 2}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("got %v, want fs.ErrInvalid", err)
	}
}

func TestEarlier(t *testing.T) {
	runs, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "secret"), "s", 0o666)
	one, two := events.RunID{Task: 7, N: 1}, events.RunID{Task: 7, N: 2}
	old, next := filepath.Join(runs, "t7.1"), filepath.Join(runs, "t7.2")
	write(t, filepath.Join(old, "workspace", "a", "b", "notes"), "n", 0o4666)
	write(t, filepath.Join(old, "outputs", "draft"), "d", 0o200)
	made(t, filepath.Join(old, "workspace", "shut"), next)
	write(t, filepath.Join(old, "spec.json"), "{}", 0o600)
	for from, to := range map[string]string{
		filepath.Join(old, "workspace", "link"): filepath.Join(outside, "secret"), filepath.Join(old, "workspace", "dir"): outside,
	} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Link(filepath.Join(outside, "secret"), filepath.Join(old, "workspace", "hard")),
		unix.Mkfifo(filepath.Join(old, "workspace", "pipe"), 0o666), os.Chmod(filepath.Join(old, "workspace", "shut"), 0)); err != nil {
		t.Fatal(err)
	}
	got, err := Earlier(t.Context(), runs, one, two)
	want := filepath.Join(next, "inputs", "attempt-1")
	if err != nil || got != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
	for name, mode := range map[string]fs.FileMode{
		"workspace": fs.ModeDir | 0o555, "workspace/a/b": fs.ModeDir | 0o555, "workspace/shut": fs.ModeDir | 0o555,
		"workspace/a/b/notes": 0o444, "outputs/draft": 0o400, "workspace/hard": 0o666,
	} {
		if info, err := os.Lstat(filepath.Join(want, name)); err != nil || info.Mode()&^0o022 != mode&^0o022 {
			t.Errorf("%s: got %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
	if info, err := os.Stat(filepath.Join(outside, "secret")); err != nil || info.Mode().Perm()&0o200 == 0 {
		t.Errorf("a file elsewhere was made read-only: %v, %v", info.Mode(), err)
	}
	gone(t, filepath.Join(old, "workspace"))
	if _, err := os.Lstat(filepath.Join(old, "spec.json")); err != nil {
		t.Errorf("more was moved than the folders: %v", err)
	}
	if got, err := Earlier(t.Context(), runs, one, two); err != nil || got != "" {
		t.Errorf("nothing left: got %q, %v", got, err)
	}
	if _, err := Remove(t.Context(), runs, "t7.2"); err != nil {
		t.Errorf("what is read-only cannot be removed: %v", err)
	}
}

func TestEarlierRefuses(t *testing.T) {
	runs := t.TempDir()
	one, two := events.RunID{Task: 7, N: 1}, events.RunID{Task: 7, N: 2}
	made(t, filepath.Join(runs, "t7.1"), filepath.Join(runs, "t7.2"))
	if err := os.Symlink(t.TempDir(), filepath.Join(runs, "t7.1", "workspace")); err != nil {
		t.Fatal(err)
	}
	if _, err := Earlier(t.Context(), runs, one, two); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a link: got %v, want fs.ErrInvalid", err)
	}
	if err := os.Remove(filepath.Join(runs, "t7.1", "workspace")); err != nil {
		t.Fatal(err)
	}
	deep(t, filepath.Join(runs, "t7.1", "workspace"), maxEarlierDepth+1)
	_, err := Earlier(t.Context(), runs, one, two)
	wantCode(t, errors.Unwrap(err), CodeTooLarge)
	if _, err := os.Lstat(filepath.Join(runs, "t7.1", "workspace")); err != nil {
		t.Errorf("it was moved all the same: %v", err)
	}
	gone(t, filepath.Join(runs, "t7.2", "inputs"))
	if _, err := Remove(t.Context(), runs, "t7.1"); err != nil {
		t.Errorf("what is left cannot be removed: %v", err)
	}
}

// deep makes folders in folders, deeper than a path can say.
func deep(t *testing.T, dir string, levels int) {
	t.Helper()
	made(t, dir)
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for i := 0; i < levels && err == nil; i++ {
		var next int
		if err = unix.Mkdirat(fd, "d", 0o755); err == nil {
			next, err = unix.Openat(fd, "d", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		unix.Close(fd)
		fd = next
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}

func TestRemove(t *testing.T) {
	runs, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "keep"), "k", 0o644)
	run := filepath.Join(runs, "t7.1")
	ws := filepath.Join(run, "workspace")
	write(t, filepath.Join(ws, "ro", "sub", "file"), "12345", 0o400)
	write(t, filepath.Join(ws, "file"), "123", 0)
	write(t, filepath.Join(ws, "new\nline", "-rf"), "", 0o644)
	write(t, filepath.Join(run, "outputs", "o"), "x", 0o644)
	write(t, filepath.Join(run, "run.log"), "x", 0o644)
	made(t, filepath.Join(ws, "shut"))
	deep(t, filepath.Join(ws, "deep"), 3000)
	for i, to := range []string{outside, filepath.Join(outside, "keep"), "..", "/"} {
		if err := os.Symlink(to, filepath.Join(ws, "ro", "link"+string(rune('a'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(filepath.Join(ws, "pipe"), 0o600), os.Chmod(filepath.Join(ws, "shut"), 0),
		os.Chmod(filepath.Join(ws, "ro", "sub"), 0o500), os.Chmod(filepath.Join(ws, "ro"), 0o500), os.Chmod(ws, 0o100)); err != nil {
		t.Fatal(err)
	}
	freed, err := Remove(t.Context(), runs, "t7.1/workspace")
	if err != nil || freed != 8 {
		t.Fatalf("got %d bytes, %v, want 8", freed, err)
	}
	gone(t, ws)
	for _, path := range []string{filepath.Join(run, "outputs", "o"), filepath.Join(run, "run.log"), filepath.Join(outside, "keep")} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("more was removed than was named: %v", err)
		}
	}
	if _, err := Remove(t.Context(), runs, "t7.1/workspace"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := Remove(t.Context(), runs, "t7.1"); err != nil {
		t.Fatal(err)
	}
	gone(t, run)
	if _, err := Remove(t.Context(), runs, "t7.1/workspace"); err != nil {
		t.Errorf("of a run that is gone: %v", err)
	}
}

func TestRemoveRefuses(t *testing.T) {
	runs, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "workspace", "keep"), "k", 0o644)
	write(t, filepath.Join(runs, "t1.1", "state", "keep"), "k", 0o644)
	for _, name := range []string{"", ".", "..", "/", "t1.1/..", "t1.1/../..", "t1.1/state", "t1.1/", "t1", "x", "t1.1/workspace/x", "t01.1", "../" + filepath.Base(outside)} {
		if _, err := Remove(t.Context(), runs, name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v, want fs.ErrInvalid", name, err)
		}
	}
	// A link in the place of a run leads nowhere; one in the place of a part goes itself.
	if err := errors.Join(os.Symlink(outside, filepath.Join(runs, "t2.1")), os.Symlink(filepath.Join(outside, "workspace"), filepath.Join(runs, "t1.1", "workspace"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Remove(t.Context(), runs, "t2.1/workspace"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("through a link: got %v, want fs.ErrInvalid", err)
	}
	if _, err := Remove(t.Context(), runs, "t1.1/workspace"); err != nil {
		t.Error(err)
	}
	gone(t, filepath.Join(runs, "t1.1", "workspace"))
	for _, path := range []string{filepath.Join(outside, "workspace", "keep"), filepath.Join(runs, "t1.1", "state", "keep")} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Remove(ctx, runs, "t1.1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := os.Lstat(filepath.Join(runs, "t1.1", "state", "keep")); err != nil {
		t.Errorf("removed after its context had ended: %v", err)
	}
}

func TestSetAside(t *testing.T) {
	runs := t.TempDir()
	run := events.RunID{Task: 7, N: 1}
	dir := filepath.Join(runs, run.String())
	if err := os.MkdirAll(filepath.Join(dir, "workspace"), 0o700); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-1000 * time.Hour)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	if err := SetAside(runs, run, 42); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(runs)
	if err != nil || len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), "t7.1-before-42-") || !IsAside(entries[0].Name()) {
		t.Fatalf("got %v, %v, want t7.1-before-42-…", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.ModTime().Before(long.Add(time.Hour)) {
		t.Errorf("got modified %v, %v, want now", info.ModTime(), err)
	}
	if _, err := Remove(t.Context(), runs, entries[0].Name()); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(runs); err != nil || len(entries) > 0 {
		t.Errorf("after its removal: got %v, %v, want nothing", entries, err)
	}
	for _, name := range []string{"t7.1", "t7.1-before-", "t7.1-before-42", "t7.1-before-x-ABCDEF", "x-before-42-ABCDEF", "t7.1-before-42-ABCDE/", "t7.1-before-42-ABC/../"} {
		if IsAside(name) {
			t.Errorf("%q: got true, want false", name)
		}
	}
}
