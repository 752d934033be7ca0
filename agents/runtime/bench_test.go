//go:build linux

package runtime

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/mcp"
	"github.com/hermesboard/hermes/agents/runtime/runtimetest"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// patience is how long an attempt may take on a loaded machine.
const patience = 2 * time.Minute

// The test binary is also hermes ("worker mcp"), the forwarder inside a
// sandbox ("forward"), and the programs that are imitated, by their names.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == "hermes-agent":
		os.Exit(runtimetest.HermesAgent(os.Args[1:]))
	case runtimetest.Programs[filepath.Base(os.Args[0])] != nil:
		os.Exit(runtimetest.Programs[filepath.Base(os.Args[0])](os.Args[1:]))
	case len(os.Args) > 2 && os.Args[1] == "worker" && os.Args[2] == "mcp":
		serveTools(os.Args[3:])
	case len(os.Args) > 4 && os.Args[1] == "forward":
		forward(os.Args[2], os.Args[3], os.Args[5:])
	default:
		if err := sandbox.Supervise(); err != nil {
			panic(err)
		}
		code := m.Run()
		for _, dir := range leftovers {
			os.RemoveAll(dir)
		}
		os.Exit(code)
	}
}

// leftovers are folders that serve all tests.
var leftovers []string

func removeAtEnd(dir string) { leftovers = append(leftovers, dir) }

