//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestLogFollows: what an agent prints is seen as it comes, through a rotation
// of its log, until its run ends.
func TestLogFollows(t *testing.T) {
	t.Parallel()
	const lines = 60_000 // of 50 bytes: more than one file holds
	p := newPlace(t, map[string]string{"chatty": `echo first; while [ ! -e $HERMES_WORKSPACE/go ]; do sleep 0.02; done; i=0; while [ $i -lt 60 ]; do seq -f "%049.0f" $((i*1000+1)) $((i*1000+1000)); i=$((i+1)); sleep 0.01; done; exec $HERMES_BIN worker complete ok`}, nil)
	p.gateway()
	id := p.create("chatty")
	dir := filepath.Join(p.home.Paths("acme").Runs, id+".1")
	eventually(t, "the agent prints", func() bool { b, _ := os.ReadFile(filepath.Join(dir, "log")); return len(b) > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := p.command(ctx, "kanban", "log", id, "--follow")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewScanner(out)
	if !r.Scan() || r.Text() != "first" {
		t.Fatalf("got %q first", r.Text())
	}
	if err := os.WriteFile(filepath.Join(dir, "workspace", "go"), nil, 0o600); err != nil { // it is followed by now
		t.Fatal(err)
	}
	n := 0
	for n < lines && r.Scan() {
		if n++; r.Text() != fmt.Sprintf("%049d", n) {
			t.Fatalf("line %d: got %q", n, r.Text())
		}
	}
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || n < lines {
		t.Errorf("got %d lines and %v, want %d, and to end with the run", n, err, lines)
	}
	if _, err := os.Stat(filepath.Join(dir, "log.1")); err != nil {
		t.Errorf("the log was not rotated: %v", err)
	}
}
