//go:build linux

package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// The test binary is also the agent ("agent SCRIPT…") and a whole supervisor
// ("supervisor DIR") that is killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 2 && os.Args[1] == "agent":
		os.Exit(play(os.Args[2], os.Args[3:]))
	case len(os.Args) > 2 && os.Args[1] == "supervisor":
		superviseBlocked(os.Args[2])
		os.Exit(0)
	}
	if err := sandbox.Supervise(); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// play is an agent.
func play(script string, args []string) int {
	ctx := context.Background()
	c := worker.Dial(os.Getenv("HERMES_WORKER_SOCKET"))
	must := func(err error) {
		if err != nil {
			fmt.Println("agent:", err)
			os.Exit(9)
		}
	}
	call := func(tool string, a any) { _, err := c.Call(ctx, tool, a); must(err) }
	switch script {
	case "complete":
		call("complete", worker.Complete{Summary: "done"})
	case "silent":
	case "look":
		call("show", worker.Show{})
	case "exit":
		call("show", worker.Show{})
		var code int
		fmt.Sscan(args[0], &code)
		return code
	case "signal":
		call("show", worker.Show{})
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		forEver()
	case "hang", "stubborn":
		if script == "stubborn" {
			signal.Ignore(syscall.SIGTERM)
		}
		call("heartbeat", worker.Heartbeat{Note: "up"})
		forEver()
	case "spend": // passes on what it is told
		for {
			a, err := c.Call(ctx, "heartbeat", worker.Heartbeat{Note: "up"})
			must(err)
			for _, n := range a.Notices {
				call("heartbeat", worker.Heartbeat{Note: n.What + " " + n.Text})
			}
			<-time.After(200 * time.Millisecond)
		}
	case "ask": // its model, so many times
		call("show", worker.Show{})
		var times int
		fmt.Sscan(args[0], &times)
		for range times {
			req, err := http.NewRequest(http.MethodPost, os.Getenv("HERMES_MODEL_URL")+"/v1/messages", strings.NewReader(`{"model":"m","messages":[]}`))
			must(err)
			req.Header.Set("X-Api-Key", os.Getenv("HERMES_MODEL_TOKEN"))
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			must(err)
			resp.Body.Close()
			fmt.Println("answered", resp.StatusCode)
		}
		return 1
	case "wait":
		call("show", worker.Show{})
		forEver()
	case "last words":
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		call("heartbeat", worker.Heartbeat{Note: "up"})
		<-term
		call("complete", worker.Complete{Summary: "in the last instant"})
	case "linger":
		signal.Ignore(syscall.SIGTERM)
		call("complete", worker.Complete{Summary: "done"})
		forEver()
	case "daemon":
		child := exec.Command(os.Args[0], "agent", "stubborn")
		child.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "HERMES_MARK=") })
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := child.StdoutPipe()
		must(err)
		must(child.Start())
		_ = out
		must(os.WriteFile(filepath.Join(os.Getenv("HERMES_OUTPUTS"), "pid"), fmt.Append(nil, child.Process.Pid), 0o600))
		call("complete", worker.Complete{})
	case "files":
		a, err := c.Put(ctx, "r.txt", strings.NewReader("result"))
		must(err)
		must(os.WriteFile(filepath.Join(os.Getenv("HERMES_WORKSPACE"), "mine"), []byte("work"), 0o600))
		call("complete", worker.Complete{Artifacts: []worker.Artifact{a}})
	case "tell":
		call("show", worker.Show{})
		fmt.Println(strings.Join(os.Environ(), "\n"))
		fmt.Println(strings.Join(os.Args, "\n"))
	case "print":
		call("show", worker.Show{})
		io.Copy(os.Stdout, strings.NewReader(strings.Repeat("0123456789abcde\n", 500_000)))
		fmt.Print("\x1b[31mthe end\x1b[0m \xff\xfe \x00 ", os.Getenv("SECRET"))
	case "refused":
		for range 3 {
			c.Call(ctx, "delete", worker.Show{})
		}
		_, err := c.Call(ctx, "show", worker.Show{Task: 99})
		if err == nil {
			return 8
		}
		call("complete", worker.Complete{})
	}
	return 0
}

// trial is one run to be supervised.
type trial struct {
	spec  Spec
	deps  Deps
	door  *agentstest.Door
	store *agentstest.Store
	nudge chan struct{}
	start io.WriteCloser // its Go

	mu    sync.Mutex
	warns []error // guarded by mu
}

var board = events.BoardID{7}

func prepare(t *testing.T, script string, args ...string) *trial {
	t.Helper()
	home, err := os.MkdirTemp("", "s") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	return prepareIn(t, home, 2, script, args...)
}

