package projections

import "github.com/hermesboard/hermes/events"

// What rows often have none of is written only where its bit is set.
const (
	hasWorkspace = 1 << iota
	hasPlan
	hasTimes
	hasLimits
	hasResult
	hasAccount
	hasBlock
	hasRun
)

func bit(has bool, mask uint8) uint8 {
	if has {
		return mask
	}
	return 0
}

func (w *writer) row(t *Task) {
	w.small(uint8(t.Status))
	if t.Status == 0 {
		w.children(t)
		return
	}
	has := bit(t.Workspace != events.Workspace{}, hasWorkspace) |
		bit(t.PlanTries != 0 || t.PlanRetryAt != 0, hasPlan) |
		bit(t.StartAt != 0 || t.RetryAt != 0, hasTimes) |
		bit(t.MaxRetries != 0 || t.MaxRuntimeMS != 0, hasLimits) |
		bit(t.Verdict != 0 || t.Ended != 0 || t.HandoffAt != 0, hasResult) |
		bit(t.Attempts != 0 || t.LastOutcome != 0 || t.CostMicros != 0 || t.Tokens != 0 || t.OverBudget != 0 || t.OverTokens != 0, hasAccount) |
		bit(t.Block != nil, hasBlock) | bit(t.Run != nil, hasRun)
	w.small(has, uint8(t.Phase))
	w.int(int64(t.Priority))
	for _, s := range []string{t.Assignee, t.Reviewer, t.Implementer, t.Tenant, t.Model} {
		w.name(s)
	}
	w.time(t.Created)
	w.after(t.Updated, t.Created)
	w.after(t.Since, t.Created)
	w.uint(t.FirstAt)
	w.uint(t.TitleAt)
	w.edges(t)
	w.children(t)
	w.parts(t, has)
}

func (r *reader) row(id events.TaskID, t *Task) {
	status := events.Status(r.small())
	if status > events.Archived {
		r.Fail(malformed("status", status))
	}
	if status == 0 || r.Err() != nil {
		t.Children = r.children()
		return
	}
	t.ID, t.Status = id, status
	has := r.small()
	t.Phase = events.Status(r.small())
	t.Priority = r.Int32()
	for _, s := range []*string{&t.Assignee, &t.Reviewer, &t.Implementer, &t.Tenant, &t.Model} {
		*s = r.name()
	}
	t.Created = r.time()
	t.Updated, t.Since = r.after(t.Created), r.after(t.Created)
	t.FirstAt, t.TitleAt = r.Uint64(), r.Uint64()
	t.Parents, t.Children = r.edges(), r.children()
	r.parts(t, has)
}

func (w *writer) parts(t *Task, has uint8) {
	if has&hasWorkspace != 0 {
		w.workspace(t.Workspace)
	}
	if has&hasPlan != 0 {
		w.uint(uint64(t.PlanTries))
		w.time(t.PlanRetryAt)
	}
	if has&hasTimes != 0 {
		w.time(t.StartAt)
		w.time(t.RetryAt)
	}
	if has&hasLimits != 0 {
		w.uint(uint64(t.MaxRetries))
		w.int(t.MaxRuntimeMS)
	}
	if has&hasResult != 0 {
		w.small(uint8(t.Verdict))
		w.time(t.Ended)
		w.uint(t.HandoffAt)
	}
	if has&hasAccount != 0 {
		w.uint(uint64(t.Attempts))
		w.small(uint8(t.LastOutcome))
		w.int(t.CostMicros)
		w.int(t.Tokens)
		w.int(t.OverBudget)
		w.int(t.OverTokens)
	}
	if b := t.Block; b != nil {
		w.small(uint8(b.Kind), uint8(b.Said))
		w.actor(b.By)
		w.time(b.Since)
		w.uint(b.Seq)
	}
	if t.Run != nil {
		w.openRun(t.Run)
	}
}

func (r *reader) parts(t *Task, has uint8) {
	if has&hasWorkspace != 0 {
		t.Workspace = r.workspace()
	}
	if has&hasPlan != 0 {
		t.PlanTries, t.PlanRetryAt = r.Uint32(), r.time()
	}
	if has&hasTimes != 0 {
		t.StartAt, t.RetryAt = r.time(), r.time()
	}
	if has&hasLimits != 0 {
		t.MaxRetries, t.MaxRuntimeMS = r.Uint32(), r.Int64()
	}
	if has&hasResult != 0 {
		t.Verdict, t.Ended, t.HandoffAt = events.Verdict(r.small()), r.time(), r.Uint64()
	}
	if has&hasAccount != 0 {
		t.Attempts, t.LastOutcome = r.Uint32(), events.Outcome(r.small())
		t.CostMicros, t.Tokens, t.OverBudget, t.OverTokens = r.Int64(), r.Int64(), r.Int64(), r.Int64()
	}
	if has&hasBlock != 0 {
		t.Block = &Block{
			Kind: events.BlockKind(r.small()), Said: events.BlockKind(r.small()),
			By: r.actor(), Since: r.time(), Seq: r.Uint64(),
		}
	}
	if has&hasRun != 0 {
		t.Run = r.openRun()
	}
}

