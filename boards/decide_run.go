package boards

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/events"
)

func (d *decision) claimTask(c ClaimTask) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	personal := c.Token == events.Digest{}
	agent := fold(c.Agent)
	if personal && agent == "" {
		agent = fold(d.e.By.Actor.Name)
	}
	if r := firstBad(c.Task, agentName("agent", agent), modelName(c.Model), duration("term_ms", c.TermMS),
		word("backend", c.Backend, "_-.", MaxName), word("runtime", c.Runtime, "_-.", MaxName)); r != nil {
		return r
	}
	if c.Allowed.CostMicros < 0 || c.Allowed.Tokens < 0 {
		return reject(CodeBadCommand, c.Task, "", "%v: a run cannot be allowed less than nothing", c.Task)
	}
	if r := d.claimable(c, t, agent, personal); r != nil {
		return r
	}
	p := events.RunClaimed{
		Phase: t.phase, Agent: agent, Role: cmp.Or(c.Role, events.RoleWorker), Token: c.Token, Policy: d.s.policySeq, Facts: c.Facts,
		Backend: c.Backend, Runtime: c.Runtime, Model: c.Model, Allowed: c.Allowed,
	}
	if p.Phase == events.Review && p.Role == events.RoleWorker {
		p.Role = events.RoleReviewer // who is given a review may judge it
	}
	if personal {
		p.ExpiresMS = cmp.Or(c.TermMS, d.s.policy.PersonTermMS)
	} else if l := t.last[laneOf(t.phase)]; l.goesOn && !t.fresh && d.s.names.text(l.agent) == agent {
		p.Continues = events.RunID{Task: c.Task, N: l.n}
	}
	draft := d.about(c.Task, t, p, nil)
	draft.Run = events.RunID{Task: c.Task, N: t.runs + 1}
	d.add(draft)
	return nil
}

// claimable refuses what must not be started now.
func (d *decision) claimable(c ClaimTask, t *task, agent string, personal bool) *Rejection {
	id := c.Task
	wanted, wants, hint := t.assignee, "is assigned to", "hermes kanban assign %v %s"
	if t.phase == events.Review {
		wanted, wants, hint = t.reviewer, "is to be reviewed by", "hermes kanban edit %v --reviewer %s"
	}
	want := d.s.names.text(wanted)
	if want == "" && t.phase == events.Ready {
		want = d.s.policy.DefaultAssignee
	}
	switch {
	case agent == "" || c.Role > events.RoleReviewer:
		return reject(CodeBadCommand, id, "", "%v: a claim names who is to do it", id)
	case personal && d.who&person == 0:
		return reject(CodeBadCommand, id, "", "%v: a claim without a token is a person's", id)
	case t.run != nil:
		return reject(CodeRunOpen, id, "hermes kanban stop "+id.String()+" --force", "the previous run of %v (%v) has not ended", id, t.run.id)
	case d.s.paused:
		return reject(CodePaused, id, "hermes board resume "+d.s.slug, "the board is paused")
	case !d.s.allMet(t.parents, settled{}):
		return reject(CodeEdgeOpen, id, "hermes kanban why "+id.String(), "%v waits for %v", id, d.s.openParent(t))
	}
	if other := d.s.folders[t.folder]; t.folder != 0 && other != 0 {
		return reject(CodeRunOpen, id, "hermes kanban show "+other.String(), "the run of %v works in the same folder as %v would", other, id)
	}
	if personal {
		return nil
	}
	if _, used := d.s.tokens[c.Token]; used {
		return reject(CodeBadCommand, id, "", "%v: the token belongs to another run", id)
	}
	if h, ok := d.s.hold(agent); ok && (h.until == 0 || h.until > d.e.Now) {
		return reject(CodeAgentHeld, id, "hermes agent release "+agent, "%s must not be started (%v)", agent, h.cause)
	}
	if t.retryAt > d.e.Now {
		return reject(CodeTooEarly, id, "", "%v rests until %v", id, t.retryAt)
	}
	if want != agent && (want != "" || t.phase == events.Review) {
		return reject(CodeNotYours, id, fmt.Sprintf(hint, id, agent), "%v %s %s, not %s", id, wants, cmp.Or(want, "a person"), agent)
	}
	return d.crowded(id, t, agent)
}