func prepareIn(t *testing.T, home string, attempt uint32, script string, args ...string) *trial {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tr := &trial{store: &agentstest.Store{}, nudge: make(chan struct{}, 1)}
	run := events.RunID{Task: 7, N: attempt}
	tr.spec = Spec{
		Assignment: boards.Assignment{
			Board: board, Slug: "acme", Run: run, Fence: 12, Agent: "coder", Role: events.RoleWorker, Tenant: "north", Phase: events.Ready, Backend: "local",
			Policy: events.Policy{TermMS: 900_000, StopGraceMS: 300},
		},
		Agent: agents.Agent{Name: "coder", Runtime: agents.Runtime{Kind: "command", Command: append([]string{self, "agent", script}, args...)},
			// Under the race detector a program sleeps a second before it ends.
			// One built for coverage complains without a folder for it.
			Terminal: agents.Terminal{Set: map[string]string{"GORACE": "atexit_sleep_ms=0", "GOCOVERDIR": os.TempDir()}}},
		Token: "token-in-plain-text", Env: []string{"PAPER=a4"}, Home: home, BoardDir: filepath.Join(home, "boards", "acme"), SocketDir: filepath.Join(home, "run", "w-1"),
		Keep: true, Program: self, Mark: "m" + strings.ReplaceAll(filepath.Base(home), "-", "") + "x",
	}
	tr.door = &agentstest.Door{}
	d := &tr.door.Detail
	d.ID, d.Status, d.Title, d.CreatedBy = run.Task, events.Running, "Try", events.Actor{Kind: events.Human, Name: "alice"}
	if err := tr.spec.Write(); err != nil {
		t.Fatal(err)
	}
	boxes, err := sandbox.NewRegistry(localbox.New())
	if err != nil {
		t.Fatal(err)
	}
	var from *io.PipeReader
	from, tr.start = io.Pipe()
	tr.deps = Deps{Door: tr.door, Sandboxes: boxes, Store: tr.store, Open: tr.store.Open, Go: from, Nudge: tr.nudge, Warn: func(err error) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.warns = append(tr.warns, err)
	}}
	return tr
}

func (tr *trial) begin(ctx context.Context) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, tr.spec, tr.deps) }()
	go tr.start.Write([]byte{'g'})
	return ended
}

// end returns the one end that was reported.
func (tr *trial) end(t *testing.T, ended <-chan error) boards.EndRun {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the run does not end")
	}
	ends := agentstest.Find[boards.EndRun](tr.door)
	if len(ends) != 1 {
		t.Fatalf("got %d ends, want 1; warnings %v", len(ends), tr.warned())
	}
	if all := tr.door.Commands(); all[len(all)-1].CommandName() != "end_run" {
		t.Errorf("got %s after the end", all[len(all)-1].CommandName())
	}
	if _, err := os.Lstat(tr.spec.SocketDir); !os.IsNotExist(err) {
		t.Errorf("the socket's folder is still there: %v", err)
	}
	if left, err := sandbox.Marked(tr.spec.Mark); err != nil || len(left) > 0 {
		t.Errorf("got processes %v, %v left", left, err)
	}
	if _, err := os.Lstat(filepath.Join(tr.spec.Dir(), verdictFile)); !os.IsNotExist(err) {
		t.Errorf("a verdict is still kept: %v", err)
	}
	return ends[0]
}

func (tr *trial) run(t *testing.T) boards.EndRun {
	t.Helper()
	return tr.end(t, tr.begin(t.Context()))
}

func (tr *trial) warned() []error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.warns)
}

func (tr *trial) awaitHeartbeat(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := tr.door.Await(ctx, func(all []boards.Command) bool {
		return slices.ContainsFunc(all, func(c boards.Command) bool { _, ok := c.(boards.Heartbeat); return ok })
	})
	if err != nil {
		t.Fatalf("the agent does not come up: %v", err)
	}
}

func (tr *trial) log(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(tr.spec.Dir(), LogFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// superviseBlocked is a supervisor whose board swallows the verdict.
func superviseBlocked(dir string) {
	if err := sandbox.Supervise(); err != nil {
		panic(err)
	}
	spec, err := ReadSpec(dir)
	if err != nil {
		panic(err)
	}
	boxes, err := sandbox.NewRegistry(localbox.New())
	if err != nil {
		panic(err)
	}
	door := &agentstest.Door{Before: func(_ context.Context, what string) error {
		if what == "complete_task" {
			fmt.Println("on its way")
			forEver()
		}
		return nil
	}}
	door.Detail.ID = spec.Assignment.Run.Task
	store := &agentstest.Store{}
	if err := Run(context.Background(), spec, Deps{Door: door, Sandboxes: boxes, Store: store, Open: store.Open, Go: strings.NewReader("g")}); err != nil {
		panic(err)
	}
}

var errBusy = errors.New("nobody answers")

// forEver waits without an end. A bare select would be the end of the process:
// where no other goroutine can go on, the runtime takes it for a deadlock.
func forEver() {
	for range time.Tick(time.Hour) {
	}
}
