//go:build linux

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
)

func TestTermLeavesRunsToThemselves(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	g := p.gateway()
	task := p.create("slow")
	p.agentOf(task)
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
	if left := p.supervisors(); len(left) != 1 {
		t.Errorf("got %d supervisors after the gateway's end, want the one of the run: %v", len(left), left)
	}
	p.endsAs(task, "completed") // with no owner alive
	p.must("board", "verify", "acme")
	p.nothingLeft()
}

func TestTermAndTheNextGateway(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	g := p.gateway()
	task := p.create("slow")
	p.agentOf(task)
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
	next := p.gateway()
	p.endsAs(task, "completed")
	again := p.create("quick")
	eventually(t, "the next gateway starts runs", p.done(again))
	next.signal(syscall.SIGTERM)
	next.ends(2 * time.Second)
}

func TestInterruptWaitsForRuns(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	g := p.gateway()
	task := p.create("slow")
	p.agentOf(task)
	g.signal(syscall.SIGINT)
	eventually(t, "the gateway says how many runs it waits for", func() bool { return strings.Contains(g.log.String(), `"runs":1,`) })
	second := p.create("quick") // accepted, and not started any more
	g.ends(5 * time.Second)
	if got := p.outcomes(task); !slices.Equal(got, []string{"completed"}) {
		t.Errorf("got runs %q, want one that completed", got)
	}
	if d := p.show(second); d.Status != events.Ready || len(d.Runs) != 0 {
		t.Errorf("the task made while it drained is %v with %d runs, want ready with none", d.Status, len(d.Runs))
	}
	p.nothingLeft()
}

func TestSecondInterruptStopsRuns(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	g := p.gateway()
	long, polite := p.create("long"), p.create("polite")
	p.agentOf(long)
	p.agentOf(polite)
	pauseFor(50 * time.Millisecond) // the shell sets its trap
	g.signal(syscall.SIGINT)
	eventually(t, "it drains", func() bool { return strings.Contains(g.log.String(), "once more to stop them") })
	g.signal(syscall.SIGINT)
	g.ends(stopWithin)
	if got := p.outcomes(long); !slices.Equal(got, []string{"released"}) {
		t.Errorf("without a verdict: got %q, want released", got)
	}
	if d := p.show(long); d.Status != events.Ready {
		t.Errorf("its task is %v, want ready", d.Status)
	}
	if d := p.show(polite); d.Status != events.Done {
		t.Errorf("the verdict given in the grace does not count: %v %q", d.Status, p.outcomes(polite))
	}
	p.nothingLeft()
	p.agent("long", "/bin/sh", "-c", agentScripts["quick"])
	p.gateway()
	p.endsAs(long, "released", "completed")
}

func TestStopNow(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{"deaf": `trap '' TERM; while :; do sleep 1; done`, "quick": agentScripts["quick"]}
	p := newPlace(t, scripts, nil)
	p.must("gateway", "start")
	task := p.create("deaf")
	p.agentOf(task)
	start := time.Now()
	p.must("gateway", "stop", "--now")
	if took := time.Since(start); took > within(stopWithin) {
		t.Errorf("stop --now took %s", took)
	}
	if got := p.outcomes(task); !slices.Equal(got, []string{"released"}) {
		t.Errorf("got runs %q, want released", got)
	}
	p.nothingLeft()
}

func TestRestartKeepsRuns(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	p.must("gateway", "start", "--only", "acme")
	before, err := gateways(p.home, false)
	if err != nil || len(before) != 1 {
		t.Fatalf("got %v, %v, want one gateway", before, err)
	}
	task := p.create("slow")
	p.agentOf(task)
	p.must("gateway", "restart")
	after, err := gateways(p.home, false)
	if err != nil || len(after) != 1 || after[0].PID == before[0].PID || !slices.Equal(after[0].Only, []string{"acme"}) {
		t.Fatalf("got %+v, %v, want another gateway with the same boards", after, err)
	}
	p.endsAs(task, "completed")
	p.must("gateway", "stop")
	p.nothingLeft()
	if out := p.must("gateway", "status"); !strings.Contains(out, "no gateway runs here") {
		t.Errorf("status after the stop: %s", out)
	}
}

func TestOneGatewayUnlessStandby(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	const many = 6
	all := make([]*running, many)
	for i := range all {
		all[i] = p.spawn()
	}
	up := func() (n int) {
		for _, r := range all {
			if !r.over() {
				n++
			}
		}
		return n
	}
	eventually(t, "one gateway is left", func() bool { return up() == 1 })
	pid := 0
	for _, r := range all {
		if !r.over() {
			pid = r.pid()
		}
	}
	for _, r := range all {
		if r.pid() == pid {
			continue
		}
		var exit *exec.ExitError
		if !errors.As(r.err, &exit) || exit.ExitCode() != 1 || !strings.Contains(r.log.String(), fmt.Sprintf("(PID %d)", pid)) {
			t.Errorf("refused gateway: %v, %s; want exit 1 and pid %d", r.err, r.log, pid)
		}
	}
	_, errs, code := p.hermes("gateway", "start")
	if code != 1 || !strings.Contains(errs, fmt.Sprintf("(PID %d)", pid)) || !strings.Contains(errs, "--standby") {
		t.Errorf("second start: exit %d, %s", code, errs)
	}
	other := p.spawn("--only", "elsewhere", "--standby")
	eventually(t, "status lists both", func() bool {
		out := p.must("gateway", "status")
		return strings.Contains(out, fmt.Sprintf("(PID %d), profile default, holds 1 board\n", pid)) &&
			strings.Contains(out, fmt.Sprintf("(PID %d), profile default, waits, only elsewhere\n", other.pid()))
	})
}
