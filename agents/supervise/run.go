package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
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

// run is one attempt being supervised.
type run struct {
	spec    Spec
	deps    Deps
	out     *transcript
	started time.Time
	server  *worker.Server
}

// end is how an attempt ended, as far as the supervisor can tell.
type end struct {
	outcome events.Outcome
	status  sandbox.ExitStatus
	exited  bool // status is that of the agent
	reason  string
}

// Run supervises the attempt of spec and returns when its end has been
// reported, or when nothing was started because Go ended without a byte.
// ctx ending kills the agent and reports the run as released.
func Run(ctx context.Context, spec Spec, deps Deps) error {
	if deps.Warn == nil {
		deps.Warn = func(error) {}
	}
	var b [1]byte
	if _, err := io.ReadFull(deps.Go, b[:]); err != nil {
		return nil // whoever claimed the run died before it was started: it will be released
	}
	out, err := openTranscript(filepath.Join(spec.Dir(), "log"))
	if err != nil {
		return fmt.Errorf("run %s: %w", spec.Assignment.Run, err)
	}
	r := &run{spec: spec, deps: deps, out: out, started: time.Now()}
	ended := r.attempt(ctx)
	err = r.report(context.WithoutCancel(ctx), ended)
	os.RemoveAll(spec.SocketDir)
	return err
}

// attempt runs the agent and returns when its process tree is proven gone.
func (r *run) attempt(ctx context.Context) end {
	if err := r.redeliver(ctx); err != nil {
		r.deps.Warn(err)
	}
	d, err := r.show(ctx)
	if err != nil {
		return end{outcome: events.OutcomeSpawnFailed, reason: err.Error()}
	}
	f, err := r.prepare(ctx, d)
	if err != nil {
		return end{outcome: events.OutcomeSpawnFailed, reason: err.Error()}
	}
	box, err := r.deps.Sandboxes.Get(r.spec.Assignment.Backend)
	if err != nil {
		return end{outcome: events.OutcomeSandboxFailed, reason: err.Error()}
	}
	spec, err := r.launch(box, f)
	if err != nil {
		return end{outcome: events.OutcomeSpawnFailed, reason: err.Error()}
	}

	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	served, err := r.serve(serving)
	if err != nil {
		stopServing()
		return end{outcome: events.OutcomeSpawnFailed, reason: err.Error()}
	}
	defer func() { stopServing(); <-served }()

	session, err := box.Start(context.WithoutCancel(ctx), spec)
	if err != nil {
		return end{outcome: events.OutcomeSandboxFailed, reason: err.Error()}
	}
	ended := r.watch(ctx, session)
	r.bury(session)
	return ended
}

// show fetches the task, patiently: the owner may be restarting.
func (r *run) show(ctx context.Context) (d projections.Detail, err error) {
	err = r.insist(ctx, 2*time.Minute, func() error {
		d, err = r.deps.Door.Show(ctx, r.spec.Assignment.Run.Task)
		return err
	})
	return d, err
}

// serve answers the worker socket until ctx ends; served is closed when it has ended.
func (r *run) serve(ctx context.Context) (served <-chan struct{}, err error) {
	if err := os.MkdirAll(r.spec.SocketDir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(r.spec.SocketDir, socketName)
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	a := r.spec.Assignment
	r.server = &worker.Server{
		Door: r.deps.Door, Run: a.Run, Board: a.Board, Role: a.Role, Tenant: a.Tenant, Store: r.deps.Store,
		Verdict: r.verdict,
		Context: func(d projections.Detail) string { return agents.Context(d, time.Now()) },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.server.Serve(ctx, l); err != nil {
			r.deps.Warn(err)
		}
	}()
	return done, nil
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

// watch waits until the agent has ended or must be stopped.
func (r *run) watch(ctx context.Context, s *sandbox.Session) end {
	a := r.spec.Assignment
	grace := time.Duration(a.Policy.StopGraceMS) * time.Millisecond
	renew := time.NewTicker(max(time.Duration(a.Policy.TermMS)*time.Millisecond/3, time.Second))
	defer renew.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var limit <-chan time.Time
	if a.MaxRunMS > 0 {
		t := time.NewTimer(time.Duration(a.MaxRunMS) * time.Millisecond)
		defer t.Stop()
		limit = t.C
	}
	refusals := time.NewTicker(time.Minute)
	defer refusals.Stop()
	var decided time.Time
	for {
		select {
		case <-s.Done():
			return r.classify(s)
		case <-ctx.Done():
			s.Stop(grace)
			return end{outcome: events.OutcomeReleased, reason: "the supervisor was told to end"}
		case <-limit:
			s.Stop(grace)
			return end{outcome: events.OutcomeTimedOut, reason: fmt.Sprintf("ran longer than %s", time.Duration(a.MaxRunMS)*time.Millisecond)}
		case <-second.C:
			// An agent that has given its verdict is given the grace to leave by itself.
			if !r.server.Decided() {
				continue
			}
			if decided.IsZero() {
				decided = time.Now()
			} else if time.Since(decided) > grace {
				s.Stop(time.Second)
				return r.classify(s)
			}
		case <-refusals.C:
			r.reportRefusals(ctx)
		case <-renew.C:
			if e, stop := r.wanted(ctx, s, grace); stop {
				return e
			}
		case <-r.deps.Nudge:
			if e, stop := r.wanted(ctx, s, grace); stop {
				return e
			}
		}
	}
}

// wanted renews the term and stops the agent if the board says so.
func (r *run) wanted(ctx context.Context, s *sandbox.Session, grace time.Duration) (end, bool) {
	st, err := r.deps.Door.Renew(ctx)
	switch {
	case err != nil:
		if isForbidden(err) { // ended by somebody who attested that this tree was dead
			s.Stop(grace)
			return end{outcome: events.OutcomeKilled, reason: "the run was ended by force"}, true
		}
		r.deps.Warn(fmt.Errorf("renew: %w", err))
		return end{}, false
	case st.Stopping || !st.Open:
		s.Stop(grace)
		return end{outcome: events.OutcomeKilled, reason: "stopped"}, true
	}
	return end{}, false
}

// classify says how an agent ended that ended by itself. Nothing is decided by
// what it printed.
func (r *run) classify(s *sandbox.Session) end {
	status, err := s.Wait()
	e := end{status: status, exited: err == nil}
	switch {
	case err != nil:
		e.outcome, e.reason = events.OutcomeSandboxFailed, err.Error()
	case status.Signal != 0:
		e.outcome = events.OutcomeCrashed
	case status.Code == 75: // sysexits EX_TEMPFAIL
		e.outcome = events.OutcomeRateLimited
	case status.Code != 0:
		e.outcome = events.OutcomeCrashed
	case !r.server.Spoken():
		e.outcome, e.reason = events.OutcomeToolsMissing, "the agent never spoke to the worker socket"
	default:
		e.outcome = events.OutcomeNoVerdict
	}
	return e
}

func isForbidden(err error) bool {
	var e *api.Error
	var rej *boards.Rejection
	return errors.As(err, &e) && e.Code == api.CodeForbidden || errors.As(err, &rej) && rej.Code == boards.CodeStaleRun
}
