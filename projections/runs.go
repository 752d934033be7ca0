package projections

import (
	"cmp"

	"github.com/hermesboard/hermes/events"
)

// Run is a run that has not ended: it counts against every cap and no other
// run of its task may be claimed. A Run handed out by a [View] is part of it.
type Run struct {
	ID        events.RunID
	Agent     string
	Role      events.Role
	Tenant    string // of the task when it was claimed
	Phase     events.Status
	Fence     uint64
	Policy    uint64        // position of the policy it was claimed under
	Token     events.Digest // zero = a person's claim
	Claimed   events.Time
	ExpiresMS int64 // its term as it was claimed: asked for by a person, else that of the policy of then
	Continues events.RunID
	Backend   string
	Runtime   string
	Model     string
	Allowed   events.Amount // what it may spend, set aside until it ends; zero = nothing is
	Folder    string        // what nobody else may work in meanwhile: see [Task.Folder]

	Started           events.Time // zero = claimed only
	events.RunStarted             // its process tree, once started

	Stopping    bool
	StopAt      events.Time
	StopOutcome events.Outcome
	Then        events.Then
	StopVerdict events.Verdict
	Force       bool

	Verdict   string // pass, fail, blocked, review_requested, approved, changes_requested; empty = none yet
	VerdictAt uint64
	LastSign  events.Time // of its claim, start, last heartbeat or worker command
	NoteAt    uint64      // its last heartbeat
	Done      uint32
	Total     uint32
}

// Person reports whether a person claimed the task: there is no process.
func (r *Run) Person() bool { return r.Token == events.Digest{} }

// Run returns an open run, nil if there is none of that name.
func (v *View) Run(run events.RunID) *Run {
	if t := v.Task(run.Task); t != nil && t.Run != nil && t.Run.ID == run {
		return t.Run
	}
	return nil
}

// RunByToken returns the open run whose token has this digest, nil if there is
// none. It does not look at whether the token is still good for anything.
func (v *View) RunByToken(token events.Digest) *Run {
	if token == (events.Digest{}) {
		return nil
	}
	for id := range v.open.all() {
		if r := v.Task(id).Run; r.Token == token {
			return r
		}
	}
	return nil
}

// OpenRuns returns the open runs in the order of their claims.
func (v *View) OpenRuns() []*Run {
	runs := make([]*Run, 0, v.open.len())
	for id := range v.open.all() {
		runs = append(runs, v.Task(id).Run)
	}
	return runs
}

// OpenCount returns how many runs are open.
func (v *View) OpenCount() int32 { return int32(v.open.len()) }

// OpenOf returns how many runs of an agent are open.
func (v *View) OpenOf(agent string) int32 { return v.agents[agent] }

// OpenFor returns how many runs are open for a tenant.
func (v *View) OpenFor(tenant string) int32 { return v.tenants[tenant] }

// InUse reports whether an open run works in a place, as named by [Task.Folder].
func (v *View) InUse(folder string) bool { return folder != "" && v.folders[folder] > 0 }

// UsedBy returns the tasks whose open runs work in a place.
func (v *View) UsedBy(folder string) []events.TaskID {
	var tasks []events.TaskID
	for id := range v.open.all() {
		if v.Task(id).Run.Folder == folder {
			tasks = append(tasks, id)
		}
	}
	return tasks
}

// Folder names the place that runs of a task must have to themselves: a host
// folder, or a branch of a repository; empty = none, since everything else is
// made for one attempt.
func (t *Task) Folder() string {
	switch w := &t.Workspace; {
	case w.Kind == events.Dir:
		return w.Path
	case w.Kind == events.Repo && w.Branch != "":
		return "repo:" + w.Path + "#" + w.Branch
	}
	return ""
}

