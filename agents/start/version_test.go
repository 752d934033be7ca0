//go:build linux

package start

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/executable"
)

// TestChecking: a program that takes its time to say its version keeps nobody
// waiting: its agent has a problem until it has answered.
func TestChecking(t *testing.T) {
	dir := t.TempDir()
	ad, err := runtime.For("claude")
	if err != nil {
		t.Fatal(err)
	}
	gate, tool := filepath.Join(dir, "gate"), filepath.Join(dir, "claude-"+ad.Version().Tested)
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	executable.CopySelf(t, tool)
	boxes, err := sandbox.NewRegistry(sandbox.New(&box{name: "open", can: driver.NetworkFull | driver.Socket}))
	if err != nil {
		t.Fatal(err)
	}
	background, leave := context.WithCancel(t.Context())
	defer leave()
	r := &Roster{Default: "open", Sandboxes: boxes, Background: background, Load: func(name string) (*agents.Agent, error) {
		return &agents.Agent{Name: name, Runtime: agents.Runtime{Kind: "claude", Command: []string{tool}}}, nil
	}}
	for range 3 { // and asks it once
		var p *agents.Problem
		if _, err := r.Agent(t.Context(), "ann"); !errors.As(err, &p) || p.Code != "checking" || p.Detail != "agent ann: checking "+tool {
			t.Fatalf("got %v, want that it is checked", err)
		}
	}
	open, err := os.OpenFile(gate, os.O_WRONLY, 0) // returns when the one that was asked reads
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := open.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	r.Wait()
	if _, err := r.Agent(t.Context(), "ann"); err != nil {
		t.Errorf("got %v, want that it can be started", err)
	}
}

// TestCheckingEnds: what is asked in the background ends with it and says
// nothing about the program.
func TestCheckingEnds(t *testing.T) {
	background, leave := context.WithCancel(t.Context())
	var p printed
	ask := func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
	if _, known := p.find(t.Context(), build{path: "x"}, background, ask); known {
		t.Error("got an answer before it was given")
	}
	leave()
	p.asked.Wait()
	if _, known := p.find(t.Context(), build{path: "x"}, background, ask); known {
		t.Error("got an answer that was never given")
	}
	p.asked.Wait()
	old := answer{said: "1.0", tried: tried{err: errors.New("no"), until: time.Unix(1, 0)}}
	p.known = map[build]answer{{path: "x"}: old}
	if got, known := p.find(t.Context(), build{path: "x"}, background, ask); !known || got.err == nil {
		t.Errorf("got %+v, %t; want the old answer while it is asked again", got, known)
	}
	p.asked.Wait()
}
