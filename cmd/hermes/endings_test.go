//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
)

// TestEveryEndHasAName runs agents that misbehave, each to an outcome and a
// streak of its own. Nothing of them is left.
func TestEveryEndHasAName(t *testing.T) {
	t.Parallel()
	const speak = `$HERMES_BIN worker show >/dev/null; `
	cases := []struct {
		name, script string
		want         string
		again        bool // the task is tried again
	}{
		{"silent", `exit 0`, "tools_missing", false},
		{"forgetful", speak + `exit 0`, "no_verdict", true},
		{"failing", speak + `exit 3`, "crashed", true},
		{"killed", speak + `kill -9 $$`, "crashed", true},
		{"limited", `exit 75`, "rate_limited", true},
		{"daemons", `setsid sleep 300 & (setsid sleep 300 &) ; sleep 0.1; ` + speak + `exit 0`, "no_verdict", true},
		{"endless", `trap '' TERM; ` + speak + `while :; do sleep 1; done`, "timed_out", true},
		{"leftover", `setsid sh -c 'trap "" TERM HUP; sleep 300' & exec $HERMES_BIN worker complete ok`, "completed", false},
		{"hanging", `$HERMES_BIN worker complete ok; trap '' TERM; while :; do sleep 1; done`, "completed", false},
	}
	scripts := make(map[string]string)
	for _, c := range cases {
		scripts[c.name] = c.script
	}
	p := newPlace(t, scripts, func(policy *events.Policy) {
		policy.BackoffMS, policy.BackoffMaxMS, policy.RateLimitMS = 60_000, 60_000, 60_000
	})
	g := p.gateway()
	ids := make(map[string]string)
	for _, c := range cases {
		args := []string{"kanban", "create", c.name, "--assignee", c.name, "-q"}
		if c.name == "endless" {
			args = append(args, "--max-runtime", "1s")
		}
		ids[c.name] = strings.TrimSpace(p.must(args...))
	}
	for _, c := range cases {
		p.endsAs(ids[c.name], c.want)
		d := p.show(ids[c.name])
		switch {
		case c.want == "completed" && d.Status != events.Done:
			t.Errorf("%s: task is %v, want done", c.name, d.Status)
		case c.again && (d.Status != events.Ready || d.RetryAt == 0):
			t.Errorf("%s: task is %v, to be tried again at %v", c.name, d.Status, d.RetryAt)
		}
	}
	if why := p.must("kanban", "why", ids["silent"]); !strings.Contains(why, "silent") {
		t.Errorf("why the task of an agent that never spoke waits: %s", why)
	}
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
	eventually(t, "nothing is left", func() bool { return len(p.processes()) == 0 })
}

// TestSupervisorKilled kills what watches over an agent: its tree goes, the run
// is lost, and the task is tried again.
func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{"once": `test -e $HERMES_STATE/tried && exec $HERMES_BIN worker complete ok
touch $HERMES_STATE/tried; setsid sleep 300 & sleep 300`}
	p := newPlace(t, scripts, nil)
	p.gateway()
	task := p.create("once")
	agent := p.agentOf(task)
	eventually(t, "the agent and its daemon run", func() bool {
		n := 0
		for _, s := range p.processes() {
			if strings.HasPrefix(s.argv, "sleep") {
				n++
			}
		}
		return n == 2
	})
	c := p.census()
	runner := p.supervisorOf(agent)
	killed := time.Now()
	syscall.Kill(runner.pid, syscall.SIGKILL)
	p.endsAs(task, "lost", "completed")
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("the second attempt was over after %s", took)
	}
	if _, _, two := c.end(); len(two) > 0 {
		t.Errorf("two live trees for one task: %v", two)
	}
	if slices.ContainsFunc(p.processes(), func(s proc) bool { return strings.HasPrefix(s.argv, "sleep") }) {
		t.Errorf("left of the first attempt: %v", p.processes())
	}
}

// supervisorOf is the supervisor among the forebears of an agent.
func (p *place) supervisorOf(agent proc) proc {
	p.t.Helper()
	all := p.supervisors()
	for pid := agent.pid; pid > 1; pid = parentOf(pid) {
		if i := slices.IndexFunc(all, func(s proc) bool { return s.pid == pid }); i >= 0 {
			return all[i]
		}
	}
	p.t.Fatalf("no supervisor of %v", agent)
	return proc{}
}

func parentOf(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}