func (w *writer) edges(t *Task) {
	w.len(len(t.Parents))
	for _, e := range t.Parents {
		w.uint(uint64(e.Parent))
		w.small(uint8(e.Needs)<<1 | bit(e.Waived, 1))
	}
}

func (r *reader) edges() []Edge {
	n := r.Len(2)
	if n == 0 {
		return nil
	}
	list := make([]Edge, n)
	for i := range list {
		parent, word := r.task(), r.small()
		list[i] = Edge{events.Edge{Parent: parent, Needs: events.Needs(word >> 1)}, word&1 == 1}
	}
	return list
}

func (w *writer) children(t *Task) {
	w.len(len(t.Children))
	for _, c := range t.Children {
		w.uint(uint64(c))
	}
}

func (r *reader) children() []events.TaskID {
	n := r.Len(1)
	if n == 0 {
		return nil
	}
	list := make([]events.TaskID, n)
	for i := range list {
		list[i] = r.task()
	}
	return list
}

// ahead writes the edges to tasks that are named but do not exist yet.
func (w *writer) ahead(v *View) {
	n := 0
	for id := uint64(v.last) + 1; id <= uint64(len(v.pages))*pageLen; id++ {
		if len(v.row(events.TaskID(id)).childrenOf()) > 0 {
			n++
		}
	}
	w.len(n)
	for id := uint64(v.last) + 1; n > 0; id++ {
		if t := v.row(events.TaskID(id)); len(t.childrenOf()) > 0 {
			w.uint(id - uint64(v.last))
			w.children(t)
			n--
		}
	}
}

func (t *Task) childrenOf() []events.TaskID {
	if t == nil {
		return nil
	}
	return t.Children
}

func (r *reader) ahead(v *View) {
	for range r.Len(2) {
		id := uint64(v.last) + r.Uint64()
		t := v.row(events.TaskID(min(id, 1<<32-1)))
		children := r.children()
		if t == nil {
			r.Fail(malformed("task", id))
			return
		}
		t.Children = children
	}
}

func (w *writer) openRun(x *Run) {
	w.run(x.ID)
	w.name(x.Agent)
	w.name(x.Tenant)
	w.small(uint8(x.Role), uint8(x.Phase))
	w.uint(x.Fence)
	w.uint(x.Policy)
	w.digest(x.Token)
	w.time(x.Claimed)
	w.int(x.ExpiresMS)
	w.run(x.Continues)
	for _, s := range []string{x.Backend, x.Runtime, x.Model, x.Folder, x.Boot, x.Cgroup, x.Verdict} {
		w.name(s)
	}
	w.time(x.Started)
	w.int(x.PID)
	w.uint(x.StartTime)
	w.uint(x.PIDNS)
	w.flag(x.Stopping)
	w.time(x.StopAt)
	w.small(uint8(x.StopOutcome), uint8(x.Then), uint8(x.StopVerdict))
	w.flag(x.Force)
	w.uint(x.VerdictAt)
	w.time(x.LastSign)
	w.uint(x.NoteAt)
	w.uint(uint64(x.Done))
	w.uint(uint64(x.Total))
	w.int(x.Allowed.CostMicros)
	w.int(x.Allowed.Tokens)
}

func (r *reader) openRun() *Run {
	x := &Run{
		ID: r.run(), Agent: r.name(), Tenant: r.name(),
		Role: events.Role(r.small()), Phase: events.Status(r.small()),
		Fence: r.Uint64(), Policy: r.Uint64(), Token: r.digest(),
		Claimed: r.time(), ExpiresMS: r.Int64(), Continues: r.run(),
	}
	for _, s := range []*string{&x.Backend, &x.Runtime, &x.Model, &x.Folder, &x.Boot, &x.Cgroup, &x.Verdict} {
		*s = r.name()
	}
	x.Started, x.PID, x.StartTime, x.PIDNS = r.time(), r.Int64(), r.Uint64(), r.Uint64()
	x.Stopping, x.StopAt = r.Bool(), r.time()
	x.StopOutcome, x.Then, x.StopVerdict, x.Force = events.Outcome(r.small()), events.Then(r.small()), events.Verdict(r.small()), r.Bool()
	x.VerdictAt, x.LastSign, x.NoteAt, x.Done, x.Total = r.Uint64(), r.time(), r.Uint64(), r.Uint32(), r.Uint32()
	x.Allowed = events.Amount{CostMicros: r.Int64(), Tokens: r.Int64()}
	return x
}
