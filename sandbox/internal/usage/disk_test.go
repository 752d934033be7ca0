//go:build linux

package usage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	w, err := d.walk(t.Context(), d.tree(pid))
	if err != nil {
		t.Fatal(err)
	}
	return w.bytes - d.before
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
	if _, err := d.walk(t.Context(), nil); !errors.Is(err, errDeep) {
		t.Errorf("got %v, want %v", err, errDeep)
	}
	d.walked = time.Time{} // long ago
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
		{0, 0, maxPause}, {9 << 30, 0, 62500 * time.Microsecond}, {9 << 30, 1 << 30, minPause}, {11 << 30, 0, minPause},
	} {
		d.used = c.used
		if got := d.pause(c.gone); got != c.want {
			t.Errorf("used %d, gone %d: got %v, want %v", c.used, c.gone, got, c.want)
		}
	}
}

// TestOthers has others write: the session is measured, found not to have, and
// may go further unnoticed for a while, but not without end.
func TestOthers(t *testing.T) {
	const limit = 1 << 30 // of which an eighth may go unnoticed
	d := &Disk{places: []string{t.TempDir()}, limit: limit, judged: time.Now(), walked: time.Now()}
	for i, want := range []int64{1, 2, 4, 8, 16, 32, 64, 128, 128} {
		d.free = 1 << 50 // of which most has gone
		if _, err := d.look(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if d.used != 0 || d.slack != want*mib || d.free >= 1<<50 {
			t.Fatalf("alarm %d: got used %d, slack %d, free %d; want 0, %d and what is free", i, d.used, d.slack, d.free, want*mib)
		}
	}
	free := d.free
	if _, err := d.look(t.Context(), 0); err != nil || d.slack != 128*mib || d.free < free {
		t.Errorf("got slack %d, free %d, %v where nothing has gone; want both as they were", d.slack, d.free, err)
	}
	d.judged, d.free = time.Now().Add(-2*calm), 1<<50
	if _, err := d.look(t.Context(), 0); err != nil || d.slack != 0 {
		t.Errorf("got slack %d, %v after calm; want none", d.slack, err)
	}
}

// TestMadeUpFor writes as much as others delete, which a walk finds.
func TestMadeUpFor(t *testing.T) {
	dir := t.TempDir()
	d, err := NewDisk(t.Context(), []string{dir}, mib)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "much"), 2*mib)
	d.free = 0 // as if there had been less
	d.walked = time.Time{}
	if _, err := d.look(t.Context(), 0); err != nil || d.used <= mib {
		t.Errorf("got %d, %v; want more than the limit", d.used, err)
	}
}

// asHider is in the environment of a program that hides a file of a mebibyte in
// the folder given, in a thread that does not share its descriptors.
const asHider = "HERMES_TEST_HIDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asHider); dir != "" {
		hidden := make(chan error)
		go func() {
			runtime.LockOSThread()
			hidden <- hide(dir)
			select {}
		}()
		fmt.Println(<-hidden)
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func hide(dir string) error {
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, make([]byte, mib))
	return err
}

// TestThreadOfItsOwn finds what is not open in the other threads.
func TestThreadOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	d, err := NewDisk(t.Context(), []string{dir}, mib)
	if err != nil {
		t.Fatal(err)
	}
	hider := exec.Command(os.Args[0])
	hider.Env = append(os.Environ(), asHider+"="+dir)
	hold, err := hider.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := hider.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hider.Start(); err != nil {
		t.Fatal(err)
	}
	defer hider.Wait()
	defer hold.Close()
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "<nil>\n" {
		t.Fatalf("got %q, %v; want that it is hidden", said, err)
	}
	if got := measured(t, d, hider.Process.Pid); got != mib {
		t.Errorf("got %d, want %d", got, mib)
	}
}

// TestFlown hides a file in a socket, of which only the disk's loss is left to
// be seen.
func TestFlown(t *testing.T) {
	dir := t.TempDir()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	child := exec.Command("sleep", "1000")
	child.ExtraFiles = []*os.File{os.NewFile(uintptr(pair[1]), "socket")} // this process cannot be held still
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	d, err := NewDisk(t.Context(), []string{dir}, mib)
	if err != nil {
		t.Fatal(err)
	}
	lose := func() {
		d.free += 1 << 50 // a loss beside which others' do not count
		if err := d.judge(t.Context(), child.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	if lose(); d.used > mib {
		t.Errorf("got %d with nothing in the socket, want it to be others' loss", d.used)
	}
	f, err := os.Create(filepath.Join(dir, "sent"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(int(f.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if lose(); d.used <= mib {
		t.Errorf("got %d with a file in the socket, want all that the disk has lost", d.used)
	}
}

// TestNotAnother leaves a process alone that got the id of one that was reaped.
func TestNotAnother(t *testing.T) {
	d := &Disk{started: 1}
	if pid := os.Getpid(); d.lives(pid) || len(d.tree(pid)) != 0 {
		t.Errorf("got another process %v taken for the session's", d.tree(pid))
	}
	if d.started = 0; !d.lives(os.Getpid()) || d.lives(0) {
		t.Error("got a living process taken for a dead one, or nobody for a process")
	}
}

func TestNoFolder(t *testing.T) {
	if _, err := NewDisk(t.Context(), []string{filepath.Join(t.TempDir(), "none")}, mib); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}
