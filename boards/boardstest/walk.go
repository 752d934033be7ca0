package boardstest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// Walk returns the records of a random history: people, agents, runs that end
// in every way, and senders that try what they may not. The same arguments
// give the same records.
func Walk(seed uint64, commands int) []events.Record {
	w := NewWalker(seed)
	for range commands {
		by, c := w.Next()
		_, _ = w.Do(by, c) // a refusal is part of the walk
	}
	return w.Records
}

// Walker makes up commands for a board.
type Walker struct {
	*Board
	rng    *rand.Rand
	former []boards.Principal // runs there were
	tokens uint64
}

// NewWalker returns a walker on a new board.
func NewWalker(seed uint64) *Walker {
	p := events.DefaultPolicy(4)
	p.DefaultAssignee, p.Reviewer = "coder", "critic"
	b, err := Create(p)
	if err != nil {
		panic(fmt.Sprintf("the default policy is refused: %v", err))
	}
	return &Walker{Board: b, rng: rand.New(rand.NewPCG(seed, 7))}
}

// Next lets some time pass and returns a sender and a command. What would be
// refused is mostly, not always, passed over.
func (w *Walker) Next() (boards.Principal, boards.Command) {
	w.Now = w.Now.Add(w.pause())
	for {
		by, c := w.candidate()
		if _, err := boards.Decide(w.State, c, boards.Env{Now: w.Now, By: by}); err == nil || w.one(8) {
			return by, c
		}
	}
}

func (w *Walker) candidate() (boards.Principal, boards.Command) {
	makers := w.makers()
	total := 0
	for _, m := range makers {
		total += m.weight
	}
	n := w.rng.IntN(total)
	for _, m := range makers {
		if n -= m.weight; n < 0 {
			c := m.make()
			return w.sender(m.by, c), c
		}
	}
	panic("weights do not add up")
}

// The usual senders of a command.
type usual uint8

const (
	aPerson usual = iota
	theDispatcher
	theRun // the open run of the command's task
	aRun   // any open run
)

type maker struct {
	weight int
	by     usual
	make   func() boards.Command
}

// sender is the usual one, or now and then anybody.
func (w *Walker) sender(by usual, c boards.Command) boards.Principal {
	if w.one(12) {
		by = usual(w.rng.IntN(4))
	}
	switch by {
	case aPerson:
		return pick(w, []boards.Principal{Kai, Kai, Ann, TheGateway, TheSystem})
	case theDispatcher:
		return TheDispatcher
	case theRun:
		if p, ok := w.Worker(taskOf(c)); ok {
			if run, _ := w.State.OpenRun(taskOf(c)); run.Personal {
				return pick(w, []boards.Principal{Kai, Ann})
			}
			return w.spoil(p)
		}
	}
	if runs := w.State.OpenRuns(); len(runs) > 0 && !w.one(10) {
		p, _ := w.Worker(pick(w, runs).Run.Task)
		return w.spoil(p)
	}
	if len(w.former) > 0 {
		return pick(w, w.former)
	}
	return Kai
}

// spoil remembers a run's principal and sometimes forges it.
func (w *Walker) spoil(p boards.Principal) boards.Principal {
	if len(w.former) < 50 {
		w.former = append(w.former, p)
	} else {
		w.former[w.rng.IntN(50)] = p
	}
	if w.one(30) {
		p.Fence += uint64(w.rng.IntN(3))
	}
	return p
}

