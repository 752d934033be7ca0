package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
	"github.com/hermesboard/hermes/sandbox"
)

// Deps is what a supervisor needs of the world.
type Deps struct {
	Door      api.Door                                   // as this run, whoever owns the board at the moment
	Sandboxes *sandbox.Registry                          // by the name in the assignment
	Store     worker.Store                               // where the agent's files go
	Open      func(events.Digest) (io.ReadCloser, error) // a stored file
	Go        io.Reader                                  // one byte: the run is committed as started
	Nudge     <-chan struct{}                            // look at the board now: something may be wanted of this run
	Warn      func(error)                                // trouble that does not end the run; may be nil
}

// maxSocketPath is how long a unix socket's path may be everywhere.
const maxSocketPath = 100

// run is one attempt being supervised.
type run struct {
	spec    Spec
	deps    Deps
	out     *transcript // nil if it could not be opened
	started time.Time
	server  *worker.Server // nil until it serves
	verdict keeper
	kept    bool        // the folders can be continued
	passed  atomic.Bool // the board took a verdict that ends the task well

	checkout *workspace.Checkout // nil unless the workspace is a repository
	bundle   bundler
}

// end is how an attempt ended, as far as the supervisor can tell.
type end struct {
	outcome events.Outcome
	status  sandbox.ExitStatus
	exited  bool // status is that of the agent
	reason  string
}

// Run supervises the attempt of spec and returns when its end has been
// reported, or when nothing was started because Go ended without a byte. ctx
// ending stops the agent and reports the run as released. That the board has
// the run as ended already is no error: somebody else attested its end.
func Run(ctx context.Context, spec Spec, deps Deps) error {
	if deps.Warn == nil {
		deps.Warn = func(error) {}
	}
	if !released(ctx, deps.Go) {
		return nil // whoever claimed the run died before it was started: it will be released
	}
	r := &run{spec: spec, deps: deps, started: time.Now()}
	r.verdict = keeper{dir: spec.Dir(), fence: spec.Assignment.Fence, door: deps.Door}
	ended := r.attempt(ctx)
	if err := r.report(context.WithoutCancel(ctx), ended); err != nil {
		return err
	}
	if r.passed.Load() && !spec.Keep {
		r.clear()
	}
	return nil
}

// clear removes the folders of a run whose work was accepted: what counts of
// it is stored. Folders of others, and the log, stay.
func (r *run) clear() {
	for _, part := range workspace.Parts {
		if _, err := workspace.Remove(context.Background(), filepath.Dir(r.spec.Dir()), r.spec.Assignment.Run.String()+"/"+part); err != nil {
			r.deps.Warn(fmt.Errorf("clear %s: %w", part, err))
		}
	}
}

