//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
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
const patience = 20 * time.Second

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
	p := &place{t: t, dir: dir, home: home, env: []string{"HERMES_HOME=" + dir, "HOME=" + dir, "HERMES_USER=kai", "HERMES_BOARD=acme", "PATH=" + os.Getenv("PATH")}}
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
	if took := time.Since(start); took > 5*time.Second {
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
	if took := time.Since(start); took > most || r.err != nil {
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
	if took := time.Since(start); took > stopWithin {
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
