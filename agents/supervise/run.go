package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/endpoint"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// Deps is what a supervisor needs of the world.
type Deps struct {
	Door      api.Door                                   // as this run, whoever owns the board at the moment
	Sandboxes *sandbox.Registry                          // by the name in the assignment
	Store     worker.Store                               // where the agent's files go
	Open      func(events.Digest) (io.ReadCloser, error) // a stored file
	Go        io.Reader                                  // one byte: the run is committed as started
	Nudge     <-chan struct{}                            // look at the board now: something may be wanted of this run
	Meter     Meter                                      // of this attempt; nil = nothing is measured
	Seen      func(Asked)                                // told of each request to the model, from several goroutines; nil = nobody looks
	Warn      func(error)                                // trouble that does not end the run; may be nil
}

// maxSocketPath is how long a unix socket's path may be everywhere.
const maxSocketPath = 100

// run is one attempt being supervised.
type run struct {
	spec     Spec
	deps     Deps
	out      *transcript // nil if it could not be opened
	started  time.Time
	box      *sandbox.Sandbox
	folder   folders
	server   *worker.Server // nil until it serves
	hangUp   func()         // ends serving; nil until it serves
	verdict  keeper
	meter    Meter
	gate     *gate             // nil = nothing goes out under supervision
	budgets  []endpoint.Budget // what the run may spend, fixed before it begins
	reported map[string]uint32 // percent of each budget that was put on record; of spend, and then of report
	detail   projections.Detail
	kept     bool        // the folders can be continued
	passed   atomic.Bool // the board took a verdict that ends the task well

	adapter runtime.Adapter // nil until it is launched
	plan    *runtime.Plan
	stream  *runtime.Stream // nil unless its runtime's program writes JSON
	raw     *transcript     // what the program wrote as it came, with stream

	checkout *workspace.Checkout // nil unless the workspace is a repository
	bundle   bundler
}

// end is how an attempt ended, as far as the supervisor can tell.
type end struct {
	outcome events.Outcome
	status  sandbox.ExitStatus
	exited  bool // status is that of the agent
	reason  string
	retry   time.Duration // after which it may be tried again; 0 = as the policy says
	decided bool          // by the supervisor or the board: it stopped the agent
}

