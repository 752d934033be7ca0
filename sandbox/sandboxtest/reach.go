//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// A host's file may be in reach though its content cannot be changed: by its
// attributes, or by a link in the process file system. Whoever has the host
// user's uid needs no privilege for that.

// retouch sets the mode that each of the files args has, which changes nothing
// but the time of the last change, and stays.
func retouch(args []string) {
	for _, path := range args {
		if info, err := os.Stat(path); err == nil {
			os.Chmod(path, info.Mode().Perm())
		}
	}
	fmt.Println("done")
	stay()
}

// settings prints the files of the kernel that can be opened to write, besides
// those of processes.
func settings([]string) {
	filepath.WalkDir("/proc", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		// Everybody may ask to be told of pressure.
		if name := strings.TrimPrefix(path, "/proc/"); d.IsDir() && (name[0] >= '1' && name[0] <= '9' || name == "pressure") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil
		}
		defer f.Close()
		// What was covered with the null device leads nowhere.
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			fmt.Println(path)
		}
		return nil
	})
}

// changeTimes returns when the attributes of files last changed.
func changeTimes(t *testing.T, paths []string) map[string]syscall.Timespec {
	t.Helper()
	times := make(map[string]syscall.Timespec)
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			times[path] = info.Sys().(*syscall.Stat_t).Ctim
		}
	}
	return times
}

func testAttributes(t *testing.T, b *box) {
	if !b.has(driver.Files) {
		t.Logf("%s declares no isolation of files", b.Name())
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host := []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/usr/bin/env", "/etc/ld.so.cache", self}
	attempt := func(b *box) (changed []string) {
		watched := host
		s, _ := b.up(t, "wait")
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.PID())); err == nil {
			watched = append(watched[:len(watched):len(watched)], exe)
		}
		before := changeTimes(t, watched)
		b.up(t, "retouch", append(host, b.Layout(b.spec(t)).Program, "/proc/self/exe", "/proc/1/exe", "/proc/self/root/usr/bin/env")...)
		for path, when := range changeTimes(t, watched) {
			if when != before[path] {
				changed = append(changed, path)
			}
		}
		return changed
	}
	if changed := attempt(b); len(changed) > 0 {
		t.Errorf("got attributes of the host's %v changed, want none", changed)
	}
	info, err := os.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	if int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		t.Log("not testable here: no file is this user's")
	} else if changed := attempt(control()); len(changed) == 0 {
		t.Error("the attempt changes nothing without isolation either")
	}
}

func testSettings(t *testing.T, b *box) {
	if !b.has(driver.Files) {
		t.Logf("%s declares no isolation of files", b.Name())
		return
	}
	if out, _ := b.run(t, b.spec(t, "settings")); out != "" {
		t.Errorf("got settings of the kernel open: %.500q; want none", out)
	}
	if out, _ := control().run(t, control().spec(t, "settings")); os.Geteuid() == 0 && out == "" {
		t.Error("without isolation, as root: got none, want some")
	}
}
