//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// place is a home of its own with one board, acme, whose agents are shell
// scripts in the sandbox that isolates nothing. What was started in it is
// ended with the test.
type place struct {
	t    testing.TB
	dir  string
	home *registry.Home
	env  []string
}

// patience bounds every wait of these tests; nothing takes that long unless it
// is broken.
const patience = 30 * time.Second

// within is how long what takes d on an idle machine may take here, beside other
// tests: it tells what is waked from what waits for a time-out or for ever.
func within(d time.Duration) time.Duration { return min(8*d, patience) }

// slowly is d, or more with the race detector, which makes everything slower.
func slowly(d time.Duration) time.Duration {
	if racing() {
		return 8 * d
	}
	return d
}

// agentScripts are what the agents do, by name.
var agentScripts = map[string]string{
	"quick":  `exec $HERMES_BIN worker complete ok`,
	"slow":   `sleep 1.5; exec $HERMES_BIN worker complete ok`,
	"long":   `sleep 60; exec $HERMES_BIN worker complete ok`,
	"polite": `trap '$HERMES_BIN worker complete "just in time"; exit 0' TERM; sleep 60 & wait`,
}

// newPlace makes a home with a board. The policy is the default with waits
// short enough to be lived with.
func newPlace(t testing.TB, scripts map[string]string, change func(*events.Policy)) *place {
	t.Helper()
	p := emptyPlace(t, t.TempDir())
	for name, script := range scripts {
		p.agent(name, "/bin/sh", "-c", script)
	}
	policy := events.DefaultPolicy(hostSlots())
	policy.BackoffMS, policy.BackoffMaxMS, policy.LostWaitMS, policy.RateLimitMS, policy.StopGraceMS = 100, 100, 100, 100, 1000
	if change != nil {
		change(&policy)
	}
	by := boards.Principal{Actor: events.Actor{Kind: events.Human, Name: "kai"}}
	o, err := owner.Create(t.Context(), p.home, "acme", "Acme", policy, by, owner.Options{Version: version()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// emptyPlace is a home in a folder, without boards.
func emptyPlace(t testing.TB, dir string) *place {
	t.Helper()
	home, err := registry.OpenHome(dir, &registry.HomeOptions{Version: version()})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: dir, home: home, env: []string{"HERMES_HOME=" + dir, "HOME=" + dir, "HERMES_SHARED_DIR=" + dir, "HERMES_USER=kai", "HERMES_BOARD=acme", "PATH=" + os.Getenv("PATH"),
		"GOCOVERDIR=" + t.TempDir()}} // a program built for coverage complains without one
	t.Cleanup(func() {
		p.endAll()
		home.Close()
	})
	return p
}

func (p *place) agent(name string, argv ...string) {
	p.t.Helper()
	dir := filepath.Join(p.dir, "agents", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	var quoted []string
	for _, a := range argv {
		quoted = append(quoted, strconv.Quote(a))
	}
	config := "runtime:\n  kind: command\n  command: [" + strings.Join(quoted, ", ") + "]\nterminal:\n  backend: local\n"
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// proc is a live process of a place.
type proc struct {
	pid   int
	start uint64
	argv  string
	env   []string
}

func (s proc) get(name string) string {
	for _, e := range s.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// alive reports whether that very process has not ended.
func (s proc) alive() bool {
	start, zombie := startOf(s.pid)
	return start == s.start && !zombie
}

// processes finds everything that runs in a place: gateways, supervisors and
// all that agents have started, by the environment they carry.
func (p *place) processes() (out []proc) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if s, ok := look(pid); ok && slices.ContainsFunc(s.env, func(v string) bool { return strings.HasSuffix(v, "="+p.dir) || strings.Contains(v, "="+p.dir+"/") }) {
			out = append(out, s)
		}
	}
	return out
}

func look(pid int) (proc, bool) {
	start, zombie := startOf(pid)
	if start == 0 || zombie {
		return proc{}, false
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || len(env) == 0 {
		return proc{}, false
	}
	argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return proc{pid, start, strings.ReplaceAll(string(argv), "\x00", " "), strings.Split(string(env), "\x00")}, true
}

// startOf is when a process started, in ticks since boot; 0 = there is none.
func startOf(pid int) (start uint64, zombie bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	start, _ = strconv.ParseUint(fields[19], 10, 64)
	return start, fields[0] == "Z" || fields[0] == "X"
}

// endAll ends what the test has left running, by pid.
func (p *place) endAll() {
	for range 50 {
		left := p.processes()
		if len(left) == 0 {
			return
		}
		for _, s := range left {
			syscall.Kill(s.pid, syscall.SIGKILL)
		}
		pauseFor(20 * time.Millisecond)
	}
	p.t.Errorf("processes survive: %v", p.processes())
}

// nothingLeft waits for the last processes to end, at most five seconds.
func (p *place) nothingLeft() {
	p.t.Helper()
	start := time.Now()
	eventually(p.t, "nothing is left running", func() bool { return len(p.processes()) == 0 })
	if took := time.Since(start); took > within(5*time.Second) {
		p.t.Errorf("processes outlived their runs by %s", took)
	}
}

// pauseFor lets other processes go on; there is no channel to them.
func pauseFor(d time.Duration) { <-time.After(d) }

// eventually waits until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); pauseFor(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// command prepares the program with arguments.
func (p *place) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "hermes", args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	return cmd
}

// hermes runs the program to its end.
func (p *place) hermes(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := p.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil || ctx.Err() != nil {
		p.t.Errorf("hermes %s: %v %v", strings.Join(args, " "), err, ctx.Err())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs the program, which must succeed, and returns what it printed.
func (p *place) must(args ...string) string {
	p.t.Helper()
	out, errs, code := p.hermes(args...)
	if code != 0 {
		p.t.Fatalf("hermes %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// running is a gateway in the foreground, as a process of its own.
type running struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{}
	err  error // of its end; read after done
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (p *place) spawn(args ...string) *running {
	p.t.Helper()
	r := &running{t: p.t, cmd: p.command(context.Background(), append([]string{"gateway", "run"}, args...)...), log: &logBuffer{}, done: make(chan struct{})}
	r.cmd.Stderr, r.cmd.WaitDelay = r.log, time.Second
	if err := r.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { r.err = r.cmd.Wait(); close(r.done) }() // ends with the gateway, at the latest in endAll
	return r
}

// gateway starts a gateway and waits until it holds the board.
func (p *place) gateway(args ...string) *running {
	p.t.Helper()
	r := p.spawn(args...)
	eventually(p.t, "gateway holds acme", func() bool { return r.over() || strings.Contains(r.log.String(), `"message":"holding"`) })
	if r.over() {
		p.t.Fatalf("gateway ended: %v\n%s", r.err, r.log)
	}
	return r
}

func (r *running) pid() int { return r.cmd.Process.Pid }

func (r *running) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *running) signal(sig syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

// ends waits for the end, which must come within most, and be clean.
func (r *running) ends(most time.Duration) {
	r.t.Helper()
	start := time.Now()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Fatalf("gateway has not ended\n%s", r.log)
	}
	if took := time.Since(start); took > within(most) || r.err != nil {
		r.t.Errorf("gateway ended after %s with %v, want within %s and clean\n%s", took, r.err, most, r.log)
	}
}

// create makes a task through the command line and returns its id.
func (p *place) create(agent string) string {
	p.t.Helper()
	return strings.Fields(p.must("kanban", "create", "for "+agent, "--assignee", agent, "-q"))[0]
}

// open reaches the board from this process, as any program does.
func (p *place) open() api.Board {
	p.t.Helper()
	b, err := reach(p.t.Context(), p.home, "acme", owner.Options{Version: version()})
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// show returns all about a task.
func (p *place) show(id string) projections.Detail {
	p.t.Helper()
	task, err := events.ParseTaskID(id)
	if err != nil {
		p.t.Fatal(err)
	}
	b := p.open()
	defer b.Close()
	d, err := b.Show(p.t.Context(), task)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// outcomes are those of a task's runs, in order; "" = open.
func (p *place) outcomes(id string) (out []string) {
	p.t.Helper()
	for _, r := range p.show(id).Runs {
		o := ""
		if r.Outcome != 0 {
			o = r.Outcome.String()
		}
		out = append(out, o)
	}
	return out
}

// agentOf waits until a process of a task's run that carries its mark lives.
func (p *place) agentOf(id string) (it proc) {
	p.t.Helper()
	eventually(p.t, "an agent for "+id, func() bool {
		for _, s := range p.processes() {
			if s.get("HERMES_TASK") == id {
				it = s
				return true
			}
		}
		return false
	})
	return it
}

// supervisors are the processes that supervise a run at the moment.
func (p *place) supervisors() (out []proc) {
	for _, s := range p.processes() {
		if strings.HasSuffix(s.argv, "hermes runner ") {
			out = append(out, s)
		}
	}
	return out
}

func (p *place) done(id string) func() bool {
	return func() bool { return p.show(id).Status == events.Done }
}

// endsAs waits until the runs of a task are these and no others.
func (p *place) endsAs(id string, want ...string) {
	p.t.Helper()
	var got []string
	defer func() {
		if !slices.Equal(got, want) {
			p.t.Logf("runs of %s: got %q, want %q", id, got, want)
		}
	}()
	eventually(p.t, "the runs of "+id+" end", func() bool { got = p.outcomes(id); return slices.Equal(got, want) })
}