// Run supervises the attempt of spec and returns when its end has been
// reported, or when nothing was started because Go ended without a byte. ctx
// ending stops the agent and reports the run as released. That the board has
// the run as ended already is no error: somebody else attested its end.
func Run(ctx context.Context, spec Spec, deps Deps) error {
	if deps.Warn == nil {
		deps.Warn = func(error) {}
	}
	r := &run{spec: spec, deps: deps, meter: deps.Meter}
	if r.meter == nil {
		r.meter = nothingMetered{}
	}
	r.verdict = keeper{dir: spec.Dir(), fence: spec.Assignment.Fence, door: deps.Door}
	failed := r.prepare(ctx)
	if !released(ctx, deps.Go) {
		r.discard()
		return nil // whoever claimed the run died before it was started: it will be released
	}
	r.started = time.Now()
	if failed == nil {
		failed = r.makeReady(ctx)
	}
	var ended end
	if failed != nil {
		r.stopServing()
		ended = *failed
	} else {
		ended = r.attempt(ctx)
	}
	if err := r.report(context.WithoutCancel(ctx), ended); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(spec.Dir(), configDir)); err != nil && !spec.Keep {
		r.deps.Warn(err)
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

// prepare does what can be done before the run is on record as started, while
// that is being recorded. It runs nothing, leaves other runs alone, and what it
// makes harms nobody if the run never starts.
func (r *run) prepare(ctx context.Context) *end {
	var err error
	if r.out, err = openTranscript(filepath.Join(r.spec.Dir(), LogFile)); err != nil {
		return notStarted(ctx, err)
	}
	if r.box, err = r.deps.Sandboxes.Open(r.spec.Assignment.Backend, r.spec.Agent.Terminal.Settings()); err != nil {
		return &end{outcome: events.OutcomeSandboxFailed, reason: err.Error()}
	}
	if !r.spec.inherits() {
		if r.folder, err = r.folders(ctx); err != nil {
			return notStarted(ctx, err)
		}
		r.kept = true
	}
	if r.hangUp, err = r.serve(context.WithoutCancel(ctx)); err != nil {
		return notStarted(ctx, err)
	}
	return nil
}

// discard undoes what prepare left open.
func (r *run) discard() {
	r.stopServing()
	if r.out != nil {
		r.out.close()
	}
}

func (r *run) stopServing() {
	if r.gate != nil {
		r.gate.close()
	}
	if r.hangUp != nil {
		r.hangUp()
	}
}

// makeReady does the rest of what comes before the agent.
func (r *run) makeReady(ctx context.Context) *end {
	if r.spec.inherits() {
		var err error
		if r.folder, err = r.folders(ctx); err != nil {
			return notStarted(ctx, err)
		}
		r.kept = true
	}
	d, err := r.show(ctx)
	if err != nil {
		return notStarted(ctx, err)
	}
	r.earlier(ctx, d.Runs)
	r.detail, r.budgets = d, budgetsOf(r.spec.Assignment.Purses)
	if err := r.inputs(ctx, r.folder, d); err != nil {
		return notStarted(ctx, err)
	}
	if needsGate(&r.spec.Agent) {
		gate, err := r.openGate(ctx, r.box.Capabilities().Has(driver.Files))
		if err != nil {
			return notStarted(ctx, err)
		}
		r.gate = gate
		if r.deps.Meter == nil {
			r.meter = gate
		}
	}
	return nil
}

// notStarted is the end of a run whose agent was never started.
func notStarted(ctx context.Context, err error) *end {
	if ctx.Err() != nil {
		return &end{outcome: events.OutcomeReleased, reason: "the supervisor was told to end before the agent was started"}
	}
	return &end{outcome: events.OutcomeSpawnFailed, reason: err.Error()}
}

// attempt runs the agent and returns when its process tree is proven gone.
func (r *run) attempt(ctx context.Context) end {
	spec, err := r.launch(r.box, r.folder)
	if err != nil {
		r.stopServing()
		return *notStarted(ctx, err)
	}
	r.bundle = bundler{run: r, box: r.box, spec: spec, outputs: r.folder.outputs}
	session, err := r.box.Start(context.WithoutCancel(ctx), spec)
	if err != nil {
		r.stopServing()
		return neverRan(err)
	}
	return r.life(ctx, session)
}

// life watches a session to its end. The worker socket is closed after the
// tree is gone, so that a verdict given in the last instant counts.
func (r *run) life(ctx context.Context, s *sandbox.Session) end {
	attending, leave := context.WithCancel(context.WithoutCancel(ctx))
	told, over := make(chan end, 1), make(chan end, 1)
	var helpers sync.WaitGroup
	helpers.Go(func() { r.attend(attending, told) })
	helpers.Go(func() { r.spend(attending, over) })
	stopped := r.watch(ctx, s, told, over)
	r.bury(s)
	leave()
	helpers.Wait()
	r.stopServing()
	status, err := s.Wait()
	switch {
	case stopped != nil:
		stopped.status, stopped.exited, stopped.decided = status, err == nil, true
		return *stopped
	case overDisk(err):
		return end{outcome: events.OutcomeCrashed, reason: err.Error()}
	case err != nil:
		return neverRan(err)
	}
	return r.blame(classify(status, r.server.Spoken()))
}

// overDisk reports whether the session was ended because it took more of the
// disk than it may. That is the agent's doing.
func overDisk(err error) bool {
	_, over := errors.AsType[*sandbox.DiskError](err)
	return over
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
	if err := os.MkdirAll(r.spec.SocketDir, 0o700); err != nil {
		return nil, err
	}
	l, err := listenUnix(filepath.Join(r.spec.SocketDir, socketName))
	if err != nil {
		os.RemoveAll(r.spec.SocketDir)
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
