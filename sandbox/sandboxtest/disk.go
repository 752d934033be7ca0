//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// A session may take diskLimit, and has been stopped before it has diskMost:
// beyond the limit, 64 MiB may go unnoticed after false alarms, and the rest takes
// longer to write than to be noticed.
const (
	diskLimit = 2 << 20
	diskMost  = 256 << 20
)

// testDisk writes more than the limit in every way: into each place that can
// be written to, in many files, and into those that have no name any more.
func testDisk(t *testing.T, b *box) {
	if !b.has(driver.LimitDisk) {
		t.Logf("%s declares no limit of disk", b.Name())
		return
	}
	for _, how := range []string{"workspace", "outputs", "mount", "many", "deleted"} {
		spec := diskSpec(t, b)
		in := b.Layout(spec)
		dir := map[string]string{"outputs": in.Outputs, "mount": "/opt/more"}[how]
		if dir == "" {
			dir = in.Workspace
		}
		spec.Argv = append(spec.Argv, how, dir, "4294967296")
		s := b.start(t, spec)
		await(t, "end of a program that fills the disk: "+how, s.Done())
		var over *sandbox.DiskError
		if status, err := s.Wait(); !errors.As(err, &over) || over.Limit != diskLimit || over.Used <= diskLimit || over.Used >= diskMost || over.Err != nil {
			t.Fatalf("%s: got %v, %v; want it ended between %d and %d bytes", how, status, err, diskLimit, diskMost)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		t.Logf("%s: seen at %d MiB", how, over.Used>>20)
	}
}

// testDiskBelow writes less than the limit beside what was there before.
func testDiskBelow(t *testing.T, b *box) {
	if !b.has(driver.LimitDisk) {
		return
	}
	spec := diskSpec(t, b)
	write(t, filepath.Join(spec.Workspace, "before"), string(make([]byte, 2*diskLimit)))
	spec.Argv = append(spec.Argv, "workspace", b.Layout(spec).Workspace, strconv.Itoa(diskLimit/2))
	if _, status := b.run(t, spec); !status.Success() {
		t.Errorf("got %v, want exit 0", status)
	}
}

// testDiskOthers takes from the file system what the session may take, and more,
// again and again. The session goes on.
func testDiskOthers(t *testing.T, b *box) {
	if !b.has(driver.LimitDisk) {
		return
	}
	spec := b.spec(t, "cat")
	spec.Limits.DiskBytes = diskLimit
	input, say := io.Pipe()
	heard := newLines()
	spec.Stdin, spec.Stdout = input, heard
	s := b.start(t, spec)
	dir := t.TempDir()
	for i := range 4 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), string(make([]byte, 4*diskLimit)))
		want := fmt.Sprint("round ", i)
		if _, err := fmt.Fprintln(say, want); err != nil {
			t.Fatal(err)
		}
		if got := await(t, "answer of a program beside which others write", heard.c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	say.Close()
	if status := b.wait(t, s); !status.Success() {
		t.Errorf("got %v, want exit 0", status)
	}
}

func diskSpec(t *testing.T, b *box) *sandbox.Spec {
	spec := b.spec(t, "fill")
	spec.Outputs = t.TempDir()
	spec.Mounts = []sandbox.Mount{{Host: t.TempDir(), Inside: "/opt/more", Writable: true}}
	spec.Limits.DiskBytes = diskLimit
	return spec
}

// testDiskOneFile has the kernel refuse what makes one file too large.
func testDiskOneFile(t *testing.T, b *box) {
	if !b.has(driver.LimitDisk | driver.LimitFileSize) {
		return
	}
	spec := diskSpec(t, b)
	spec.Argv = append(spec.Argv, "one", b.Layout(spec).Workspace, strconv.Itoa(2*diskLimit))
	s := b.start(t, spec)
	await(t, "end of a program that writes a large file", s.Done())
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	names, _ := filepath.Glob(filepath.Join(spec.Workspace, "fill*"))
	if len(names) != 1 {
		t.Fatalf("got files %v, want one", names)
	}
	if info, err := os.Stat(names[0]); err != nil || info.Size() == 0 || info.Size() > diskLimit {
		t.Errorf("got %v, %v; want at most %d bytes", info, err, diskLimit)
	}
}

// fill writes args[2] bytes into the folder args[1], in the way of args[0].
func fill(args []string) {
	most, _ := strconv.Atoi(args[2])
	dir := args[1]
	signal.Ignore(syscall.SIGXFSZ) // a file may only get so large
	var err error
	switch args[0] {
	case "many":
		for n := 0; n < most && err == nil; n += 4 << 10 { // what one counts for
			err = os.WriteFile(filepath.Join(dir, fmt.Sprint("fill", n)), nil, 0o600)
		}
	case "one":
		_, err = fillFile(dir, most, false)
	default:
		for n, m := 0, 0; n < most && (err == nil || errors.Is(err, syscall.EFBIG) && m > 0); n += m {
			m, err = fillFile(dir, most-n, args[0] == "deleted")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// kept holds on to files that have no name.
var kept []*os.File

// fillFile writes to a new file, and returns how much it took.
func fillFile(dir string, most int, remove bool) (n int, err error) {
	f, err := os.CreateTemp(dir, "fill")
	if err != nil {
		return 0, err
	}
	if remove {
		kept = append(kept, f)
		err = os.Remove(f.Name())
	} else {
		defer f.Close()
	}
	chunk := make([]byte, 1<<20)
	for n < most && err == nil {
		var m int
		m, err = f.Write(chunk)
		n += m
	}
	return n, err
}
