// Package projectionstest makes logs to fold in tests: plausible ones that a
// board could have, and records of every event type with anything in them.
package projectionstest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/hermesboard/hermes/events"
)

// Gen makes the records of a plausible log, one after the other. It follows
// the shape of a task's life, not every rule of it.
type Gen struct {
	Rand   *rand.Rand
	Agents int // how many agents there are; 0 = 6
	Tasks  int // no more tasks than this; 0 = no limit

	seq   uint64
	now   events.Time
	tasks []*life // tasks[i] is task i+1
	busy  []*life // those with an open run
}

// life is what the generator knows of a task.
type life struct {
	id       events.TaskID
	status   events.Status
	phase    events.Status
	verdict  events.Verdict
	assignee string
	tenant   string
	parents  []events.TaskID
	children []*life
	attempt  uint32
	open     bool
	said     bool
	stop     bool
	done     bool // with a verdict given
}

// Start is the time of the first record.
const Start events.Time = 1_790_000_000_000_000

// New returns a generator for a seed.
func New(seed uint64) *Gen { return &Gen{Rand: rand.New(rand.NewPCG(seed, 7)), now: Start} }

// Log returns the first n records for a seed.
func Log(seed uint64, n int) []events.Record {
	g := New(seed)
	var log []events.Record
	for len(log) < n {
		log = append(log, g.Next()...)
	}
	return log[:n]
}

// Now is the time of the last record.
func (g *Gen) Now() events.Time { return g.now }

// Next returns the records of the next command.
func (g *Gen) Next() []events.Record {
	if g.seq == 0 {
		return []events.Record{
			g.board(events.BoardCreated{Board: events.BoardID{1}, Slug: "acme"}),
			g.board(events.PolicyChanged{Policy: events.DefaultPolicy(4)}),
		}
	}
	g.now += events.Time(g.Rand.Int64N(20_000_000))
	for {
		if out := g.try(); len(out) > 0 {
			return out
		}
	}
}

func (g *Gen) try() []events.Record {
	switch n := g.Rand.IntN(100); {
	case n < 12 && (g.Tasks == 0 || len(g.tasks) < g.Tasks), len(g.tasks) == 0:
		return g.create()
	case n < 14:
		return []events.Record{g.board(g.boardEvent())}
	case n < 60 && len(g.busy) > 0:
		return g.work(pick(g, g.busy))
	default:
		return g.touch(g.recent())
	}
}

// recent picks a task, most often one of the last few hundred.
func (g *Gen) recent() *life {
	if n := len(g.tasks) - 300; n > 0 && g.Rand.IntN(10) > 0 {
		return pick(g, g.tasks[n:])
	}
	return pick(g, g.tasks)
}

func pick[T any](g *Gen, list []T) T { return list[g.Rand.IntN(len(list))] }

func (g *Gen) record(by events.Actor, p events.Payload) events.Record {
	g.seq++
	return events.Record{Seq: g.seq, ID: events.ULID{1}, Time: g.now, Actor: by, Cmd: events.CommandID{1}, Data: p}
}

func (g *Gen) board(p events.Payload) events.Record {
	return g.record(events.Actor{Kind: events.Human, Name: "kai", Via: "cli"}, p)
}

func (g *Gen) about(l *life, p events.Payload) events.Record {
	r := g.board(p)
	r.Task, r.Tenant = l.id, l.tenant
	return r
}

// said is what the open run of a task does.
func (g *Gen) said(l *life, p events.Payload) events.Record {
	r := g.about(l, p)
	r.Run = events.RunID{Task: l.id, N: l.attempt}
	r.Actor = events.Actor{Kind: events.Worker, Name: l.assignee}
	return r
}

func (g *Gen) agent() string {
	n := g.Agents
	if n == 0 {
		n = 6
	}
	if g.Rand.IntN(30) == 0 {
		return ""
	}
	return fmt.Sprintf("agent-%d", g.Rand.IntN(n))
}

func (g *Gen) boardEvent() events.Payload {
	agent := fmt.Sprintf("agent-%d", g.Rand.IntN(6))
	to := events.Destination{Platform: "telegram", Chat: fmt.Sprintf("-%d", 100+g.Rand.IntN(3))}
	switch g.Rand.IntN(12) {
	case 11:
		return events.BudgetReached{Budget: "budget.agent_day", Agent: agent, Percent: 80, Spent: 9, Limit: 10, Currency: "USD"}
	case 6:
		return events.SubscriptionAdded{To: to, Agent: agent}
	case 7:
		return events.SubscriptionRemoved{To: to, Agent: agent}
	case 8:
		return events.NotifySent{Of: 1 + g.Rand.Uint64N(g.seq+1), To: to, Message: fmt.Sprint(g.seq), Token: fmt.Sprint("k", g.seq)}
	case 9:
		return events.NotifyDead{Of: 1 + g.Rand.Uint64N(9), To: to, Tries: 12}
	case 10:
		return events.NotifyRetried{Of: 1 + g.Rand.Uint64N(9), To: to}
	case 0:
		return events.BoardPaused{Drain: g.Rand.IntN(2) == 0}
	case 1, 2:
		return events.BoardResumed{}
	case 3:
		return events.AgentHeld{Agent: agent, Cause: events.OutcomeAuthFailed, Until: g.now + 60_000_000*events.Time(g.Rand.IntN(3))}
	case 4:
		return events.AgentReleased{Agent: agent}
	}
	p := events.DefaultPolicy(4)
	p.AgentCaps = []events.Cap{{Name: agent, Max: 2}}
	p.BoardCap = int32(g.Rand.IntN(8))
	p.Order = events.Order(g.Rand.IntN(3))
	p.MaxBytes, p.Deliver = g.Rand.Int64N(1<<40), "/srv/results"
	return events.PolicyChanged{Policy: p}
}