func (w *Walker) makers() []maker {
	more := 1 // few tasks with long lives meet more than many with short ones
	if w.State.Tasks() < 25 {
		more = 15
	}
	return []maker{
		{2 * more, aPerson, w.create}, {more, aRun, w.create},
		{40, theDispatcher, w.claim}, {4, aPerson, func() boards.Command {
			return boards.ClaimTask{Task: w.in(events.Ready, events.Review), Agent: pick(w, []string{"", "kai"})}
		}},
		{40, theDispatcher, w.start},
		{25, theRun, w.complete}, {5, aPerson, w.complete},
		{20, theRun, w.requestReview},
		{8, theRun, func() boards.Command { return boards.ApproveTask{Task: w.in(events.Running, events.Review)} }},
		{4, aPerson, func() boards.Command { return boards.ApproveTask{Task: w.in(events.Review)} }},
		{6, theRun, func() boards.Command {
			return boards.RequestChanges{Task: w.in(events.Running, events.Review), Reason: "again"}
		}},
		{3, aPerson, func() boards.Command { return boards.RequestChanges{Task: w.in(events.Review), Reason: "again"} }},
		{26, theRun, w.block}, {4, aPerson, w.block},
		{12, aPerson, w.stop}, {6, theDispatcher, w.stop},
		{50, theDispatcher, w.end}, {20, theRun, w.end},
		{6, theRun, func() boards.Command {
			return boards.Heartbeat{Task: w.in(events.Running), Note: "on it", Done: 1, Total: 2}
		}},
		{4, theRun, w.spent},
		{3, theRun, func() boards.Command { return boards.RefuseCalls{Run: w.run(), Code: "not_yours", Count: 2} }},
		{20, aPerson, w.unblock}, {4, aRun, w.unblock},
		{6, aPerson, func() boards.Command {
			return boards.ReopenTask{Task: w.in(events.Done, events.Done, events.Archived), Reason: "not good"}
		}},
		{1, aPerson, func() boards.Command { return boards.ArchiveTask{Task: w.any()} }},
		{8, aPerson, w.link}, {4, aRun, w.link},
		{14, aPerson, func() boards.Command {
			return boards.LinkTasks{Parent: w.in(events.Ready, events.Blocked), Child: w.in(events.Running, events.Review)}
		}},
		{4, aPerson, func() boards.Command { return boards.UnlinkTasks{Parent: w.any(), Child: w.in(events.Todo)} }},
		{6, aPerson, func() boards.Command { return boards.PromoteTask{Task: w.any()} }},
		{3, theDispatcher, func() boards.Command { return boards.PromoteTask{Task: w.in(events.Scheduled)} }},
		{4, aPerson, w.schedule},
		{6, theDispatcher, func() boards.Command {
			return boards.SpecifyTask{Task: w.in(events.Triage), Title: "clear", Assignee: w.agent()}
		}},
		{2, theDispatcher, w.decompose},
		{4, theDispatcher, func() boards.Command { return boards.FailPlan{Task: w.in(events.Triage), Evidence: "no idea"} }},
		{6, aPerson, func() boards.Command {
			return boards.AssignTask{Task: w.any(), Assignee: w.agent(), Reclaim: w.one(2)}
		}},
		{2, aPerson, func() boards.Command {
			return boards.PrioritizeTask{Task: w.any(), Priority: int32(w.rng.IntN(9)) - 4}
		}},
		{2, aPerson, func() boards.Command { return boards.SetTenant{Task: w.any(), Tenant: w.tenant()} }},
		{2, aPerson, func() boards.Command { return boards.SetModel{Task: w.any(), Model: "small-3.1"} }},
		{4, aPerson, w.edit},
		{3, aPerson, func() boards.Command { return boards.CommentTask{Task: w.any(), Body: "hm"} }},
		{3, aRun, func() boards.Command { return boards.CommentTask{Task: w.any(), Body: "noted"} }},
		{3, theRun, func() boards.Command {
			return boards.AttachFile{Task: w.in(events.Running), Name: "a.txt", Artifact: w.artifact()}
		}},
		{2, aPerson, w.detach},
		{1, aPerson, func() boards.Command { return boards.PauseBoard{Drain: w.one(2)} }},
		{5, aPerson, func() boards.Command { return boards.ResumeBoard{} }},
		{1, aPerson, w.policy},
		{1, aPerson, func() boards.Command { return boards.RenameBoard{Title: "Acme 2"} }},
		{1, aPerson, func() boards.Command {
			return boards.AcceptBoard{Accepted: events.BoardAccepted{Problem: "rolled_back", MissingFrom: 1, MissingTo: 2}, Reason: "restored"}
		}},
		{2, theDispatcher, func() boards.Command {
			return boards.HoldAgent{Agent: w.agent(), Cause: events.OutcomeAuthFailed, Until: w.soon()}
		}},
		{6, aPerson, func() boards.Command { return boards.ReleaseAgent{Agent: w.agent()} }},
		{4, aPerson, w.subscribe}, {3, theDispatcher, w.told}, {1, aPerson, w.told},
		{4, theDispatcher, w.spent},
		{1, aPerson, func() boards.Command { return unknown{} }},
		{1, aPerson, func() boards.Command { return boards.CreateBoard{Slug: "other"} }},
	}
}

