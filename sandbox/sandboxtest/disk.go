//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

const diskLimit = 8 << 20

// testDisk writes more than the limit in every way: into each place that can
// be written to, in many files, and into one that has no name any more.
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
		if status, err := s.Wait(); !errors.As(err, &over) || over.Limit != diskLimit || over.Used <= diskLimit || over.Err != nil {
			t.Fatalf("%s: got %v, %v; want it ended for more than %d bytes", how, status, err, diskLimit)
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

func diskSpec(t *testing.T, b *box) *sandbox.Spec {
	spec := b.spec(t, "fill")
	spec.Outputs = t.TempDir()
	spec.Mounts = []sandbox.Mount{{Host: t.TempDir(), Inside: "/opt/more", Writable: true}}
	spec.Limits.DiskBytes = diskLimit
	return spec
}

// fill writes args[2] bytes into the folder args[1], in the way of args[0].
func fill(args []string) {
	most, _ := strconv.Atoi(args[2])
	chunk := make([]byte, 1<<20)
	if args[0] == "many" {
		chunk = chunk[:4<<10] // what one counts for
	}
	f, err := os.Create(filepath.Join(args[1], "fill"))
	if err == nil && args[0] == "deleted" {
		err = os.Remove(f.Name())
	}
	for n := 0; n < most && err == nil; n += len(chunk) {
		if args[0] == "many" {
			err = os.WriteFile(fmt.Sprint(f.Name(), n), nil, 0o600)
		} else {
			_, err = f.Write(chunk)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
