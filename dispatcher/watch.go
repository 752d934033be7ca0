package dispatcher

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// watched is what the dispatcher keeps of an open run.
type watched struct {
	lookAt   time.Time   // when to look at its processes; zero = at once
	lastSign events.Time // as the board last had it
	signAt   time.Time   // when that was noticed
	started  time.Time   // of the run, on the monotonic clock: the wall clock only tells its age when first seen here
	stopping bool        // a goroutine stops its processes
	stopAt   time.Time   // not to be stopped again before
	stuck    events.Time // its processes did not die, since then
}

// job is an open run with all that a look at it needs.
type job struct {
	projections.Run
	board  events.BoardID
	policy events.Policy
	limit  int64 // longest run, ms; 0 = none
}

// watch looks after every open run and returns how many have processes.
func (d *Dispatcher) watch(ctx context.Context, now time.Time, p *plan) (int, error) {
	jobs := d.jobs()
	open := make(map[events.RunID]bool, len(jobs))
	processes := 0
	for i := range jobs {
		open[jobs[i].ID] = true
		if !jobs[i].Person() {
			processes++
		}
	}
	for run := range d.runs {
		if !open[run] {
			delete(d.runs, run)
			d.heard.forget(run)
		}
	}
	for i := range jobs {
		if err := d.watchRun(ctx, now, p, &jobs[i]); err != nil {
			return processes, fmt.Errorf("run %s: %w", jobs[i].ID, err)
		}
	}
	return processes, nil
}

func (d *Dispatcher) jobs() []job {
	var jobs []job
	d.o.Board.View(func(v *projections.View) {
		policy, _ := v.Policy()
		board := v.Board().ID
		for _, r := range v.OpenRuns() {
			limit := policy.MaxRuntimeMS
			if t := v.Task(r.ID.Task); t.MaxRuntimeMS > 0 {
				limit = t.MaxRuntimeMS
			}
			jobs = append(jobs, job{*r, board, policy, limit})
		}
	})
	return jobs
}

// watchRun does what is due for one run.
func (d *Dispatcher) watchRun(ctx context.Context, now time.Time, p *plan, j *job) error {
	w := d.runs[j.ID]
	if w == nil {
		w = &watched{lastSign: j.LastSign, signAt: now}
		d.runs[j.ID] = w
	}
	if w.lastSign != j.LastSign { // a sign of life is as good as a renewal
		w.lastSign, w.signAt = j.LastSign, now
		d.heard.renew(j.ID, now)
	}
	if w.started.IsZero() && j.Run.Started != 0 {
		w.started = now.Add(-max(0, d.wall(now).Sub(j.Run.Started)))
	}
	heard := d.heard.seen(j.ID, now)
	if j.Person() {
		return d.watchPerson(ctx, now, p, j, heard)
	}
	if w.stopping {
		return nil // its goroutine reports
	}
	expires := heard.Add(j.term())
	expired := !now.Before(expires)
	life := Living
	if expired || !now.Before(w.lookAt) || j.Started == 0 {
		var err error
		if life, err = d.o.Starter.Look(ctx, j.ref()); err != nil {
			d.warn(fmt.Errorf("look at %s: %w", j.ID, err))
			life = Living
		}
		w.lookAt = now.Add(safetyTick)
	}
	switch {
	case life == Gone:
		return d.endRun(ctx, now, p, j)
	case j.Started == 0 && !j.Stopping: // a supervisor without a start exits by itself
		p.by(now.Add(soon))
		return nil
	case life == Left: // nobody watches over them
		d.stopProcesses(ctx, now, p, j, w)
		return nil
	case j.Stopping || j.Verdict != "" && (expired || silent(now, j, w)):
		d.stopProcesses(ctx, now, p, j, w)
		return nil
	case j.Verdict != "":
		p.by(expires)
		return nil
	case expired:
		return d.stopRun(ctx, j, events.OutcomeStalled, "its term passed without a renewal")
	}
	p.by(expires)
	return d.watchClock(ctx, now, p, j, w)
}

// term is how long the run may go without a renewal. It renews as its claim
// says: a shorter policy since must not catch it out.
func (j *job) term() time.Duration { return millis(cmp.Or(j.ExpiresMS, j.policy.TermMS)) }