// create makes a task, sometimes below others.
func (g *Gen) create() []events.Record {
	l := &life{id: events.TaskID(len(g.tasks) + 1), phase: events.Ready, assignee: g.agent()}
	if g.Rand.IntN(3) == 0 {
		l.tenant = fmt.Sprintf("tenant-%d", g.Rand.IntN(3))
	}
	p := events.TaskCreated{Assignee: l.assignee, Priority: int32(g.Rand.IntN(5) - 1), Status: events.Ready}
	for range g.Rand.IntN(3) {
		if len(g.tasks) == 0 || g.Rand.IntN(2) == 0 {
			continue
		}
		parent := pick(g, g.tasks)
		if slices.Contains(l.parents, parent.id) {
			continue
		}
		l.parents = append(l.parents, parent.id)
		parent.children = append(parent.children, l)
		p.Parents = append(p.Parents, events.Edge{Parent: parent.id, Needs: events.Needs(1 + g.Rand.IntN(2))})
	}
	switch n := g.Rand.IntN(20); {
	case n == 0:
		p.Status = events.Triage
	case n == 1:
		p.Status, p.StartAt = events.Scheduled, g.now+events.Time(g.Rand.Int64N(3_600_000_000))
	case !g.ready(l):
		p.Status = events.Todo
	}
	if g.Rand.IntN(8) == 0 {
		p.Workspace = events.Workspace{Kind: events.Dir, Path: fmt.Sprintf("/srv/%d", g.Rand.IntN(3))}
	}
	l.status = p.Status
	g.tasks = append(g.tasks, l)
	return []events.Record{g.about(l, p)}
}

func (g *Gen) ready(l *life) bool {
	return !slices.ContainsFunc(l.parents, func(p events.TaskID) bool { return g.tasks[p-1].verdict != events.Pass })
}

// touch does something to a task from outside.
func (g *Gen) touch(l *life) []events.Record {
	one := func(p events.Payload) []events.Record { return []events.Record{g.about(l, p)} }
	switch g.Rand.IntN(14) {
	case 0:
		return one(events.TaskCommented{})
	case 1:
		return one(events.TaskPrioritized{Priority: int32(g.Rand.IntN(9) - 2)})
	case 2:
		if l.open {
			return nil
		}
		l.assignee = g.agent()
		return one(events.TaskAssigned{Assignee: l.assignee})
	case 3:
		r := one(events.TenantChanged{Tenant: "tenant-1"})
		l.tenant = "tenant-1"
		return r
	case 4:
		return one(events.TaskEdited{Title: true, Body: g.Rand.IntN(2) == 0})
	case 5:
		if l.open || l.status == events.Archived || g.Rand.IntN(4) > 0 {
			return nil
		}
		l.status = events.Archived
		return one(events.TaskArchived{})
	case 6:
		return g.relink(l)
	}
	return g.advance(l, one)
}

// relink adds or takes away an edge to an older task.
func (g *Gen) relink(l *life) []events.Record {
	parent := pick(g, g.tasks)
	if i := slices.Index(l.parents, parent.id); i >= 0 {
		l.parents = slices.Delete(l.parents, i, i+1)
		parent.children = slices.DeleteFunc(parent.children, func(c *life) bool { return c == l })
		return []events.Record{g.about(l, events.TaskUnlinked{Parent: parent.id})}
	}
	if parent.id >= l.id || l.open {
		return nil
	}
	l.parents = append(l.parents, parent.id)
	parent.children = append(parent.children, l)
	out := []events.Record{g.about(l, events.TaskLinked{Parent: parent.id, Needs: events.NeedsPass})}
	if l.status == events.Ready && !g.ready(l) {
		l.status = events.Todo
		out = append(out, g.about(l, events.TaskDemoted{Parent: parent.id}))
	}
	return out
}