var chats = []events.Destination{{Platform: "telegram", Chat: "-100"}, {Platform: "telegram", Chat: "-100", Thread: "7"}, {Platform: "webhook", Chat: "ops"}}

func (w *Walker) subscribe() boards.Command {
	task, tenant, agent := events.TaskID(0), "", ""
	switch w.rng.IntN(4) {
	case 0:
		task = events.TaskID(1 + w.rng.IntN(3)) // few, so that they meet
	case 1:
		tenant = w.tenant()
	case 2:
		agent = w.agent()
	}
	if w.one(3) {
		return boards.Unsubscribe{Task: task, Tenant: tenant, Agent: agent, To: pick(w, chats)}
	}
	return boards.Subscribe{Task: task, Tenant: tenant, Agent: agent, To: pick(w, chats)}
}

// told says something of a message about one of the first events, so that
// what is sent, given up and retried meets.
func (w *Walker) told() boards.Command {
	of, to := 1+w.rng.Uint64N(4), pick(w, chats)
	switch w.rng.IntN(3) {
	case 0:
		return boards.RecordSent{Of: of, Task: w.any(), To: to, Message: "17", Token: "abc"}
	case 1:
		return boards.RecordDead{Of: of, Task: w.any(), To: to, Tries: 12, Reason: "502"}
	}
	return boards.RetryDead{Of: of, Task: w.any(), To: to}
}

// spent says something of a few budgets, so that what is said twice meets.
func (w *Walker) spent() boards.Command {
	p := events.BudgetReached{Budget: "budget.board_day", Percent: pick(w, []uint32{80, 100}), Spent: 9, Limit: 10, Until: 5 + events.Time(w.rng.IntN(3))}
	switch w.rng.IntN(4) {
	case 0:
		p.Budget, p.Agent = "token_budget.agent_month", w.agent()
	case 1:
		p.Budget = "budget.tenant_day"
		return boards.ReportBudget{Tenant: w.tenant(), Reached: p}
	case 2:
		p.Budget = "budget.task"
		return boards.ReportBudget{Run: w.run(), Reached: p}
	}
	return boards.ReportBudget{Reached: p}
}

// unknown is a command the rules do not know.
type unknown struct{}

func (unknown) CommandName() string { return "dance" }

func (w *Walker) create() boards.Command {
	n := 1 + w.rng.IntN(3)
	if w.one(40) {
		n = events.MaxCommandTasks + 1
	}
	var c boards.CreateTasks
	for i := range n {
		c.Tasks = append(c.Tasks, w.newTask(i))
	}
	return c
}

func (w *Walker) newTask(i int) boards.NewTask {
	t := boards.NewTask{Title: fmt.Sprintf("task %d", w.State.Tasks()+1+i), Body: "do it", Assignee: w.agent(), Tenant: w.tenant()}
	t.Triage, t.Blocked = w.one(12), w.one(25)
	if w.one(12) {
		t.StartAt = w.soon()
	}
	if w.one(4) {
		t.Workspace = w.workspace()
	}
	if w.one(40) {
		t.Title = pick(w, []string{"", "bell\a", strings.Repeat("x", 501), "\xff"})
	}
	if i > 0 && w.one(2) {
		t.Parents = append(t.Parents, boards.Parent{New: i, Needs: w.needs()})
	}
	if p := w.any(); p != 0 && w.one(2) {
		t.Parents = append(t.Parents, boards.Parent{Task: p, Needs: w.needs()})
	}
	if w.one(60) {
		t.Parents = append(t.Parents, boards.Parent{New: i + 1})
	}
	return t
}

func (w *Walker) claim() boards.Command {
	c := boards.ClaimTask{Task: w.in(events.Ready, events.Ready, events.Review), Agent: w.agent(), Backend: "native", Runtime: "builtin"}
	c.Role = events.Role(1 + w.rng.IntN(3))
	w.tokens++
	c.Token = events.DigestOf(fmt.Append(nil, "walk", w.tokens))
	if !w.one(8) {
		c.Agent = w.suitable(c)
	}
	return c
}

