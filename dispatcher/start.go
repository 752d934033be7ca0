package dispatcher

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// startAll starts what can start and returns how many runs it claimed.
func (d *Dispatcher) startAll(ctx context.Context, now time.Time, p *plan) (int, error) {
	state, err := d.o.Slots.Probe()
	if err != nil {
		return 0, err
	}
	at := d.wall(now)
	f := d.newFacts(state, at)
	checking, head := d.meet(&f)
	var starts []Start
	var starving bool
	d.o.Board.View(func(v *projections.View) {
		p.busy = p.busy || checking || v.Head() != head // whoever came in between was not asked about
		starts = Next(v, f, at)
		starving = len(starts) == 0 && starves(v, f, at)
	})
	d.facts.Store(&f)
	if checking {
		p.by(now.Add(soon))
	}
	started := 0
	for _, s := range starts {
		if ctx.Err() != nil {
			return started, nil
		}
		ok, err := d.start(ctx, now, s)
		if err != nil {
			return started, err
		}
		if ok {
			started++
		}
	}
	refused := len(d.refused) - len(f.Refused)
	d.waitForSlots(now, p, starving || started+refused < len(starts)) // or somebody was quicker
	if refused > 0 && len(d.refused) < refusedMany {
		p.by(now) // those behind may start instead
	}
	for _, r := range d.refused {
		p.by(now.Add(r.Until.Sub(at)))
	}
	return started, nil
}

// meet asks about everybody who has something to do at the position it
// returns, and reports whether of one it is still being found out. Nobody waits
// for the view meanwhile.
func (d *Dispatcher) meet(f *Facts) (checking bool, head uint64) {
	d.o.Board.View(func(v *projections.View) {
		head = v.Head()
		policy, _ := v.Policy()
		for _, lane := range v.Lanes() {
			if name := who(lane, &policy); name != "" {
				f.Agents[name] = Agent{}
			}
		}
	})
	for name := range f.Agents {
		f.Agents[name] = d.o.Agents.Agent(name)
		checking = checking || f.Agents[name].Problem == Checking
	}
	return checking, head
}

// newFacts gathers what is known beyond the board, but for the agents.
func (d *Dispatcher) newFacts(state SlotState, at events.Time) Facts {
	maps.DeleteFunc(d.refused, func(_ events.TaskID, r Refusal) bool { return r.Until <= at || r.Since > at }) // over, or the clock was set back
	f := Facts{
		Dispatcher: Serving, Slots: state.Total, Free: state.Free,
		Agents: map[string]Agent{}, Refused: maps.Clone(d.refused), Stuck: map[events.RunID]events.Time{},
	}
	if d.drain.Load() {
		f.Dispatcher = Stopping
	}
	for run, w := range d.runs {
		if w.stuck != 0 {
			f.Stuck[run] = w.stuck
		}
	}
	return f
}

// starves reports whether a task waits for nothing but a slot that no run of
// this board has.
func starves(v *projections.View, f Facts, at events.Time) bool {
	own := 0 // slots that runs of this board have
	for _, r := range v.OpenRuns() {
		if !r.Person() {
			own++
		}
	}
	taken := f.Slots - f.Free
	f.Free++
	return taken > own && len(Next(v, f, at)) > 0
}

// waitForSlots looks again soon where a slot that others have is waited for: no
// commit tells that it is free. Between the end of a run and that of its
// supervisor a slot counts as somebody else's.
func (d *Dispatcher) waitForSlots(now time.Time, p *plan, starving bool) {
	if !starving {
		d.starve = 0
		return
	}
	d.starve = max(d.starve, starveMin)
	p.by(now.Add(d.starve))
}