func (j *job) ref() Ref { return Ref{j.board, j.ID, j.RunStarted} }

// watchPerson ends a person's claim when its term has passed: there is no
// process to look at.
func (d *Dispatcher) watchPerson(ctx context.Context, now time.Time, p *plan, j *job, heard time.Time) error {
	if expires := heard.Add(j.term()); now.Before(expires) {
		p.by(expires)
		return nil
	}
	return d.endRun(ctx, now, p, j)
}

// watchClock stops a run that has said nothing, or run, for too long.
func (d *Dispatcher) watchClock(ctx context.Context, now time.Time, p *plan, j *job, w *watched) error {
	if limit := millis(j.limit); limit > 0 {
		left := limit - now.Sub(w.started)
		if left <= 0 {
			return d.stopRun(ctx, j, events.OutcomeTimedOut, "ran longer than "+projections.Span(limit))
		}
		p.by(now.Add(left))
	}
	if silent(now, j, w) {
		return d.stopRun(ctx, j, events.OutcomeStalled, "gave no sign for "+projections.Span(millis(j.policy.SilenceMS)))
	}
	if silence := millis(j.policy.SilenceMS); silence > 0 {
		p.by(w.signAt.Add(silence))
	}
	return nil
}

// silent reports whether a run has given no sign for too long. After its
// verdict a supervisor may renew for ever and never come to the end.
func silent(now time.Time, j *job, w *watched) bool {
	silence := millis(j.policy.SilenceMS)
	return silence > 0 && !now.Before(w.signAt.Add(silence))
}

// stopRun decides that a run is to be stopped and tried again. The commit
// wakes the next tick, which stops its processes.
func (d *Dispatcher) stopRun(ctx context.Context, j *job, outcome events.Outcome, why string) error {
	_, refused, err := d.do(ctx, boards.StopRun{Task: j.ID.Task, Run: j.ID, Outcome: outcome, Then: events.ThenRetry, Reason: why})
	if refused != nil && !passed(refused.Code) {
		d.warn(refused)
	}
	return err
}

// passed reports whether a refusal only says that the world has moved on.
func passed(c boards.Code) bool {
	return c == boards.CodeAlready || c == boards.CodeStaleRun || c == boards.CodeWrongStatus
}

// endRun reports the end of a run of which nothing is left and that did not
// report it itself.
func (d *Dispatcher) endRun(ctx context.Context, now time.Time, p *plan, j *job) error {
	end := boards.EndRun{Run: j.ID, Outcome: events.OutcomeLost, Reason: "no process of the run is left"}
	switch {
	case j.Person():
		end.Reason = "the claim has run out"
	case j.Run.Started == 0:
		end.Outcome, end.Reason = events.OutcomeReleased, "it was never started"
	default:
		end.RanMS = max(0, d.wall(now).Sub(j.Run.Started).Milliseconds())
	}
	_, refused, err := d.do(ctx, end)
	if refused != nil && !passed(refused.Code) {
		d.warn(refused)
		p.by(now.Add(safetyTick))
	}
	return err
}

// stopProcesses lets a goroutine end the processes of a run. Once they are
// gone a supervisor that lives is given a moment to report the end itself.
func (d *Dispatcher) stopProcesses(ctx context.Context, now time.Time, p *plan, j *job, w *watched) {
	if now.Before(w.stopAt) {
		w.lookAt = now.Add(soon)
		p.by(w.lookAt)
		return
	}
	w.stopping = true
	ref, grace := j.ref(), millis(j.policy.StopGraceMS)
	d.helpers.Go(func() {
		err := d.o.Starter.Stop(ctx, ref, grace)
		d.report(ctx, func() { d.stopped(w, ref.Run, err) })
	})
}

// stopped takes the report of a goroutine that stopped a run's processes.
func (d *Dispatcher) stopped(w *watched, run events.RunID, err error) {
	now := time.Now()
	w.stopping, w.stopAt, w.lookAt = false, now.Add(safetyTick), time.Time{}
	switch {
	case err == nil:
		w.stuck = 0
	case w.stuck == 0:
		w.stuck = d.wall(now)
		d.warn(fmt.Errorf("stop of %s: %w", run, err))
	}
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