// suitable returns the agent the rules want, by asking them.
func (w *Walker) suitable(c boards.ClaimTask) string {
	for _, a := range agents {
		c.Agent = a
		if _, err := boards.Decide(w.State, c, boards.Env{Now: w.Now, By: TheDispatcher}); err == nil {
			return a
		}
	}
	return "coder"
}

func (w *Walker) start() boards.Command {
	return boards.StartRun{Run: w.run(), Started: events.RunStarted{Boot: "b", PID: 100 + int64(w.rng.IntN(1000)), StartTime: 5}}
}

func (w *Walker) complete() boards.Command {
	c := boards.CompleteTask{Task: w.in(events.Running, events.Running, events.Blocked, events.Ready), Summary: "done"}
	c.Verdict = pick(w, []events.Verdict{0, events.Pass, events.Pass, events.Fail, events.Cancelled})
	if w.one(4) {
		c.Artifacts, c.Names = []events.Artifact{w.artifact()}, []string{"out.md"}
	}
	if w.one(10) {
		c.Created = []events.TaskID{w.any(), w.any()}
	}
	return c
}

func (w *Walker) requestReview() boards.Command {
	return boards.RequestReview{Task: w.in(events.Running), Reviewer: pick(w, []string{"", "", "critic", "coder"}), Summary: "look"}
}

func (w *Walker) block() boards.Command {
	c := boards.BlockTask{Task: w.any(), Kind: events.BlockKind(w.rng.IntN(6)), Reason: "stuck"}
	if !w.one(4) {
		c.Task = w.in(events.Running)
	}
	if !w.one(3) {
		c.Kind = pick(w, []events.BlockKind{events.BlockNeedsInput, events.BlockNeedsInput, events.BlockDependency})
	}
	if w.one(2) {
		c.Options = []string{"yes", "no"}
	}
	return c
}

func (w *Walker) stop() boards.Command {
	c := boards.StopRun{Task: w.run().Task, Then: events.Then(1 + w.rng.IntN(5)), Reason: "enough", Force: w.one(5)}
	if w.one(3) {
		c.Outcome = pick(w, []events.Outcome{events.OutcomeTimedOut, events.OutcomeStalled, events.OutcomeReleased, events.OutcomeOverBudget, events.OutcomeKilled})
	}
	if w.one(20) {
		c.Run = events.RunID{Task: c.Task, N: 1}
	}
	return c
}

func (w *Walker) end() boards.Command {
	code := int32(1)
	return boards.EndRun{
		Run: w.run(), Outcome: events.OutcomeCrashed + events.Outcome(w.rng.IntN(int(events.OutcomeInvalidRequest-events.OutcomeCrashed)+1)),
		Exit: &code, RanMS: 1000, Kept: w.one(2), Evidence: "tail", Usage: events.Usage{Model: "m", TokensIn: 10, CostMicros: 5, Currency: "USD"},
		Egress: []events.Egress{{Host: "example.org", Requests: 1}},
	}
}

func (w *Walker) unblock() boards.Command {
	return boards.UnblockTask{Task: w.in(events.Blocked), Answer: "go on", Choice: uint8(w.rng.IntN(4) / 2), Fresh: w.one(4)}
}

func (w *Walker) link() boards.Command {
	return boards.LinkTasks{Parent: w.any(), Child: w.any(), Needs: w.needs()}
}

func (w *Walker) schedule() boards.Command {
	c := boards.ScheduleTask{Task: w.any()}
	if !w.one(3) {
		c.At = w.soon()
	}
	return c
}

func (w *Walker) decompose() boards.Command {
	c := boards.DecomposeTask{Task: w.in(events.Triage), Assignee: w.agent()}
	for i := range 1 + w.rng.IntN(3) {
		c.Children = append(c.Children, w.newTask(i))
	}
	return c
}

func (w *Walker) edit() boards.Command {
	c := boards.EditTask{Task: w.any()}
	if w.one(2) {
		s := "better"
		c.Title = &s
	}
	if w.one(3) {
		ws := w.workspace()
		c.Workspace = &ws
	}
	if w.one(4) {
		s := pick(w, []string{"", "critic", "judge"})
		c.Reviewer = &s
	}
	if w.one(4) {
		n := uint32(w.rng.IntN(3))
		c.MaxRetries = &n
	}
	return c
}