// openParent returns the first parent that holds a task.
func (s *State) openParent(t *task) events.TaskID {
	for _, e := range t.parents {
		if !s.met(e, settled{}) {
			return e.parent
		}
	}
	return 0
}

// attempt finds the un-ended run a report is about.
func (d *decision) attempt(c Command, id events.RunID) (*task, *Rejection) {
	t, r := d.may(c, id.Task)
	switch {
	case r != nil:
		return nil, r
	case id.N == 0 || id.N > t.runs:
		return nil, reject(CodeNotFound, id.Task, "hermes kanban runs "+id.Task.String(), "there is no run %v", id)
	case t.run == nil || t.run.id != id:
		return nil, reject(CodeAlready, id.Task, "", "%v has ended already", id)
	case d.me != nil && d.me != t.run:
		return nil, reject(CodeNotYours, id.Task, "", "%v is not %v", id, d.me.id)
	}
	return t, nil
}

func (d *decision) startRun(c StartRun) *Rejection {
	t, r := d.attempt(c, c.Run)
	if r != nil {
		return r
	}
	p := c.Started
	if r := firstBad(c.Run.Task, line("boot id", p.Boot, 64), line("cgroup", p.Cgroup, MaxPath)); r != nil {
		return r
	}
	switch {
	case t.run.personal():
		return reject(CodeBadCommand, c.Run.Task, "", "%v is a person's claim: nothing is started for it", c.Run)
	case t.run.stop != 0:
		return reject(CodeStaleRun, c.Run.Task, "", "%v is being stopped", c.Run)
	case t.run.started:
		return reject(CodeAlready, c.Run.Task, "", "%v has started already", c.Run)
	case p.PID < 1 || p.Boot == "":
		return reject(CodeBadCommand, c.Run.Task, "", "%v: a start names a boot and a process", c.Run)
	}
	d.report(c.Run, t, p, nil)
	return nil
}

// report drafts what is known of a run from outside it.
func (d *decision) report(id events.RunID, t *task, p events.Payload, text *events.Fields) int {
	draft := d.about(id.Task, t, p, text)
	draft.Run = id
	draft.Cause = t.run.fence
	return d.add(draft)
}

// heartbeatEvery is how often a sign of life is worth a record.
const heartbeatEvery = time.Minute

func (d *decision) heartbeat(c Heartbeat) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("note", c.Note, MaxComment)); r != nil {
		return r
	}
	if t.run.beat != 0 && d.e.Now.Sub(t.run.beat) < heartbeatEvery {
		return nil
	}
	d.report(t.run.id, t, events.RunHeartbeat{Done: c.Done, Total: c.Total}, said(events.Fields{Note: c.Note}))
	return nil
}

func (d *decision) refuseCalls(c RefuseCalls) *Rejection {
	t, r := d.attempt(c, c.Run)
	if r != nil {
		return r
	}
	if r := firstBad(c.Run.Task, word("code", c.Code, "_-", MaxName)); r != nil {
		return r
	}
	if c.Code == "" || c.Count == 0 {
		return reject(CodeBadCommand, c.Run.Task, "", "%v: no refused call is named", c.Run)
	}
	d.report(c.Run, t, events.CallRefused{Code: c.Code, Count: c.Count}, nil)
	return nil
}

// stopping is how a run is brought to its end, and what comes then.
type stopping struct {
	outcome events.Outcome
	then    events.Then
	verdict events.Verdict
	force   bool
	reason  string
}

func (d *decision) stopRun(c StopRun) *Rejection {
	t, r := d.may(c, c.Task)
	if r != nil {
		return r
	}
	if r := firstBad(c.Task, prose("reason", c.Reason, MaxReason)); r != nil {
		return r
	}
	stop, r := d.stopping(c, t)
	if r != nil {
		return r
	}
	d.stop(c.Task, t, stop)
	return nil
}