// applyRun folds the events about a run, verdicts among them.
func (v *View) applyRun(t *Task, r *events.Record) {
	switch p := r.Data.(type) {
	case events.RunClaimed:
		v.claimed(t, r, p)
	case events.TaskBlocked:
		v.blocked(t, r, p)
		t.verdict(r, "blocked")
	case events.ReviewRequested:
		t.become(events.Review, r.Time)
		t.Reviewer, t.HandoffAt = v.name(p.Reviewer), r.Seq
		t.verdict(r, "review_requested")
	case events.TaskApproved:
		t.end(events.Pass, r.Time)
		if t.HandoffAt == 0 {
			t.HandoffAt = r.Seq
		}
		t.verdict(r, "approved")
	case events.ChangesAsked:
		t.become(p.To, r.Time)
		t.Phase, t.HandoffAt = events.Ready, 0
		if p.Implementer != "" {
			t.Assignee = v.name(p.Implementer)
		}
		t.verdict(r, "changes_requested")
	case events.TaskCompleted:
		t.end(p.Verdict, r.Time)
		t.HandoffAt = r.Seq
		t.verdict(r, p.Verdict.String())
	}
	run := t.Run
	if run == nil || run.ID != r.Run {
		return
	}
	switch p := r.Data.(type) {
	case events.RunStarted:
		p.Boot, p.Cgroup = v.name(p.Boot), v.name(p.Cgroup)
		run.Started, run.RunStarted, run.LastSign = r.Time, p, r.Time
	case events.RunStopping:
		run.Stopping, run.StopAt = true, r.Time
		run.StopOutcome, run.Then, run.StopVerdict, run.Force = p.Outcome, p.Then, p.Verdict, p.Force
	case events.RunHeartbeat:
		run.LastSign, run.NoteAt, run.Done, run.Total = r.Time, r.Seq, p.Done, p.Total
	case events.RunEnded:
		v.ended(t, r, p)
	}
}

// verdict notes what a run said of its task.
func (t *Task) verdict(r *events.Record, word string) {
	if t.Run != nil && t.Run.ID == r.Run {
		t.Run.Verdict, t.Run.VerdictAt = word, r.Seq
	}
}

func (v *View) claimed(t *Task, r *events.Record, p events.RunClaimed) {
	if r.Run.Task != t.ID {
		return
	}
	if t.Run != nil {
		v.shut(t)
	}
	t.become(events.Running, r.Time)
	if p.Phase == events.Ready || p.Phase == events.Review {
		t.Phase = p.Phase
	}
	t.Attempts = max(t.Attempts, r.Run.N)
	t.StartAt, t.RetryAt, t.OverBudget, t.OverTokens = 0, 0, 0, 0
	t.Run = &Run{
		ID: r.Run, Agent: v.name(p.Agent), Role: p.Role, Tenant: t.Tenant, Phase: t.Phase,
		Fence: r.Seq, Policy: p.Policy, Token: p.Token,
		Claimed: r.Time, ExpiresMS: cmp.Or(p.ExpiresMS, v.policy.TermMS), Continues: p.Continues,
		Backend: v.name(p.Backend), Runtime: v.name(p.Runtime), Model: v.name(p.Model),
		Folder: t.Folder(), LastSign: r.Time, Allowed: p.Allowed,
	}
	if t.Phase == events.Ready {
		t.Implementer = t.Run.Agent
	}
	v.opened(t)
}

func (v *View) ended(t *Task, r *events.Record, p events.RunEnded) {
	run := t.Run
	v.shut(t)
	v.book(t, run, r, p)
	t.LastOutcome, t.RetryAt = p.Outcome, p.RetryAt
	switch p.To {
	case 0:
	case events.Done:
		verdict := run.StopVerdict
		if run.Then == events.ThenCancel {
			verdict = events.Cancelled
		} else if verdict == 0 {
			verdict = events.Pass
		}
		t.end(verdict, r.Time)
	case events.Blocked:
		t.become(events.Blocked, r.Time)
		kind := events.BlockStopped
		if p.GaveUp {
			kind = events.BlockGaveUp
		}
		t.Block = &Block{Kind: kind, By: v.actor(r.Actor), Since: r.Time, Seq: r.Seq}
	default:
		t.become(p.To, r.Time)
	}
}

// opened and shut keep the counts of open runs.
func (v *View) opened(t *Task) {
	run := t.Run
	v.open.insert(item{run.Fence, t.ID})
	tally(v.agents, run.Agent, +1)
	tally(v.tenants, run.Tenant, +1)
	if run.Folder != "" {
		tally(v.folders, run.Folder, +1)
	}
}

func (v *View) shut(t *Task) {
	run := t.Run
	v.open.remove(item{run.Fence, t.ID})
	tally(v.agents, run.Agent, -1)
	tally(v.tenants, run.Tenant, -1)
	if run.Folder != "" {
		tally(v.folders, run.Folder, -1)
	}
	t.Run = nil
}

func tally(m map[string]int32, name string, by int32) {
	if n := m[name] + by; n == 0 {
		delete(m, name)
	} else {
		m[name] = n
	}
}