func (w *Walker) detach() boards.Command {
	c := boards.DetachFile{Task: w.any(), Attachment: uint64(w.rng.IntN(len(w.Records) + 1))}
	for i := len(w.Records) - 1; i >= 0; i-- {
		if _, ok := w.Records[i].Data.(events.TaskAttached); ok && !w.one(5) {
			return boards.DetachFile{Task: w.Records[i].Task, Attachment: w.Records[i].Seq}
		}
	}
	return c
}

func (w *Walker) policy() boards.Command {
	p, _ := w.State.Policy()
	p.FailureLimit = uint32(w.rng.IntN(5))
	p.Reviewer = pick(w, []string{"critic", "critic", ""})
	return boards.SetPolicy{Policy: p}
}

var agents = []string{"coder", "critic", "judge", "scout"}

func (w *Walker) agent() string { return pick(w, append([]string{""}, agents...)) }

func (w *Walker) tenant() string { return pick(w, []string{"", "", "", "north", "south"}) }

func (w *Walker) needs() events.Needs { return events.Needs(w.rng.IntN(3)) }

func (w *Walker) workspace() events.Workspace {
	return pick(w, []events.Workspace{
		{}, {Kind: events.Scratch}, {Kind: events.Dir, Path: "/srv/site"}, {Kind: events.Dir, Path: "/srv/docs"},
		{Kind: events.Repo, Path: "/srv/code", Branch: "next"}, {Kind: events.Repo, Path: "/srv/code"}, {Kind: events.Dir, Path: "../up"},
	})
}

func (w *Walker) artifact() events.Artifact {
	if w.one(10) {
		return events.Artifact{}
	}
	return events.Artifact{SHA256: events.DigestOf([]byte{byte(w.rng.IntN(9))}), Size: 3}
}

func (w *Walker) soon() events.Time { return w.Now.Add(w.pause() * 20) }

// any returns a task, rarely one that is not there.
func (w *Walker) any() events.TaskID {
	n := w.State.Tasks()
	if n == 0 || w.one(60) {
		return events.TaskID(w.rng.IntN(3) * 100_000)
	}
	if w.one(2) { // the newest see the most traffic
		return events.TaskID(n - w.rng.IntN(min(n, 12)))
	}
	return events.TaskID(1 + w.rng.IntN(n))
}

// in returns a task that stands in one of the columns, if there is any.
func (w *Walker) in(list ...events.Status) events.TaskID {
	if w.one(15) {
		return w.any()
	}
	want := pick(w, list)
	n := w.State.Tasks()
	if n == 0 {
		return 0
	}
	from := w.rng.IntN(n)
	for i := range n {
		if id := events.TaskID(1 + (from+i)%n); w.State.Status(id) == want {
			return id
		}
	}
	return w.any()
}

// run returns an open run, rarely one that is none.
func (w *Walker) run() events.RunID {
	runs := w.State.OpenRuns()
	if len(runs) == 0 || w.one(30) {
		return events.RunID{Task: w.any(), N: 1}
	}
	return pick(w, runs).Run
}

func taskOf(c boards.Command) events.TaskID {
	switch c := c.(type) {
	case boards.CompleteTask:
		return c.Task
	case boards.RequestReview:
		return c.Task
	case boards.ApproveTask:
		return c.Task
	case boards.RequestChanges:
		return c.Task
	case boards.BlockTask:
		return c.Task
	case boards.Heartbeat:
		return c.Task
	case boards.ReportBudget:
		return c.Run.Task
	case boards.AttachFile:
		return c.Task
	case boards.EndRun:
		return c.Run.Task
	case boards.RefuseCalls:
		return c.Run.Task
	}
	return 0
}

// pause is mostly seconds, sometimes minutes, rarely hours.
func (w *Walker) pause() time.Duration {
	d := time.Duration(w.rng.IntN(20_000)) * time.Millisecond
	switch {
	case w.one(100):
		return d * 1000
	case w.one(10):
		return d * 20
	}
	return d
}

// one is true once in n times.
func (w *Walker) one(n int) bool { return w.rng.IntN(n) == 0 }

func pick[T any](w *Walker, list []T) T { return list[w.rng.IntN(len(list))] }