// advance moves a task on along its life.
func (g *Gen) advance(l *life, one func(events.Payload) []events.Record) []events.Record {
	switch l.status {
	case events.Triage:
		if g.Rand.IntN(2) == 0 {
			return one(events.PlanFailed{Attempt: 1 + uint32(g.Rand.IntN(3)), RetryAt: events.Time(g.Rand.IntN(2)) * g.now})
		}
		return g.to(l, events.Ready, events.TaskSpecified{To: events.Ready, Assignee: "agent-1"})
	case events.Todo, events.Scheduled:
		if l.status == events.Todo && g.Rand.IntN(4) > 0 {
			return nil
		}
		return g.to(l, events.Ready, events.TaskPromoted{To: events.Ready, Waived: slices.Clone(l.parents)})
	case events.Blocked:
		return g.to(l, l.phase, events.TaskUnblocked{To: l.phase, Choice: uint8(g.Rand.IntN(2))})
	case events.Ready, events.Review:
		return g.claim(l)
	case events.Done, events.Archived:
		if l.open || g.Rand.IntN(6) > 0 {
			return nil
		}
		l.verdict, l.phase = 0, events.Ready
		return g.to(l, events.Ready, events.TaskReopened{To: events.Ready})
	}
	return nil
}

func (g *Gen) to(l *life, s events.Status, p events.Payload) []events.Record {
	l.status = s
	return []events.Record{g.about(l, p)}
}

func (g *Gen) claim(l *life) []events.Record {
	if l.open || len(g.busy) >= 40 {
		return nil
	}
	l.phase, l.status = l.status, events.Running
	l.open, l.said, l.stop, l.done = true, false, false, false
	l.attempt++
	g.busy = append(g.busy, l)
	agent := l.assignee
	if agent == "" {
		agent = "kai"
	}
	r := g.about(l, events.RunClaimed{
		Phase: l.phase, Agent: agent, Role: events.RoleWorker, Policy: 2,
		Token: events.DigestOf([]byte(fmt.Sprint(l.id, l.attempt))), Facts: events.Facts{HostSlots: 4}, Runtime: "command", Backend: "native",
	})
	r.Run = events.RunID{Task: l.id, N: l.attempt}
	r.Actor = events.Actor{Kind: events.Dispatcher}
	return []events.Record{r}
}

// work lets an open run do the next thing.
func (g *Gen) work(l *life) []events.Record {
	one := func(p events.Payload) []events.Record { return []events.Record{g.said(l, p)} }
	switch n := g.Rand.IntN(10); {
	case !l.said:
		l.said = true
		return one(events.RunStarted{Boot: "boot", PID: int64(1000 + g.seq), StartTime: g.seq})
	case l.done || l.stop || n == 0:
		return g.endRun(l)
	case n == 1 && g.Rand.IntN(5) == 0:
		l.stop = true
		return one(events.RunStopping{Outcome: events.OutcomeKilled, Then: events.ThenRetry})
	case n < 6:
		return one(events.RunHeartbeat{Done: uint32(n), Total: 9})
	case n == 6:
		l.done, l.status = true, events.Blocked
		return one(events.TaskBlocked{Kind: events.BlockNeedsInput, To: events.Blocked, Options: 2})
	case n == 7 && l.phase == events.Ready:
		l.done, l.status, l.phase = true, events.Review, events.Review
		return one(events.ReviewRequested{Reviewer: []string{"", "agent-2"}[g.Rand.IntN(2)]})
	case l.phase == events.Review:
		return g.review(l)
	}
	return g.complete(l)
}

func (g *Gen) review(l *life) []events.Record {
	l.done = true
	if g.Rand.IntN(2) == 0 {
		l.status, l.phase = events.Ready, events.Ready
		return []events.Record{g.said(l, events.ChangesAsked{To: events.Ready, Implementer: l.assignee})}
	}
	l.status, l.verdict = events.Done, events.Pass
	return append([]events.Record{g.said(l, events.TaskApproved{})}, g.release(l)...)
}

func (g *Gen) complete(l *life) []events.Record {
	l.done, l.status, l.verdict = true, events.Done, events.Verdict(1+g.Rand.IntN(2))
	return append([]events.Record{g.said(l, events.TaskCompleted{Verdict: l.verdict})}, g.release(l)...)
}

// release promotes the children that nothing holds any more.
func (g *Gen) release(l *life) []events.Record {
	var out []events.Record
	for _, c := range l.children {
		if c.status == events.Todo && g.ready(c) {
			out = append(out, g.to(c, events.Ready, events.TaskPromoted{To: events.Ready})...)
		}
	}
	return out
}

func (g *Gen) endRun(l *life) []events.Record {
	end := events.RunEnded{
		Outcome: events.OutcomeCompleted, RanMS: g.Rand.Int64N(100_000),
		Usage: events.Usage{TokensIn: 1000, TokensOut: 100, CostMicros: g.Rand.Int64N(90_000), Currency: "USD"},
	}
	switch {
	case l.done:
	case l.stop:
		end.Outcome, end.To = events.OutcomeKilled, l.phase
	case g.Rand.IntN(4) == 0:
		end.Outcome, end.To, end.GaveUp = events.OutcomeCrashed, events.Blocked, true
	default:
		end.Outcome, end.To = events.OutcomeCrashed, l.phase
		end.RetryAt = g.now + 10_000_000
	}
	if end.To != 0 {
		l.status = end.To
	}
	l.open = false
	g.busy = slices.DeleteFunc(g.busy, func(b *life) bool { return b == l })
	r := g.said(l, end)
	r.Actor = events.Actor{Kind: events.System}
	return []events.Record{r}
}