// stopping checks a stop and fills in what it leaves out.
func (d *decision) stopping(c StopRun, t *task) (stopping, *Rejection) {
	id, run := c.Task, t.run
	stop := stopping{c.Outcome, c.Then, c.Verdict, c.Force, c.Reason}
	switch {
	case run == nil:
		return stop, reject(CodeWrongStatus, id, "hermes kanban show "+id.String(), "%v has no open run", id)
	case c.Run != events.RunID{} && c.Run != run.id:
		return stop, reject(CodeStaleRun, id, "hermes kanban runs "+id.String(), "%v is not the open run of %v; %v is", c.Run, id, run.id)
	case run.verdict != 0 && !c.Force:
		return stop, reject(CodeWrongStatus, id, "hermes kanban stop "+id.String()+" --force", "%v has given its verdict and is ending", run.id)
	case stop.then == 0 || stop.then > events.ThenComplete || stop.verdict > events.Fail:
		return stop, reject(CodeBadCommand, id, "", "%v: a stop says what comes then: retry, block, cancel, archive, or complete with pass or fail", id)
	case d.who&person == 0 && (stop.force || stop.then > events.ThenBlock):
		return stop, reject(CodeNotYours, id, "", "%v: only a person may force a stop, cancel, archive or complete", id)
	case c.Force && c.Run == events.RunID{} && run.stop == 0 && run.verdict == 0: // it may be another run than the one that is meant
		return stop, reject(CodeWrongStatus, id, "hermes kanban stop "+id.String(), "%v is not being stopped: nobody can know yet that its processes do not die", run.id)
	}
	if stop.outcome == 0 {
		stop.outcome = cmp.Or(run.outcome, events.OutcomeKilled)
	}
	if run.verdict != 0 {
		stop.outcome = run.verdict
	} else if _, ok := ends[stop.outcome]; !ok || d.who == person && stop.outcome != run.outcome && stop.outcome != events.OutcomeKilled && stop.outcome != events.OutcomeReleased {
		return stop, reject(CodeBadCommand, id, "", "%v: a run is not stopped with outcome %v", id, stop.outcome)
	}
	if stop.then != events.ThenComplete {
		stop.verdict = 0
	} else if stop.verdict == 0 {
		stop.verdict = events.Pass
	}
	if run.stop != 0 && !stop.force && (d.who&person == 0 || stop.then == run.then && stop.outcome == run.outcome && (stop.then != events.ThenComplete || stop.verdict == run.final)) {
		return stop, reject(CodeAlready, id, "hermes kanban stop "+id.String()+" --force", "%v is being stopped already, then %v", run.id, run.then)
	}
	return stop, nil
}

// stop drafts a stop. Where nothing is left to wait for, the end follows at once.
func (d *decision) stop(id events.TaskID, t *task, stop stopping) {
	run := t.run
	after := d.report(run.id, t, events.RunStopping{Outcome: stop.outcome, Then: stop.then, Verdict: stop.verdict, Force: stop.force}, reason(stop.reason))
	if stop.force || run.personal() {
		d.finish(id, t, ending{outcome: stop.outcome, then: stop.then, verdict: stop.verdict, given: run.verdict != 0, after: after, report: EndRun{Reason: stop.reason}})
	}
}

func (d *decision) endRun(c EndRun) *Rejection {
	t, r := d.attempt(c, c.Run)
	if r != nil {
		return r
	}
	run := t.run
	e := ending{outcome: c.Outcome, then: events.ThenRetry, cause: run.fence, report: c}
	switch _, ok := ends[c.Outcome]; {
	case run.verdict != 0:
		e.outcome, e.given, e.cause = run.verdict, true, run.verdictSeq
	case run.stop != 0:
		e.outcome, e.then, e.verdict, e.cause = run.outcome, run.then, run.final, run.stop
	case !ok:
		return reject(CodeBadCommand, c.Run.Task, "", "%v gave no verdict and cannot have ended %v", c.Run, c.Outcome)
	}
	d.finish(c.Run.Task, t, e)
	return nil
}

// ending is all that is known when a run ends.
type ending struct {
	outcome events.Outcome
	then    events.Then
	verdict events.Verdict // then=complete
	given   bool           // the task was moved by the run's verdict
	passed  bool           // and that verdict is a pass of this command
	cause   uint64
	after   int
	report  EndRun
}

