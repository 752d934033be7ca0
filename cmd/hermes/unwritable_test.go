//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
)

// writers are command lines that write to the home, whatever is in it.
var writers = [][]string{
	{"kanban", "create", "x", "--board", "acme"}, {"board", "create", "other"}, {"profile", "create", "client"},
	{"config", "set", "board", "acme"}, {"cron", "add", "nightly", "@daily", "x", "--board", "acme"}, {"skills", "sync"},
	{"agent", "add", "a", "--runtime", "command", "--", "true"}, {"client", "add", "client", "--no-start", "--backend", "local"}, {"gateway", "run"},
}

// refusesWriters expects of every writer that it is refused with a code, a
// reason and what helps, also as JSON.
func (p *place) refusesWriters(code string, but ...string) {
	p.t.Helper()
	for _, args := range writers {
		line := strings.Join(args, " ")
		if len(but) > 0 && strings.HasPrefix(line, but[0]) {
			continue
		}
		_, errs, exit := p.hermes(args...)
		if exit != exitRefused || !strings.Contains(errs, "hermes: ") || !strings.Contains(errs, "\n  ") {
			p.t.Errorf("%s: got exit %d and %q, want %d, a reason and a hint", line, exit, errs, exitRefused)
		}
		if args[0] == "client" { // what its steps said, and that they were undone
			continue
		}
		var f struct{ Error failure }
		at := len(args)
		for i, a := range args {
			if a == "--" {
				at = i
			}
		}
		_, errs, _ = p.hermes(append(append(append([]string{}, args[:at]...), "--json"), args[at:]...)...)
		if err := json.Unmarshal([]byte(errs), &f, json.MatchCaseInsensitiveNames(true)); err != nil || f.Error.Code != code || f.Error.Hint == "" {
			p.t.Errorf("%s --json: got %q (%v), want the code %s and a hint", line, errs, err, code)
		}
	}
}

// TestNoHome: where no home can be, every command says so.
func TestNoHome(t *testing.T) {
	t.Parallel()
	p := emptyPlace(t, t.TempDir())
	file := filepath.Join(p.dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{"/proc/nope", file, filepath.Join(file, "below")} {
		p.env = append(p.env, "HERMES_HOME="+home)
		p.refusesWriters("no_home")
		if out, errs, exit := p.hermes("status"); exit != exitRefused || !strings.Contains(errs, "--home DIR") {
			t.Errorf("%s: got exit %d, %q, %q", home, exit, out, errs)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file holds %q by now, %v", b, err)
	}
}

// TestHomeOfAnother: a home that belongs to another user is not used, and one
// in which this user may not write is not half used.
func TestHomeOfAnother(t *testing.T) {
	t.Parallel()
	a := accounts(t)(61031)
	p := &place{t: t, dir: a.dir, env: a.env}
	p.refusesWritersAs(a, "HERMES_HOME="+emptyPlace(t, t.TempDir()).dir, "no_home")
	home := filepath.Join(a.dir, ".hermes")
	a.env = append(a.env, "HERMES_HOME="+home)
	a.must("board", "create", "acme")
	shut := []string{home, filepath.Join(home, "boards"), filepath.Join(home, "boards", "acme"), filepath.Join(home, "boards", "acme", "lock")}
	for _, path := range shut {
		if err := os.Chmod(path, 0o400|0o100); err != nil {
			t.Fatal(err)
		}
	}
	p.refusesWritersAs(a, "HERMES_HOME="+home, "no_permission")
	for _, path := range shut { // for the one who removes it
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	a.must("board", "verify", "acme")
}

// refusesWritersAs is refusesWriters as an account.
func (p *place) refusesWritersAs(a *account, home, code string) {
	p.t.Helper()
	a.env = append(a.env, home)
	for _, args := range writers {
		line := strings.Join(args, " ")
		if line == "gateway run" && code != "no_home" { // it waits for what it may not hold
			continue
		}
		if _, errs, exit := a.hermes(args...); exit != exitRefused || !strings.Contains(errs, "\n  ") {
			p.t.Errorf("%s: got exit %d and %q, want %d, a reason and a hint", line, exit, errs, exitRefused)
		}
	}
	if _, errs, _ := a.hermes("config", "set", "board", "acme", "--json"); !strings.Contains(errs, `"code":"`+code+`"`) {
		p.t.Errorf("got %s, want the code %s", errs, code)
	}
}

// mounted puts something at a folder until the test has ended.
func mounted(t *testing.T, what, dir, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(what, dir, kind, flags, data); err != nil {
		t.Fatalf("mount %s: %v", what, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// TestHomeOnAReadOnlyDisk: nothing can be written, and every command says why.
func TestHomeOnAReadOnlyDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a file system")
	}
	t.Parallel()
	p := newPlace(t, nil, nil)
	id := p.create("nobody")
	mounted(t, p.dir, p.dir, "", syscall.MS_BIND, "")
	again := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", p.dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	again(syscall.MS_RDONLY)
	p.refusesWriters("read_only")
	again(0)
	p.must("kanban", "show", id)
	p.must("board", "verify", "acme")
}

// TestHomeOnAFullDisk: what needs room is refused and says so; what is there is
// shown, and can be gone on with when there is room again.
func TestHomeOnAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a file system")
	}
	t.Parallel()
	dir := t.TempDir()
	mounted(t, "tmpfs", dir, "tmpfs", 0, "size=4m,mode=0700")
	p := emptyPlace(t, dir)
	p.must("board", "create", "acme")
	id := p.create("nobody")
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = fill.Write(block)
	}
	p.refusesWriters("board_full", "gateway run") // which holds what there is
	if out := p.must("kanban", "list"); !strings.Contains(out, id) {
		t.Errorf("got\n%s", out)
	}
	// A child just forked elsewhere may hold the file for a moment longer: empty it first.
	if err := errors.Join(fill.Truncate(0), os.Remove(fill.Name()), fill.Close()); err != nil {
		t.Fatal(err)
	}
	for _, args := range writers[:len(writers)-1] {
		p.must(args...)
	}
	p.must("board", "verify", "acme")
}
