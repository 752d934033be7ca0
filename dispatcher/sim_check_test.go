package dispatcher

import (
	"bytes"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// judge holds the promises against every record and every instant, with a
// model of its own that shares no code with the rules.
type judge struct {
	s        *sim
	explain  func(*projections.View, events.TaskID, Facts, events.Time) projections.Hold
	policy   events.Policy
	paused   bool
	open     map[events.TaskID]*openRun
	verdicts map[events.RunID]int
	commands map[events.CommandID]uint64 // last position
	whole    uint64                      // commands before this position are complete
	changed  []events.TaskID             // by the command that is being folded
	records  int
	steps    int

	ready map[events.TaskID]since // tasks that nothing holds
	ended map[events.RunID]since  // open runs of which nothing is left
	still map[events.RunID]since  // open runs that should have been stopped
}

type openRun struct {
	run      events.RunID
	fence    uint64
	agent    string
	tenant   string
	personal bool
	started  bool
	stopping bool
	verdict  bool
}

// since says how long something has been so, and what must not have changed.
type since struct {
	at   time.Time
	what uint64
}

// How long things may take while a dispatcher serves.
const (
	startWithin = 45 * time.Second // a safety tick, and trouble before it
	endWithin   = 75 * time.Second // a look is due after 30 s and is taken by the tick after that
	stopWithin  = 3 * time.Minute  // on top of a term: grace, reports, kills
)

func newJudge(s *sim) *judge {
	j := &judge{
		s: s, explain: Explain, open: map[events.TaskID]*openRun{}, verdicts: map[events.RunID]int{}, commands: map[events.CommandID]uint64{},
		ready: map[events.TaskID]since{}, ended: map[events.RunID]since{}, still: map[events.RunID]since{},
	}
	if s.mutant.explain != nil {
		j.explain = s.mutant.explain
	}
	return j
}

// record is asked about every record once it is folded.
func (j *judge) record(r *events.Record) {
	j.records++
	if at, was := j.commands[r.Cmd]; was && at < j.whole {
		j.s.fail("command %s was carried out twice: at %d and %d", r.Cmd, at, r.Seq)
	}
	j.commands[r.Cmd] = r.Seq
	if r.Task != 0 {
		j.changed = append(j.changed, r.Task)
	}
	if t := j.s.trees[r.Run]; t != nil && r.Task == r.Run.Task {
		if _, stop := r.Data.(events.RunStopping); r.Actor.Kind == events.Worker || !stop {
			t.sign(r.Time)
		}
	}
	switch p := r.Data.(type) {
	case events.PolicyChanged:
		j.policy = p.Policy
	case events.BoardPaused:
		j.paused = true
	case events.BoardResumed:
		j.paused = false
	case events.RunClaimed:
		j.claimed(r, &p)
	case events.RunStarted:
		j.started(r, &p)
	case events.RunStopping:
		j.stopping(r, &p)
	case events.RunEnded:
		j.runEnded(r, &p)
	case events.TaskCompleted, events.TaskApproved, events.ReviewRequested, events.ChangesAsked, events.TaskBlocked:
		j.verdict(r)
	}
}

func (j *judge) claimed(r *events.Record, p *events.RunClaimed) {
	if o := j.open[r.Task]; o != nil {
		j.s.fail("%v is claimed while %v is open", r.Run, o.run)
	}
	for run, t := range j.s.trees {
		if run.Task == r.Task && t.working() {
			j.s.fail("%v is claimed while processes of %v live", r.Run, run)
		}
	}
	j.open[r.Task] = &openRun{run: r.Run, fence: r.Seq, agent: p.Agent, tenant: r.Tenant, personal: p.Token == events.Digest{}}
	if r.Actor.Kind == events.Dispatcher {
		j.caps(p.Agent, r.Tenant)
		if j.paused {
			j.s.fail("%v is claimed on a paused board", r.Run)
		}
	}
}

// caps counts with the run just claimed.
func (j *judge) caps(agent, tenant string) {
	var all, agents, tenants int32
	for _, o := range j.open {
		all++
		if o.agent == agent {
			agents++
		}
		if o.tenant == tenant {
			tenants++
		}
	}
	over := func(what string, n int32, limit func(*events.Policy) int32) {
		if most := limit(&j.policy); most > 0 && n > most {
			j.s.fail("%d runs at once %s, at most %d", n, what, most)
		}
	}
	over("on the board", all, func(p *events.Policy) int32 { return p.BoardCap })
	over("of "+agent, agents, func(p *events.Policy) int32 {
		for _, c := range p.AgentCaps {
			if c.Name == agent {
				return c.Max
			}
		}
		return p.AgentCap
	})
	if tenant != "" {
		over("for "+tenant, tenants, func(p *events.Policy) int32 { return p.TenantCap })
	}
}

func (j *judge) current(r *events.Record) *openRun {
	o := j.open[r.Task]
	if o == nil || o.run != r.Run {
		j.s.fail("%s of %v, which is not open", r.Data.Type(), r.Run)
		return &openRun{}
	}
	return o
}

func (j *judge) started(r *events.Record, p *events.RunStarted) {
	o := j.current(r)
	if t := j.s.trees[r.Run]; t == nil || t.pid != p.PID {
		j.s.fail("%v is said to have started as process %d, which it is not", r.Run, p.PID)
	}
	o.started = true
}

// stopping is asked when a run is stopped: the dispatcher may not stop one
// that keeps its terms.
func (j *judge) stopping(r *events.Record, p *events.RunStopping) {
	o := j.current(r)
	o.stopping = true
	t := j.s.trees[r.Run]
	if r.Actor.Kind != events.Dispatcher || t == nil {
		return
	}
	ran, silent, unheard := time.Since(t.since), time.Since(t.signed), time.Since(t.renewed)
	limit := millis(j.policy.MaxRuntimeMS)
	if own := j.s.log.view.Task(r.Task).MaxRuntimeMS; own > 0 {
		limit = millis(own)
	}
	const tolerance = time.Second
	switch p.Outcome {
	case events.OutcomeStalled:
		if unheard+tolerance < millis(t.a.Policy.TermMS) && silent+tolerance < millis(j.policy.SilenceMS) {
			j.s.fail("%v is stopped as stalled %v after its last renewal", r.Run, unheard)
		}
		j.s.saw("run that was stopped as stalled")
	case events.OutcomeTimedOut:
		if ran+tolerance < limit && t.g == j.s.gate {
			j.s.fail("%v is stopped as too long after %v of %v", r.Run, ran, limit)
		}
		j.s.saw("run that was stopped as too long")
	}
}

func (j *judge) runEnded(r *events.Record, p *events.RunEnded) {
	j.current(r)
	delete(j.open, r.Task)
	t := j.s.trees[r.Run]
	switch {
	case t == nil:
	case t.working():
		j.s.fail("%v is said to have ended (%v), but it has processes", r.Run, p.Outcome)
	case t.super && r.Actor.Kind == events.Dispatcher:
		j.s.fail("%v is said to have ended (%v), but its supervisor lives", r.Run, p.Outcome)
	}
	j.s.saw("end: " + p.Outcome.String())
}

func (j *judge) verdict(r *events.Record) {
	if r.Run == (events.RunID{}) {
		return
	}
	o := j.current(r)
	if j.verdicts[r.Run]++; j.verdicts[r.Run] > 1 {
		j.s.fail("%v gave %d verdicts", r.Run, j.verdicts[r.Run])
	}
	if o.stopping && !o.personal {
		j.s.fail("%v gave a verdict while it was being stopped", r.Run)
	}
	if r.Actor.Kind == events.Worker && r.Cause != o.fence {
		j.s.fail("a verdict on %v with fence %d, not %d", r.Run, r.Cause, o.fence)
	}
	o.verdict = true
}

// begins is asked when an agent starts to work.
func (j *judge) begins(t *tree) {
	o := j.open[t.a.Run.Task]
	if o == nil || o.run != t.a.Run || !o.started {
		j.s.fail("the agent of %v runs, but the log has no start of it", t.a.Run)
	}
}

// command is asked after every command: state, view and model agree.
func (j *judge) command() {
	l := j.s.log
	j.whole = uint64(l.folded) + 1
	if l.state.Head() != l.view.Head() {
		j.s.fail("the rules are at %d, the view at %d", l.state.Head(), l.view.Head())
	}
	for _, id := range j.changed {
		t, status := l.view.Task(id), l.state.Status(id)
		run, open := l.state.OpenRun(id)
		o := j.open[id]
		switch {
		case t == nil || t.Status != status:
			j.s.fail("%v is %v by the rules, but not in the view", id, status)
			return
		case open != (o != nil) || open != (t.Run != nil):
			j.s.fail("%v: open run %t by the rules, %t in the view, %t in the log", id, open, t.Run != nil, o != nil)
			return
		case open && (run.Run != o.run || t.Run.ID != o.run || run.Fence != o.fence):
			j.s.fail("%v: the open run is %v by the rules, %v in the view, %v in the log", id, run.Run, t.Run.ID, o.run)
		case (status == events.Running) != (open && !o.verdict):
			j.s.fail("%v is %v, with an open run %t", id, status, open)
		}
	}
	j.changed = j.changed[:0]
	if j.records%16 == 0 {
		if err := l.state.Check(); err != nil {
			j.s.fail("the rules contradict themselves: %v", err)
		}
		if err := l.state.Settled(); err != nil {
			j.s.fail("between commands: %v", err)
		}
	}
}

// replay compares what is in memory with a fold of the log, which it returns.
func (j *judge) replay(records []events.Record) (*boards.State, *projections.View) {
	state, view := boards.NewState(), projections.NewView()
	for i := range records {
		r := j.s.mutant.bend(&records[i])
		state.Evolve(r)
		view.Apply(r)
	}
	if !bytes.Equal(state.AppendSnapshot(nil), j.s.log.state.AppendSnapshot(nil)) {
		j.s.fail("the rules at %d are not what the log says", len(records))
	}
	if !bytes.Equal(view.AppendSnapshot(nil), j.s.log.view.AppendSnapshot(nil)) {
		j.s.fail("the view at %d is not what the log says", len(records))
	}
	return state, view
}

// written is replay through the bytes of the log.
func (j *judge) written() {
	var records []events.Record
	for _, r := range j.s.log.records {
		b, err := events.Encode(r)
		if err == nil {
			r, err = events.Decode(b)
		}
		if err != nil {
			j.s.fail("record %d: %v", r.Seq, err)
			return
		}
		records = append(records, r)
	}
	j.replay(records)
}

// world is asked whenever nothing is under way.
func (j *judge) world() {
	j.steps++
	j.processes()
	if !j.s.serves() {
		clear(j.ready)
		clear(j.ended)
		clear(j.still)
	} else {
		j.liveness()
	}
	if j.steps%16 == 0 {
		j.reasons()
	}
}

func (j *judge) processes() {
	supers := 0
	at := map[events.TaskID]events.RunID{}
	for run, t := range j.s.trees {
		if t.super {
			supers++
		}
		if !t.working() {
			continue
		}
		if other, two := at[run.Task]; two {
			j.s.fail("processes of %v and %v live at once", run, other)
		}
		at[run.Task] = run
		if o := j.open[run.Task]; j.s.log.thawed == nil && (o == nil || o.run != run) {
			j.s.fail("processes of %v live, but the log says it has ended", run)
		}
	}
	if taken := supers + len(j.s.others); taken > j.s.slots.n {
		j.s.fail("%d slots taken of %d", taken, j.s.slots.n)
	}
}

// liveness: what can start starts, what is gone is ended, what is silent is stopped.
func (j *judge) liveness() {
	s := j.s
	f, now := s.facts(), s.wall()
	for id := events.TaskID(1); int(id) <= s.log.state.Tasks(); id++ {
		t := s.log.view.Task(id)
		if t == nil || t.Status != events.Ready && t.Status != events.Review || j.explain(s.log.view, id, f, now).Reason != ReasonStart {
			delete(j.ready, id)
			continue
		}
		over(j, j.ready, id, uint64(t.Attempts)<<32|uint64(s.slots.n), startWithin, "%v could start, and does not")
	}
	for _, o := range j.open {
		if o.personal {
			over(j, j.still, o.run, o.fence, millis(j.policy.PersonTermMS)+stopWithin, "%v, a person's claim, does not run out")
			continue
		}
		t := s.trees[o.run]
		if t == nil || t.gone() {
			over(j, j.ended, o.run, o.fence, endWithin, "nothing is left of %v, and it does not end")
			delete(j.still, o.run)
			continue
		}
		delete(j.ended, o.run)
		kept := time.Since(t.renewed) < millis(t.a.Policy.TermMS) && !o.stopping
		if o.verdict && min(time.Since(t.signed), time.Since(s.gate.since)) > millis(j.policy.SilenceMS) {
			kept = false
		}
		if kept || time.Now().Before(t.undead.Add(time.Minute)) {
			delete(j.still, o.run)
			continue
		}
		over(j, j.still, o.run, o.fence, millis(t.a.Policy.TermMS)+stopWithin, "%v is silent or to be stopped, and lives on")
	}
}

// over fails if something has been so for too long.
func over[K comparable](j *judge, m map[K]since, k K, what uint64, limit time.Duration, message string) {
	s, ok := m[k]
	if !ok || s.what != what {
		m[k] = since{time.Now(), what}
		return
	}
	if d := time.Since(s.at); d > limit {
		j.s.fail(message+" for %v", k, d)
	}
}

// reasons: every task that does not run has a reason, in words.
func (j *judge) reasons() {
	s := j.s
	f, now := s.facts(), s.wall()
	for id := events.TaskID(0); int(id) <= s.log.state.Tasks(); id++ {
		h := j.explain(s.log.view, id, f, now)
		if h.Reason == "" {
			j.s.fail("nothing says why %v does not go on", id)
		}
		if w := Why(s.log.view, id, f, now); w.Detail == "" || w.Hold.Reason == "" || w.Hold.Until != 0 && w.Hold.Until <= now {
			j.s.fail("why %v does not go on is said so: %+v", id, w)
		}
		s.seen["hold: "+h.Reason]++
	}
}