// start claims a task and starts its run; false if it did not come to that.
// Once the claim is committed it is brought to an end even if ctx ends.
func (d *Dispatcher) start(ctx context.Context, now time.Time, s Start) (bool, error) {
	if s.Workspace.Kind == events.Repo {
		if problem, detail := d.o.Starter.Fits(ctx, s.Agent, s.Workspace); problem != "" {
			d.refuse(now, s.Task, Refusal{Problem: problem, Detail: detail})
			return false, nil
		}
	}
	slot, err := d.o.Slots.Take(s.Task.String() + " for " + s.Agent)
	if err != nil { // the disk is full, for one
		d.warn(err)
		d.refuse(now, s.Task, Refusal{Detail: err.Error()})
		return false, nil
	}
	if slot == nil {
		return false, nil
	}
	defer slot.Close()
	token, err := newToken()
	if err != nil {
		return false, err
	}
	res, refused, err := d.do(ctx, boards.ClaimTask{
		Task: s.Task, Agent: s.Agent, Role: s.Role, Token: events.DigestOf([]byte(token)), Facts: s.Facts,
		Backend: s.Backend, Runtime: s.Runtime, Model: s.Model, Allowed: s.Allowed,
	})
	if err != nil {
		return false, err
	}
	if refused != nil {
		d.refuse(now, s.Task, Refusal{Detail: refused.Detail})
		return false, nil
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTime)
	defer cancel()
	a, err := d.o.Board.Assignment(res.Run)
	if err != nil {
		return true, d.failed(bounded, res.Run, events.OutcomeReleased, err)
	}
	a.Purses = s.Purses
	sup, err := d.o.Starter.Start(bounded, a, token, slot)
	if err != nil {
		return true, d.failed(bounded, res.Run, events.OutcomeSpawnFailed, err)
	}
	if err := d.release(bounded, a, sup); err != nil {
		return true, err
	}
	d.follow(ctx, a.Run, sup)
	return true, nil
}

// refuse notes why a task was not started, and for how long it is left alone.
func (d *Dispatcher) refuse(now time.Time, task events.TaskID, r Refusal) {
	r.Since = d.wall(now)
	r.Until = r.Since.Add(refusalWait)
	d.refused[task] = r
}

// release records the identity of a supervisor and lets it go on. One that is
// not to go on after all exits; the watch then ends its run.
func (d *Dispatcher) release(ctx context.Context, a boards.Assignment, sup Supervisor) error {
	_, refused, err := d.do(ctx, boards.StartRun{Run: a.Run, Started: sup.Process()})
	if err != nil || refused != nil {
		sup.Abort()
		if err != nil {
			return fmt.Errorf("start of %s: %w", a.Run, err)
		}
		return nil
	}
	if err := sup.Release(); err != nil {
		d.warn(fmt.Errorf("supervisor of %s: %w", a.Run, err))
	}
	return nil
}

// follow waits in a goroutine for a supervisor to end, so that an end it could
// not report is noticed at once.
func (d *Dispatcher) follow(ctx context.Context, run events.RunID, sup Supervisor) {
	now := time.Now()
	d.heard.seen(run, now)
	d.runs[run] = &watched{lookAt: now.Add(safetyTick), signAt: now, started: now}
	d.helpers.Go(func() {
		select {
		case <-sup.Done():
			d.report(ctx, func() {
				if w := d.runs[run]; w != nil {
					w.lookAt = time.Time{}
				}
			})
		case <-ctx.Done():
		}
	})
}

// report hands what a goroutine found out to that of Run.
func (d *Dispatcher) report(ctx context.Context, what func()) {
	select {
	case d.reports <- what:
	case <-ctx.Done():
	}
}

// failed ends a run that was claimed and could not be started.
func (d *Dispatcher) failed(ctx context.Context, run events.RunID, outcome events.Outcome, cause error) error {
	d.warn(fmt.Errorf("start of %s: %w", run, cause))
	_, _, err := d.do(ctx, boards.EndRun{Run: run, Outcome: outcome, Reason: cause.Error()})
	return err
}

const tokenBytes = 32

// newToken makes the credential of a run. It is never logged or stored here.
func newToken() (string, error) {
	b := make([]byte, tokenBytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return hex.EncodeToString(b), nil
}

func newCommandID() (events.CommandID, error) {
	id, err := ulid.New(ulid.Timestamp(time.Now()), rand.Reader)
	if err != nil {
		return id, fmt.Errorf("command id: %w", err)
	}
	return id, nil
}
