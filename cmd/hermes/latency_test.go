//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
)

// tellTime is the first that a clock agent does.
const tellTime = `date +%s%N; `

// TestStartLatency measures, with a thousand other tasks waiting, how long it
// takes until an agent has told the time: from the call that creates its task,
// and from the verdict of the task that it waits for. What the machine needs
// for the same without a board is measured beside it. Only what is out of all
// proportion fails: the machine may be busy with other tests.
func TestStartLatency(t *testing.T) {
	const rounds = 5
	p := newPlace(t, map[string]string{"clock": tellTime + agentScripts["quick"], "parent": "sleep 0.1; " + agentScripts["quick"]}, nil)
	p.boxed("boxed", "/bin/sh", "-c", tellTime+agentScripts["quick"])
	g := p.gateway()
	b := p.open()
	defer b.Close()
	p.crowd(b, 1000)

	bare := measure(rounds, func() time.Duration { return sinceCall(t, "/bin/sh", "-c", tellTime) })
	t.Logf("by themselves: fork and exec of true %s, sh and date %s, a flush of the disk %s",
		measure(rounds, func() time.Duration { return took(t, exec.Command("/bin/true").Run) }), bare, p.flush(rounds))
	backends := []string{"clock"}
	if _, err := exec.LookPath("bwrap"); err == nil {
		backends = append(backends, "boxed")
		t.Logf("sh and date in the barest bwrap %s", measure(rounds, func() time.Duration {
			return sinceCall(t, "bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/sh", "-c", tellTime)
		}))
	} else if os.Getenv("CI") == "true" {
		t.Fatal("bwrap is missing")
	}
	for _, agent := range backends {
		var steps [4][]time.Duration
		for range rounds {
			for i, d := range p.startOf(b, agent) {
				steps[i] = append(steps[i], d)
			}
		}
		s := [4]quantiles{quantilesOf(steps[0]), quantilesOf(steps[1]), quantilesOf(steps[2]), quantilesOf(steps[3])}
		t.Logf("%s: create → its agent told the time %s, %.1f × sh and date; on the way: created %s, claimed %s, start decided %s",
			agent, s[3], float64(s[3].p50)/float64(bare.p50), s[0], s[1], s[2])
		s[3].within(t, agent)
	}
	chained := measure(rounds, func() time.Duration { return p.chainOf(b) })
	t.Logf("verdict of a parent → the agent of its child told the time %s, %.1f × sh and date", chained, float64(chained.p50)/float64(bare.p50))
	chained.within(t, "chain")
	g.signal(syscall.SIGTERM)
	g.ends(2 * time.Second)
}

// quantiles is what a series of measurements came to.
type quantiles struct{ p50, p90 time.Duration }

func quantilesOf(d []time.Duration) quantiles {
	slices.Sort(d)
	return quantiles{d[len(d)/2].Round(10 * time.Microsecond), d[len(d)*9/10].Round(10 * time.Microsecond)}
}

func measure(rounds int, once func() time.Duration) quantiles {
	var all []time.Duration
	for range rounds {
		all = append(all, once())
	}
	return quantilesOf(all)
}

func (s quantiles) String() string { return fmt.Sprintf("%s (p90 %s)", s.p50, s.p90) }

func (s quantiles) within(t *testing.T, what string) {
	t.Helper()
	if limit := within(time.Second); s.p50 > limit {
		t.Errorf("%s: a start takes %s, want at most %s", what, s.p50, limit)
	}
}