// finish drafts the end of a run, and what follows for the task if no verdict has moved it.
func (d *decision) finish(id events.TaskID, t *task, e ending) {
	run, c := t.run, &e.report
	b := booking{failures: t.failures, noVerdicts: t.noVerdicts, losses: t.losses}
	if e.passed {
		b = booking{}
	}
	var to events.Status
	if !e.given {
		b = d.s.book(t, e.outcome, cost(&c.Usage), c.RetryAfter, d.e.Now)
		to = d.then(t, e.then, &b)
	}
	ended := events.Draft{Task: id, Run: run.id, Tenant: d.s.names.text(t.tenant), Cause: e.cause, After: e.after, Data: events.RunEnded{
		Outcome: e.outcome, To: to, GaveUp: b.gaveUp, Failures: b.failures, NoVerdicts: b.noVerdicts, Losses: b.losses, RetryAt: b.retryAt,
		Exit: c.Exit, Signal: c.Signal, RanMS: max(c.RanMS, 0), Usage: usage(c.Usage), Egress: egress(c.Egress),
		Transcript: c.Transcript, Kept: c.Kept,
	}, Text: said(events.Fields{Evidence: measured(c.Evidence, MaxEvidence), Reason: measured(c.Reason, maxReported)})}
	after := d.add(ended)
	if !e.given {
		d.afterEnd(id, t, e, to, b.gaveUp, after)
	}
	if (ends[e.outcome].holds || refused(e.outcome) && !cost(&c.Usage)) && !e.given && !run.personal() {
		d.holdFor(run, e, after)
	}
}

// then returns where a task goes when its run has ended without a verdict.
func (d *decision) then(t *task, then events.Then, b *booking) events.Status {
	if then != events.ThenRetry {
		b.gaveUp, b.retryAt = false, 0
	}
	switch {
	case then == events.ThenBlock || b.gaveUp:
		b.retryAt = 0
		return events.Blocked
	case then == events.ThenCancel || then == events.ThenComplete:
		return events.Done
	case then == events.ThenArchive:
		return events.Archived
	}
	return d.s.rest(t, d.e.Now, settled{})
}

// afterEnd drafts the event that says in full what the end came to.
func (d *decision) afterEnd(id events.TaskID, t *task, e ending, to events.Status, gaveUp bool, after int) {
	draft := events.Draft{Task: id, Tenant: d.s.names.text(t.tenant), After: after, Text: said(events.Fields{Reason: measured(e.report.Reason, maxReported)})}
	switch to {
	case events.Blocked:
		p := events.TaskBlocked{Kind: events.BlockStopped, To: events.Blocked}
		if gaveUp {
			p.Kind = events.BlockGaveUp
			draft.Text = said(events.Fields{Reason: measured(e.report.Reason, maxReported), Evidence: measured(e.report.Evidence, MaxEvidence)})
		}
		draft.Data = p
		d.add(draft)
	case events.Done:
		v := e.verdict
		if e.then == events.ThenCancel {
			v = events.Cancelled
		}
		draft.Data = events.TaskCompleted{Verdict: v}
		d.followed(t, settled{id, v}, d.add(draft))
	case events.Archived:
		draft.Data = events.TaskArchived{}
		d.add(draft)
	}
}

// holdFor holds the agent of a run that failed through no fault of its task.
func (d *decision) holdFor(run *run, e ending, after int) {
	agent := d.s.names.text(run.agent)
	until := d.s.holdUntil(e.outcome, e.report.RetryAfter, d.e.Now)
	if h, ok := d.s.hold(agent); ok && (h.until == 0 || until != 0 && h.until >= until) {
		return
	}
	d.add(events.Draft{After: after, Data: events.AgentHeld{Agent: agent, Cause: e.outcome, Until: until},
		Text: said(events.Fields{Reason: measured(e.report.Reason, maxReported), Evidence: measured(e.report.Evidence, MaxEvidence)})})
}

// usage and egress cut what a program measured to what a record can hold.
func usage(u events.Usage) events.Usage {
	u.Model, u.Currency, u.Source = measured(u.Model, 200), measured(u.Currency, 8), measured(u.Source, MaxName)
	u.TokensIn, u.TokensOut, u.TokensCache, u.CostMicros = max(u.TokensIn, 0), max(u.TokensOut, 0), max(u.TokensCache, 0), max(u.CostMicros, 0)
	return u
}

func egress(list []events.Egress) []events.Egress {
	var out []events.Egress
	for i, e := range list {
		e.Host = measured(e.Host, 255)
		if i < MaxHosts {
			out = append(out, e)
			continue
		}
		if i == MaxHosts {
			out = append(out, events.Egress{Host: "(others)"})
		}
		rest := &out[MaxHosts]
		rest.Requests += e.Requests
		rest.BytesOut += e.BytesOut
		rest.BytesIn += e.BytesIn
		rest.Refused += e.Refused
	}
	return out
}
