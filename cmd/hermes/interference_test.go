//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// attacks use up what a run can get hold of. Each is given /bin/sh.
var attacks = []struct{ name, script string }{
	{"fork bomb", `b() { b | b & }; b; sleep 30`},
	{"1 GiB in memory", `while :; do head -c 1073741824 /dev/zero | tail >/dev/null; done`},
	{"1 GiB on disk", `while :; do head -c 1073741824 /dev/zero >fill; done`},
	{"output without end", `yes "$(head -c 4096 /dev/zero | tr '\0' x)"`},
	{"64 loops", `i=0; while [ $i -lt 64 ]; do (while :; do :; done) & i=$((i+1)); done; wait`},
}

// TestInterference measures the commands of one board while a run of another
// misbehaves in bubblewrap with the limits of a careful profile.
func TestInterference(t *testing.T) {
	if os.Getenv("HERMES_TEST_INTERFERENCE") == "" {
		t.Skip("wants HERMES_TEST_INTERFERENCE=1 and a quiet machine: make interference")
	}
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	box := bwrapbox.New(&bwrapbox.Options{Cgroups: cgroups()})
	if report := box.Probe(t.Context()); !report.Available {
		t.Fatalf("bubblewrap does not work here: %s", report.Reason)
	}
	if err := box.Check(driver.LimitProcesses | driver.LimitCPU); err != nil {
		t.Skip(err) // a fork bomb would reach this machine
	}
	limits := sandbox.Limits{Processes: 256, MilliCPUs: 500, DiskBytes: 512 << 20}
	if box.Capabilities().Has(driver.LimitMemory) {
		limits.MemoryBytes = 512 << 20
	}
	p := newPlace(t, map[string]string{"quick": agentScripts["quick"]}, nil)
	g := p.gateway()
	b := p.open()
	defer b.Close()
	p.commands(b, 50) // warm up
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			quiet := p.commands(b, 300)
			stop := attack(t, box, limits, a.script)
			busy := p.commands(b, 300)
			stop()
			quiet = max(quiet, p.commands(b, 300)) // as quiet as the machine is
			t.Logf("p99 of a command: %s, %.2f × the %s without it", busy, float64(busy)/float64(quiet), quiet)
			if busy > 2*quiet {
				t.Errorf("got a p99 of %s under attack, want at most twice %s", busy, quiet)
			}
		})
	}
	g.signal(syscall.SIGTERM)
}

// commands returns the 99th percentile of n changes of a board.
func (p *place) commands(b api.Board, n int) time.Duration {
	p.t.Helper()
	var all []time.Duration
	for i := range n {
		all = append(all, took(p.t.(*testing.T), func() error {
			p.do(b, boards.CreateTasks{Tasks: []boards.NewTask{{Title: fmt.Sprint("task ", i), Assignee: "nobody-yet"}}})
			return nil
		}))
	}
	slices.Sort(all)
	return all[len(all)*99/100].Round(10 * time.Microsecond)
}

// attack runs a script until stop is called.
func attack(t *testing.T, box *sandbox.Sandbox, limits sandbox.Limits, script string) (stop func()) {
	t.Helper()
	s, err := box.Start(context.WithoutCancel(t.Context()), &sandbox.Spec{
		Argv: []string{"/bin/sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Workspace: t.TempDir(),
		Limits: limits, Stdout: io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // until it is in full swing: there is nothing to wait for
	return func() {
		if !s.Alive() {
			t.Log("the attack ended by itself")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
