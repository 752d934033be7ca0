//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
)

// TestStuckKill has agents that no signal ends: they are frozen. They keep their
// claims, also when their supervisors are dead and the gateway is another, until
// a person attests that the processes are dead, or they really are.
func TestStuckKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute, for a supervisor is given time")
	}
	t.Parallel()
	ice := newFreezer(t)
	p := newPlace(t, map[string]string{"deaf": `exec sleep 600`}, nil)
	defer ice.set("THAWED")
	g := p.gateway()
	attested, patient := p.create("deaf"), p.create("deaf")
	var agents []proc
	for _, task := range []string{attested, patient} {
		agent := p.agentOf(task)
		ice.take(agent.pid)
		agents = append(agents, agent)
	}
	ice.set("FROZEN")
	for _, task := range []string{attested, patient} {
		p.must("kanban", "stop", task, "--reason", "it is deaf")
	}
	p.awaitStuck(attested, patient)
	if left := p.supervisors(); len(left) > 1 { // the idle one
		t.Errorf("supervisors that could not end their agents are left: %v", left)
	}

	g.signal(syscall.SIGTERM)
	g.ends(5 * time.Second)
	g = p.gateway()
	p.awaitStuck(attested, patient)
	for _, task := range []string{attested, patient} {
		if got := p.outcomes(task); !slices.Equal(got, []string{""}) {
			t.Errorf("runs of %s: got %q, want an open one", task, got)
		}
		if why := p.must("kanban", "why", task); !strings.Contains(why, "do not die") || !strings.Contains(why, "hermes kanban stop "+task+" --force") {
			t.Errorf("got %q, want that they do not die and what to type", why)
		}
	}
	if found := p.must("kanban", "diagnostics"); strings.Count(found, "stuck_kill") != 2 {
		t.Errorf("got %q, want both as stuck_kill", found)
	}

	p.must("kanban", "stop", attested, "--force")
	p.endsAs(attested, "killed")
	if d := p.show(attested); d.Status != events.Blocked {
		t.Errorf("after --force: got %v, want blocked", d.Status)
	}
	if got := p.outcomes(patient); !slices.Equal(got, []string{""}) {
		t.Errorf("runs of the other: got %q, want an open one", got)
	}

	ice.set("THAWED")
	within := time.Now().Add(60 * time.Second) // the gateway looks again every half minute
	for slices.Equal(p.outcomes(patient), []string{""}) && time.Now().Before(within) {
		pauseFor(50 * time.Millisecond)
	}
	p.endsAs(patient, "killed")
	if d := p.show(patient); d.Status != events.Blocked {
		t.Errorf("after the end: got %v, want blocked", d.Status)
	}
	for _, agent := range agents {
		if agent.alive() {
			t.Errorf("%v lives", agent)
		}
	}
	g.signal(syscall.SIGTERM)
	g.ends(5 * time.Second)
	p.nothingLeft()
}

// awaitStuck waits until tasks are held by processes that do not die.
func (p *place) awaitStuck(tasks ...string) {
	p.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for _, task := range tasks {
		for why := ""; !strings.Contains(why, `"stuck_kill"`); pauseFor(100 * time.Millisecond) {
			if why = p.must("kanban", "why", task, "--json"); time.Now().After(deadline) {
				p.t.Fatalf("%s: got %s, want stuck_kill", task, why)
			}
		}
	}
}

// freezer is a control group whose processes no signal reaches while it is
// frozen, not even the one that kills. Only version 1 is so.
type freezer struct {
	t   *testing.T
	dir string
}

func newFreezer(t *testing.T) *freezer {
	t.Helper()
	f := &freezer{t, filepath.Join("/sys/fs/cgroup/freezer", fmt.Sprint("hermes-test-", os.Getpid()))}
	if err := os.Mkdir(f.dir, 0o755); err != nil {
		if os.Getenv("CI") == "true" && !errors.Is(err, fs.ErrPermission) {
			t.Fatal(err)
		}
		t.Skip("no freezer of version 1 for this user: ", err)
	}
	t.Cleanup(func() {
		eventually(t, "the freezer is empty", func() bool { return syscall.Rmdir(f.dir) == nil })
	})
	return f
}

func (f *freezer) take(pid int) { f.put("cgroup.procs", strconv.Itoa(pid)) }

// set waits until the group is in a state: FROZEN or THAWED.
func (f *freezer) set(state string) {
	f.t.Helper()
	eventually(f.t, "the group is "+state, func() bool {
		f.put("freezer.state", state)
		now, err := os.ReadFile(filepath.Join(f.dir, "freezer.state"))
		return err == nil && strings.TrimSpace(string(now)) == state
	})
}

func (f *freezer) put(file, value string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, file), []byte(value), 0); err != nil {
		f.t.Fatal(err)
	}
}