func took(t *testing.T, f func() error) time.Duration {
	t.Helper()
	start := time.Now()
	if err := f(); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

// sinceCall is how long a program needs to tell the time.
func sinceCall(t *testing.T, argv ...string) time.Duration {
	t.Helper()
	t0 := time.Now()
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return told(t, string(out)).Sub(t0)
}

// flush is how long the disk takes for a page.
func (p *place) flush(rounds int) quantiles {
	f, err := os.Create(filepath.Join(p.dir, "page"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	page := bytes.Repeat([]byte{1}, 4096)
	return measure(rounds, func() time.Duration {
		if _, err := f.WriteAt(page, 0); err != nil {
			p.t.Fatal(err)
		}
		start := time.Now()
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			p.t.Fatal(err)
		}
		return time.Since(start)
	})
}

// boxed makes an agent that runs in bubblewrap.
func (p *place) boxed(name string, argv ...string) {
	p.t.Helper()
	p.agent(name, argv...)
	file := filepath.Join(p.dir, "agents", name, "config.yaml")
	config, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	config = bytes.Replace(config, []byte("backend: local"), []byte("backend: bubblewrap"), 1)
	if err := os.WriteFile(file, config, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// crowd makes tasks that wait: half of them for an agent that does not exist,
// half for the first of them.
func (p *place) crowd(b api.Board, n int) {
	p.t.Helper()
	var first events.TaskID
	for made := 0; made < n; {
		var tasks []boards.NewTask
		for ; len(tasks) < 200 && made < n; made++ {
			task := boards.NewTask{Title: fmt.Sprint("waits ", made), Assignee: "nobody-yet"}
			if made%2 == 1 && first != 0 {
				task.Assignee, task.Parents = "clock", []boards.Parent{{Task: first}}
			}
			tasks = append(tasks, task)
		}
		res := p.do(b, boards.CreateTasks{Tasks: tasks})
		first = res.Tasks[0]
	}
}

func (p *place) do(b api.Board, c boards.Command) boards.Result {
	p.t.Helper()
	res, err := b.Do(p.t.Context(), personal(Env{User: "kai"}), owner.NewCommandID(), c)
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}

// startOf creates a task for a clock and returns how long it took until it was
// created, claimed, said to be started, and until its agent told the time.
func (p *place) startOf(b api.Board, agent string) (steps [4]time.Duration) {
	p.t.Helper()
	t0 := time.Now()
	task := p.do(b, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "x", Assignee: agent}}}).Tasks[0]
	p.settles(task)
	for at, data := range p.history(b, task) {
		switch data.(type) {
		case events.TaskCreated:
			steps[0] = at.Sub(t0)
		case events.RunClaimed:
			steps[1] = at.Sub(t0)
		case events.RunStarted:
			steps[2] = at.Sub(t0)
		}
	}
	steps[3] = p.toldBy(task).Sub(t0)
	return steps
}

// chainOf is how long it takes from the verdict of a parent until the agent of
// its child has told the time.
func (p *place) chainOf(b api.Board) time.Duration {
	p.t.Helper()
	tasks := p.do(b, boards.CreateTasks{Tasks: []boards.NewTask{
		{Title: "parent", Assignee: "parent"}, {Title: "child", Assignee: "clock", Parents: []boards.Parent{{New: 1}}},
	}}).Tasks
	p.settles(tasks[1])
	for at, data := range p.history(b, tasks[0]) {
		if _, ok := data.(events.TaskCompleted); ok {
			return p.toldBy(tasks[1]).Sub(at)
		}
	}
	p.t.Fatalf("%v was not completed", tasks[0])
	return 0
}

// settles waits until a task's only run has ended, and until the next idle
// supervisor is there.
func (p *place) settles(task events.TaskID) {
	p.t.Helper()
	p.endsAs(task.String(), "completed")
	pauseFor(80 * time.Millisecond)
}

// history is what happened to a task, by time.
func (p *place) history(b api.Board, task events.TaskID) func(yield func(time.Time, events.Payload) bool) {
	p.t.Helper()
	entries, err := b.ReadTask(p.t.Context(), task, 1, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return func(yield func(time.Time, events.Payload) bool) {
		for _, e := range entries {
			r, err := events.Decode(e.Record)
			if err != nil {
				p.t.Fatal(err)
			}
			if !yield(r.Time.Time(), r.Data) {
				return
			}
		}
	}
}

// toldBy is the time that a task's agent told.
func (p *place) toldBy(task events.TaskID) time.Time {
	p.t.Helper()
	log, err := os.ReadFile(filepath.Join(p.home.Paths("acme").Runs, fmt.Sprint(task, ".1"), "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	return told(p.t, string(log))
}

func told(t testing.TB, s string) time.Time {
	t.Helper()
	line, _, _ := strings.Cut(s, "\n")
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		t.Fatalf("no time in %q", s)
	}
	return time.Unix(0, n)
}