// released waits for the byte that lets the run start.
func released(ctx context.Context, from io.Reader) bool {
	if c, ok := from.(interface{ SetReadDeadline(time.Time) error }); ok {
		stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	var b [1]byte
	_, err := io.ReadFull(from, b[:])
	return err == nil
}

// attempt runs the agent and returns when its process tree is proven gone.
func (r *run) attempt(ctx context.Context) end {
	failed := func(err error) end {
		if ctx.Err() != nil {
			return end{outcome: events.OutcomeReleased, reason: "the supervisor was told to end before the agent was started"}
		}
		return end{outcome: events.OutcomeSpawnFailed, reason: err.Error()}
	}
	var err error
	if r.out, err = openTranscript(filepath.Join(r.spec.Dir(), logFile)); err != nil {
		return failed(err)
	}
	f, err := r.folders(ctx)
	if err != nil {
		return failed(err)
	}
	r.kept = true
	d, err := r.show(ctx)
	if err != nil {
		return failed(err)
	}
	if err := r.inputs(ctx, f, d); err != nil {
		return failed(err)
	}
	box, err := r.deps.Sandboxes.Open(r.spec.Assignment.Backend, r.spec.Agent.Terminal.Settings())
	if err != nil {
		return end{outcome: events.OutcomeSandboxFailed, reason: err.Error()}
	}
	spec, err := r.launch(box, f)
	if err != nil {
		return failed(err)
	}
	r.bundle = bundler{run: r, box: box, spec: spec, outputs: f.outputs}
	stopServing, err := r.serve(context.WithoutCancel(ctx))
	if err != nil {
		return failed(err)
	}
	session, err := box.Start(context.WithoutCancel(ctx), spec)
	if err != nil {
		stopServing()
		return neverRan(err)
	}
	return r.life(ctx, session, stopServing)
}

// life watches a session to its end. The worker socket is closed after the
// tree is gone, so that a verdict given in the last instant counts.
func (r *run) life(ctx context.Context, s *sandbox.Session, stopServing func()) end {
	attending, leave := context.WithCancel(context.WithoutCancel(ctx))
	told, left := make(chan end, 1), make(chan struct{})
	go func() {
		defer close(left)
		r.attend(attending, told)
	}()
	stopped := r.watch(ctx, s, told)
	r.bury(s)
	leave()
	<-left
	stopServing()
	status, err := s.Wait()
	switch {
	case stopped != nil:
		stopped.status, stopped.exited = status, err == nil
		return *stopped
	case err != nil:
		return neverRan(err)
	}
	return classify(status, r.server.Spoken())
}

// neverRan tells what is wrong with the agent's program from what is wrong
// with its sandbox.
func neverRan(err error) end {
	for _, e := range []error{exec.ErrNotFound, fs.ErrNotExist, fs.ErrPermission, syscall.ENOEXEC, syscall.ENOTDIR} {
		if errors.Is(err, e) {
			return end{outcome: events.OutcomeSpawnFailed, reason: err.Error()}
		}
	}
	return end{outcome: events.OutcomeSandboxFailed, reason: err.Error()}
}

// classify says how an agent ended that ended by itself. Nothing is decided by
// what it printed.
func classify(status sandbox.ExitStatus, spoken bool) end {
	e := end{status: status, exited: true}
	switch {
	case status.Signal != 0:
		e.outcome = events.OutcomeCrashed
	case status.Code == 75: // sysexits EX_TEMPFAIL
		e.outcome = events.OutcomeRateLimited
	case status.Code != 0:
		e.outcome = events.OutcomeCrashed
	case !spoken:
		e.outcome, e.reason = events.OutcomeToolsMissing, "the agent never spoke to the worker socket"
	default:
		e.outcome = events.OutcomeNoVerdict
	}
	return e
}

// show fetches the task, patiently: the owner may be restarting.
func (r *run) show(ctx context.Context) (d projections.Detail, err error) {
	err = insist(ctx, 2*time.Minute, refused, func() error {
		d, err = r.deps.Door.Show(ctx, r.spec.Assignment.Run.Task)
		return err
	})
	return d, err
}

// serve answers the worker socket until stop is called, which returns when no
// call is under way any more and the socket's folder is removed.
func (r *run) serve(ctx context.Context) (stop func(), err error) {
	path := filepath.Join(r.spec.SocketDir, socketName)
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the worker socket has %d bytes, at most %d work: %s", len(path), maxSocketPath, path)
	}
	if err := os.MkdirAll(r.spec.SocketDir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		os.RemoveAll(r.spec.SocketDir)
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	a := r.spec.Assignment
	r.server = &worker.Server{
		Door: patient{r.deps.Door}, Board: a.Board, Run: a.Run, Fence: a.Fence, Agent: a.Agent, Role: a.Role, Tenant: a.Tenant,
		Workspace: a.Workspace, Store: r.deps.Store, Fault: r.deps.Warn,
		Verdict: r.send,
		Context: func(d projections.Detail) string { return agents.Context(d, time.Now()) },
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.server.Serve(ctx, l); err != nil {
			r.deps.Warn(err)
		}
	}()
	return func() {
		cancel()
		<-done
		if err := os.RemoveAll(r.spec.SocketDir); err != nil {
			r.deps.Warn(err)
		}
	}, nil
}

// bury ends the tree and does not give up: while anything of it lives, the run
// keeps its claim.
func (r *run) bury(s *sandbox.Session) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := s.Close()
		if err == nil {
			return
		}
		r.deps.Warn(err)
		time.Sleep(wait)
	}
}