// serveTools is "hermes worker mcp".
func serveTools(args []string) {
	if len(args) != 4 || args[0] != "--socket" || args[2] != "--outputs" {
		fmt.Fprintln(os.Stderr, "worker mcp: wrong arguments", args)
		os.Exit(2)
	}
	s := &mcp.Server{Client: worker.Dial(args[1]), Outputs: args[3], Dir: "/", Version: "test"}
	if err := s.Run(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "worker mcp:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// forward listens where the sandbox has no other network, passes everything on
// to a socket, and runs a program.
func forward(address, socket string, argv []string) {
	die := func(err error) {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(99)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		die(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				up, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer up.Close()
				go io.Copy(up, c)
				io.Copy(c, up)
			}()
		}
	}()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		die(err)
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		os.Exit(128 + int(ws.Signal()))
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// bench is where one agent works on one task.
type bench struct {
	t       *testing.T
	box     *sandbox.Sandbox
	agent   *agents.Agent
	adapter Adapter
	hermes  string // on the host
	program string // on the host; empty = none
	model   *runtimetest.Model
	door    *agentstest.Door // of the latest attempt

	dir, workspace, state string
	attempt               int
	budget                int64
	breakTools            bool // the worker socket is not where the agent is told
	skills                []Skill
}

// token is what the model must be called with.
const token = "run-token-of-this-attempt"

func newBench(t *testing.T, box *sandbox.Sandbox, a agents.Agent) *bench {
	t.Helper()
	agent := &a
	agent.Name = "buyer"
	if err := agent.Validate(); err != nil {
		t.Fatal(err)
	}
	adapter, err := For(agent.Runtime.Kind)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rt") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{t: t, box: box, agent: agent, adapter: adapter, dir: dir, model: &runtimetest.Model{},
		workspace: filepath.Join(dir, "workspace"), state: filepath.Join(dir, "state")}
	for _, d := range []string{b.workspace, b.state} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// result is how an attempt went.
type result struct {
	status  sandbox.ExitStatus
	log     string
	raw     string
	errs    string
	sum     Summary
	spoken  bool
	resumed string
}

// lockedBuffer is a buffer for two writers.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// run makes one attempt: what a supervisor does, without a board.
func (b *bench) run(again bool) result {
	t := b.t
	t.Helper()
	b.attempt++
	dir := filepath.Join(b.dir, fmt.Sprint(b.attempt))
	inputs, outputs, config, sockets := filepath.Join(dir, "i"), filepath.Join(dir, "o"), filepath.Join(dir, "c"), filepath.Join(dir, "s")
	for _, d := range []string{inputs, outputs, config, sockets} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	srv := b.serve(filepath.Join(sockets, "sock"))
	spec := &sandbox.Spec{Workspace: b.workspace, Inputs: inputs, Outputs: outputs, SocketDir: sockets, Program: b.hermes}
	isolated := b.box.Capabilities().Has(driver.Files)
	mount := func(host, inside string, writable bool) string {
		m := sandbox.Mount{Host: host, Inside: inside, Writable: writable}
		if !isolated {
			spec.Network, m.Inside = sandbox.FullNetwork, host
		}
		spec.Mounts = append(spec.Mounts, m)
		return m.Inside
	}
	f := &Facts{Agent: b.agent, Begin: NewConversation("acme", "buyer", fmt.Sprint("t7.", b.attempt)), Token: token,
		Task: "t7", Run: fmt.Sprint("t7.", b.attempt), Board: "acme", Program: b.program, Budget: b.budget}
	f.Places.State, f.Places.Config = mount(b.state, "/state", true), mount(config, "/agent", false)
	for _, m := range ProgramMounts(b.program) {
		mount(m, m, false)
	}
	in := b.box.Layout(spec)
	f.Places.Hermes, f.Places.Workspace, f.Places.Inputs, f.Places.Outputs = in.Program, in.Workspace, in.Inputs, in.Outputs
	f.Places.Socket = filepath.Join(in.SocketDir, "sock")
	if b.breakTools {
		f.Places.Hermes = "/no/such/hermes"
	}
	if again {
		f.Resume = Resumable(b.adapter, b.state, b.adapter.Version().Wanted(b.agent))
	}
	f.Prompt = Prompt("# Task t7: Compare quotes\n", f.Resume != "")
	f.Skills = b.skills
	for _, s := range b.skills {
		put(t, filepath.Join(config, SkillsDir, s.Name), map[string]string{"SKILL.md": s.Text})
	}
	var prefix []string
	if isolated {
		f.BaseURL = "http://127.0.0.1:8787"
		self := mount(self(t), "/test/forward", false)
		b.serveModel(filepath.Join(sockets, "model"))
		prefix = []string{self, "forward", "127.0.0.1:8787", filepath.Join(in.SocketDir, "model"), "--"}
	} else {
		m := httptest.NewServer(b.model)
		defer m.Close()
		f.BaseURL = m.URL
	}
	plan, err := b.adapter.Plan(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Lay(b.state, config); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PATH": agents.DefaultPath, "HOME": f.Places.State, "LANG": "C.UTF-8", "TMPDIR": "/tmp", "HERMES_OUTPUTS": in.Outputs}
	maps.Copy(env, plan.Env)
	for k, v := range env {
		spec.Env = append(spec.Env, k+"="+v)
	}
	slices.Sort(spec.Env)
	spec.Argv = append(prefix, plan.Argv...)
	if plan.Dir != "" {
		spec.Dir = plan.Dir
	}
	spec.Stdin = strings.NewReader(plan.Stdin)
	var log, raw, errs lockedBuffer
	stream := NewStream(b.adapter, &log, &raw)
	spec.Stdout, spec.Stderr = stream, &errs
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := b.box.Start(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.Wait()
	if cerr := s.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	r := result{status: status, sum: stream.End(), log: log.String(), raw: raw.String(), errs: errs.String(), spoken: srv.Spoken(), resumed: f.Resume}
	if ctx.Err() != nil {
		t.Fatalf("the attempt did not end\n%s", r)
	}
	r.sum.Conversation = cmp.Or(r.sum.Conversation, plan.Conversation)
	if err := Remember(b.state, Conversation{Kind: b.adapter.Kind(), Version: b.adapter.Version().Wanted(b.agent), ID: r.sum.Conversation}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r result) String() string {
	return fmt.Sprintf("%v, spoken %v, %+v\n--- log\n%s\n--- raw\n%.6000s\n--- stderr\n%.3000s", r.status, r.spoken, r.sum, r.log, r.raw, r.errs)
}

// serve answers the worker socket of an attempt until the test ends.
func (b *bench) serve(socket string) *worker.Server {
	b.door = &agentstest.Door{}
	run := events.RunID{Task: 7, N: uint32(b.attempt)}
	d := &b.door.Detail
	d.ID, d.Status, d.Title, d.CreatedBy = 7, events.Running, "Compare quotes", events.Actor{Kind: events.Human, Name: "alice"}
	d.Runs = []projections.RunRow{{Run: run, Agent: "buyer", Role: events.RoleWorker, Phase: events.Running}}
	door := b.door
	srv := &worker.Server{
		Door: door, Board: events.BoardID{1}, Run: run, Agent: "buyer", Role: events.RoleWorker, Store: &agentstest.Store{},
		Verdict: func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
			return door.Do(ctx, id, c)
		},
		Context: func(d projections.Detail) string { return "# Task t7: " + d.Title + "\n" },
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("serve the socket: %v", err)
		}
	})
	return srv
}

func (b *bench) serveModel(socket string) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.t.Fatal(err)
	}
	srv := &http.Server{Handler: b.model}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	b.t.Cleanup(func() { srv.Close(); <-done })
}

// seenAt is the workspace as the agent sees it.
func (b *bench) seenAt() string {
	return b.box.Layout(&sandbox.Spec{Workspace: b.workspace}).Workspace
}

func self(t *testing.T) string {
	t.Helper()
	p, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
