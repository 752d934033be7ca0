package model

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newBench has a secret beside its folders.
func newBench(t *testing.T) (b *bench, secret string) {
	t.Helper()
	dir := t.TempDir()
	b = &bench{Folders: Folders{Workspace: filepath.Join(dir, "ws"), Inputs: filepath.Join(dir, "ws", "inputs"), Outputs: filepath.Join(dir, "out"), Reads: []string{filepath.Join(dir, "sources")}},
		env: []string{"PATH=/usr/bin:/bin"}}
	for _, d := range append([]string{b.Workspace, b.Inputs, b.Outputs}, b.Reads...) {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	secret = filepath.Join(dir, "secret")
	put(t, secret, "canary")
	put(t, filepath.Join(b.Workspace, "notes.md"), "tides")
	put(t, filepath.Join(b.Inputs, "quote"), "two")
	put(t, filepath.Join(b.Reads[0], "paper.txt"), "moon")
	for name, to := range map[string]string{"out-link": secret, "up": "../secret", "dir-link": dir, "notes-link": "notes.md"} {
		if err := os.Symlink(to, filepath.Join(b.Workspace, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(b.Workspace, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return b, secret
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// use calls a tool by its name in a configuration.
func use(t *testing.T, b *bench, name string, args object) (string, error) {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return own(b)[name].do(ctx, raw)
}

func TestPaths(t *testing.T) {
	b, secret := newBench(t)
	for path, want := range map[string]string{ // empty = refused
		"notes.md": "tides", "./notes.md": "tides", "a/../notes.md": "tides", b.Workspace + "/notes.md": "tides", "$HERMES_WORKSPACE/notes.md": "tides",
		"$HERMES_INPUTS/quote": "two", "inputs/quote": "two", b.Reads[0] + "/paper.txt": "moon", "notes-link": "tides",
		secret: "", "../secret": "", "a/../../secret": "", "out-link": "", "up": "", "dir-link/secret": "", "/etc/passwd": "", "/proc/self/environ": "", "pipe": "",
		"": "", ".": "", "notes.md\x00": "", "$HERMES_OUTPUTS": "", "$HERMES_INPUTSX": "", "$HOME/x": "", "absent": "",
	} {
		got, err := use(t, b, "read", object{"path": path})
		if (err == nil) != (want != "") || got != want {
			t.Errorf("read %q: got %q, %v, want %q", path, got, err, want)
		}
	}
	for path, ok := range map[string]bool{
		"new/deep/file": true, "notes.md": true, "$HERMES_OUTPUTS/brief.md": true, b.Outputs + "/x/y": true, "notes-link": true,
		secret: false, "../secret": false, "out-link": false, "up": false, "dir-link/secret": false, "dir-link/new": false, "pipe": false, "inputs/quote": false, "$HERMES_INPUTS/new": false,
		b.Reads[0] + "/paper.txt": false, "/tmp/hermes-must-not-be": false, ".": false, "": false,
	} {
		_, err := use(t, b, "write", object{"path": path, "content": "new"})
		if (err == nil) != ok {
			t.Errorf("write %q: got %v, want success %v", path, err, ok)
		}
	}
	if got, err := os.ReadFile(secret); err != nil || string(got) != "canary" {
		t.Errorf("got %q, %v of the file outside", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(b.Outputs, "brief.md")); err != nil || string(got) != "new" {
		t.Errorf("got %q, %v", got, err)
	}
	for path, ok := range map[string]bool{"": true, ".": true, "inputs": true, b.Reads[0]: true, "..": false, "/": false, "dir-link": false, "notes.md": false, "pipe": false, "absent": false} {
		got, err := use(t, b, "list", object{"path": path})
		if (err == nil) != ok || strings.Contains(got, "secret") {
			t.Errorf("list %q: got %q, %v, want success %v", path, got, err, ok)
		}
	}
}

func TestReadInParts(t *testing.T) {
	b, _ := newBench(t)
	text := strings.Repeat("ä", maxRead) // twice as many bytes, and no letter may be cut
	put(t, filepath.Join(b.Workspace, "long"), "x"+text)
	got, at := "", 0
	for range 4 {
		part, err := use(t, b, "read", object{"path": "long", "offset": at})
		if err != nil {
			t.Fatal(err)
		}
		words, note, more := strings.Cut(part, "\n(")
		got += words
		if !more {
			break
		}
		if _, err := fmt.Sscanf(note[strings.Index(note, "offset"):], "offset %d)", &at); err != nil {
			t.Fatalf("got %q: %v", note, err)
		}
	}
	if got != "x"+text {
		t.Errorf("got %d bytes, want %d", len(got), len(text)+1)
	}
	put(t, filepath.Join(b.Workspace, "binary"), "\x7fELF\x00\xff")
	for _, args := range []object{{"path": "binary"}, {"path": "long", "offset": -1}, {"path": "long", "offset": 1 << 40}, {"path": "long", "colour": "red"}, {"path": 7}} {
		if got, err := use(t, b, "read", args); err == nil {
			t.Errorf("%v: got %q, want it refused", args, got[:min(len(got), 20)])
		}
	}
}

func TestListIsBounded(t *testing.T) {
	b, _ := newBench(t)
	for i := range maxListed + 10 {
		put(t, filepath.Join(b.Outputs, fmt.Sprintf("f%05d", i)), "")
	}
	put(t, filepath.Join(b.Workspace, "two\nlines"), "")
	got, err := use(t, b, "list", object{"path": "$HERMES_OUTPUTS"})
	if n := strings.Count(got, "\n"); err != nil || n != maxListed+1 || !strings.Contains(got, "only the first") {
		t.Errorf("got %d lines, %v, want %d and a word that there are more", n, err, maxListed)
	}
	if got, err = use(t, b, "list", object{}); err != nil || !strings.Contains(got, `"two\nlines"`) || !strings.Contains(got, "out-link  (link)") || !strings.Contains(got, "inputs/quote  3 bytes") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestShell(t *testing.T) {
	b, _ := newBench(t)
	for name, c := range map[string]struct {
		args object
		want string // in the answer; empty = refused
	}{
		"output":           {object{"command": "cat notes.md; echo oops >&2; exit 3"}, "exit status 3\ntidesoops"},
		"success":          {object{"command": "true"}, "exit status 0"},
		"killed":           {object{"command": "kill -9 $$"}, "signal: killed"},
		"too slow":         {object{"command": "echo begun; sleep 300 & sleep 300", "timeout_seconds": 1}, "killed after 1s\nbegun"},
		"leaves a daemon":  {object{"command": "sleep 300 & echo gone; kill $!"}, "gone"},
		"much":             {object{"command": "yes | head -c 3000000; echo end"}, "bytes left out"},
		"not a text":       {object{"command": `printf '\377\376'`}, "?"},
		"nothing":          {object{"command": ""}, ""},
		"NUL":              {object{"command": "a\x00b"}, ""},
		"too long":         {object{"command": "true", "timeout_seconds": 1_000_000}, ""},
		"negative":         {object{"command": "true", "timeout_seconds": -1}, ""},
		"another argument": {object{"command": "true", "cwd": "/"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := use(t, b, "shell", c.args)
			if (err == nil) != (c.want != "") || !strings.Contains(got, c.want) || len(got) > maxShown+200 {
				t.Errorf("got %.300q (%d bytes), %v, want %q", got, len(got), err, c.want)
			}
		})
	}
}
