//go:build linux

package main

import (
	"bytes"
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

	"github.com/hermesboard/hermes/agents/supervise"
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
	p.nothingLeft()
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
	if took := time.Since(killed); took > within(10*time.Second) {
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

// TestSupervisorKilledBeforeItStarts kills the idle supervisor, and one that
// has been given its run and has not begun.
func TestSupervisorKilledBeforeItStarts(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	p.gateway()
	idle := p.idleSupervisor(proc{})
	syscall.Kill(idle.pid, syscall.SIGKILL)
	p.endsAs(p.create("quick"), "completed")

	idle = p.idleSupervisor(idle)
	syscall.Kill(idle.pid, syscall.SIGSTOP)
	task := p.create("quick")
	eventually(t, "the run is said to have started", func() bool {
		runs := p.show(task).Runs
		return len(runs) == 1 && runs[0].Started != 0
	})
	syscall.Kill(idle.pid, syscall.SIGKILL)
	p.endsAs(task, "lost", "completed")
}

// idleSupervisor waits for one that is not that other.
func (p *place) idleSupervisor(other proc) (idle proc) {
	p.t.Helper()
	eventually(p.t, "an idle supervisor", func() bool {
		all := p.supervisors()
		if len(all) != 1 || all[0].pid == other.pid {
			return false
		}
		idle = all[0]
		return true
	})
	return idle
}

// TestTokenStaysSecret looks everywhere for the credential of a run.
func TestTokenStaysSecret(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{"nosy": `env; cat /proc/$$/cmdline /proc/$$/environ; $HERMES_BIN worker show; sleep 1; exec $HERMES_BIN worker complete "$(env)"`}, nil)
	g := p.gateway()
	task := p.create("nosy")
	p.agentOf(task)
	path := filepath.Join(p.home.Paths("acme").Runs, task+".1", supervise.SpecFile)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("the spec of a run has mode %v, want 0600", info.Mode())
	}
	spec, err := supervise.ReadSpec(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Token) < 32 {
		t.Fatalf("token of %d characters", len(spec.Token))
	}
	for _, s := range p.processes() {
		if strings.Contains(s.argv+strings.Join(s.env, "\n"), spec.Token) {
			t.Errorf("the token stands in the argv or environment of %d", s.pid)
		}
	}
	p.endsAs(task, "completed")
	for name, text := range map[string]string{
		"the gateway's log": g.log.String(),
		"replay":            p.must("board", "replay", "acme", "--json"),
		"show":              p.must("kanban", "show", task, "--json"),
		"log":               p.must("kanban", "log", task),
	} {
		if strings.Contains(text, spec.Token) {
			t.Errorf("the token stands in %s", name)
		}
	}
	err = filepath.WalkDir(p.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || file == path {
			return err
		}
		b, err := os.ReadFile(file)
		if bytes.Contains(b, []byte(spec.Token)) {
			t.Errorf("the token stands in %s", file)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
	for line := range strings.Lines(g.log.String()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}\n") {
			t.Errorf("the log has a line that is not one fact: %q", line)
		}
	}
}

// TestDispatch is a board worked through without a gateway.
func TestDispatch(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	a, b := p.create("quick"), p.create("slow")
	p.must("kanban", "dispatch")
	for _, task := range []string{a, b} {
		if got := p.outcomes(task); !slices.Equal(got, []string{"completed"}) {
			t.Errorf("%s: got runs %q after dispatch had ended, want completed", task, got)
		}
	}
	p.nothingLeft()

	c := p.create("slow")
	d := &running{t: t, cmd: p.command(t.Context(), "kanban", "dispatch"), log: &logBuffer{}, done: make(chan struct{})}
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.err = d.cmd.Wait(); close(d.done) }()
	p.agentOf(c)
	start := time.Now()
	d.signal(syscall.SIGINT)
	<-d.done
	if took := time.Since(start); took > within(time.Second) || !strings.Contains(d.log.String(), "1 open run go") {
		t.Errorf("dispatch ended %s after ^C, saying: %s", took, d.log)
	}
	p.endsAs(c, "completed")
}

// TestVerdictOutlivesItsSupervisor kills a supervisor that has a verdict and
// cannot deliver it: the next owner finds it.
func TestVerdictOutlivesItsSupervisor(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{"waiter": waiter}, nil)
	g := p.gateway()
	task := p.create("waiter")
	runner := p.supervisorOf(p.agentOf(task))
	g.signal(syscall.SIGSTOP)
	p.let(task, "waiter")
	kept := filepath.Join(p.home.Paths("acme").Runs, task+".1", "verdict.json")
	eventually(t, "the verdict is on disk", func() bool { _, err := os.Stat(kept); return err == nil })
	syscall.Kill(runner.pid, syscall.SIGKILL)
	g.signal(syscall.SIGKILL)
	<-g.done
	p.gateway()
	p.endsAs(task, "completed")
}

// TestAgentsInheritNothing looks at what a process gets from those above it:
// no ignored or blocked signal, no descriptor but the three, the environment
// that was meant for it.
func TestAgentsInheritNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{"curious": `grep -E 'Sig(Ign|Blk)' /proc/self/status; echo $$: /proc/$$/fd/*; exec $HERMES_BIN worker complete ok`}, nil)
	p.env = append(p.env, "CANARY=bird")
	p.gateway()
	task := p.create("curious")
	p.endsAs(task, "completed")
	b, err := os.ReadFile(filepath.Join(p.home.Paths("acme").Runs, task+".1", "log"))
	if err != nil {
		t.Fatal(err)
	}
	out := string(b)
	for _, name := range []string{"SigIgn", "SigBlk"} {
		if !strings.Contains(out, name+":\t0000000000000000\n") {
			t.Errorf("%s is inherited: %s", name, out)
		}
	}
	if n := strings.Count(out, "/fd/"); n > 4 { // the shell may have one more for its script
		t.Errorf("%d descriptors are inherited: %s", n, out)
	}
	p.agent("curious", "/bin/sh", "-c", "env; exec $HERMES_BIN worker complete ok")
	task = p.create("curious")
	p.endsAs(task, "completed")
	if b, err = os.ReadFile(filepath.Join(p.home.Paths("acme").Runs, task+".1", "log")); err != nil {
		t.Fatal(err)
	}
	if out := string(b); strings.Contains(out, "CANARY") || strings.Contains(out, "HERMES_HOME") {
		t.Errorf("the environment of the gateway is inherited: %s", out)
	}
}
