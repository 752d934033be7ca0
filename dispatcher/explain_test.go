package dispatcher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
	"github.com/hermesboard/hermes/projections/projectionstest"
)

// randomFacts makes up what is not on the board.
func randomFacts(rnd *rand.Rand, now events.Time) Facts {
	slots := 1 + rnd.IntN(60)
	f := Facts{Dispatcher: Serving, Slots: slots, Free: rnd.IntN(slots + 1), Agents: map[string]Agent{}, Refused: map[events.TaskID]Refusal{}, Stuck: map[events.RunID]events.Time{}}
	if rnd.IntN(10) == 0 {
		f.Dispatcher = Presence(rnd.IntN(3))
	}
	for i := range 6 {
		if rnd.IntN(8) > 0 {
			f.Agents[fmt.Sprint("agent-", i)] = Agent{Problem: []string{"", "", "", RuntimeMissing}[rnd.IntN(4)]}
		}
	}
	for range 5 {
		f.Refused[events.TaskID(rnd.IntN(100))] = Refusal{Since: now, Until: now + 1, Detail: "no"}
		f.Stuck[events.RunID{Task: events.TaskID(rnd.IntN(100)), N: 1}] = now - 5
	}
	return f
}

// randomPolicy is a record that changes the policy.
func randomPolicy(rnd *rand.Rand, seq uint64, now events.Time) events.Record {
	p := events.DefaultPolicy(int32(rnd.IntN(60)))
	p.BoardCap, p.AgentCap, p.TenantCap = int32(1+rnd.IntN(20))*int32(rnd.IntN(2)), int32(rnd.IntN(12)), int32(rnd.IntN(20))
	p.AgentCaps = []events.Cap{{Name: "agent-1", Max: int32(rnd.IntN(9))}}
	p.TenantCaps = []events.Cap{{Name: "tenant-1", Max: int32(rnd.IntN(20))}}
	p.DefaultAssignee = []string{"", "agent-3", "nobody"}[rnd.IntN(3)]
	p.Budget = events.Budget{Task: 200_000 * int64(rnd.IntN(2)), AgentDay: 4_000_000 * int64(rnd.IntN(2))}
	p.Order = events.Order(seq % 3)
	return events.Record{Seq: seq, Time: now, Data: events.PolicyChanged{Policy: p}}
}

// randomBoard returns a view with much in it, and what is around it.
func randomBoard(seed uint64) (*projections.View, Facts, events.Time) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	g, v := projectionstest.New(seed), projections.NewView()
	for v.Head() < 200+uint64(rnd.IntN(1200)) {
		for _, r := range g.Next() {
			v.Apply(&r)
		}
	}
	r := randomPolicy(rnd, v.Head()+1, g.Now())
	v.Apply(&r)
	if rnd.IntN(8) > 0 {
		v.Apply(&events.Record{Seq: v.Head() + 1, Data: events.BoardResumed{}})
	}
	return v, randomFacts(rnd, g.Now()), g.Now()
}

// Next takes, in the order of the queue, the tasks that Explain starts when
// the starts before them count.
func TestNextIsWhatExplainStarts(t *testing.T) {
	total := 0
	for seed := range uint64(400) {
		v, f, now := randomBoard(seed)
		p := newPass(v, &f, now)
		var want []events.TaskID
		q := v.Queue(func(projections.Lane) bool { return true })
		for task := q.Next(); task != nil; task = q.Next() {
			if p.explain(task.ID).Reason == ReasonStart {
				want = append(want, task.ID)
				p.count(task, who(projections.Lane{Agent: task.Who()}, &p.policy))
			}
		}
		starts := Next(v, f, now)
		var got []events.TaskID
		for i, s := range starts {
			got = append(got, s.Task)
			if s.Facts.Order != int32(i) || s.Facts.HostSlots != int32(f.Free-i) || s.Agent == "" {
				t.Errorf("seed %d: start %d is %+v", seed, i, s)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: got %v, want %v", seed, got, want)
		}
		if len(got) > f.Free {
			t.Fatalf("seed %d: %d starts in %d slots", seed, len(got), f.Free)
		}
		total += len(got)
	}
	if total < 400 {
		t.Errorf("only %d starts in all boards", total)
	}
}

// Without limits and with room, Next starts exactly what Explain starts alone.
func TestNextWithoutLimits(t *testing.T) {
	for seed := range uint64(60) {
		v, f, now := randomBoard(seed)
		r := events.Record{Seq: v.Head() + 1, Data: events.PolicyChanged{}}
		v.Apply(&r)
		f.Dispatcher, f.Slots, f.Free = Serving, 100_000, 100_000
		alone := map[string]int{}
		folders := 0
		q := v.Queue(func(projections.Lane) bool { return true })
		for task := q.Next(); task != nil; task = q.Next() {
			if h := Explain(v, task.ID, f, now); h.Reason == ReasonStart {
				alone[task.ID.String()]++
				if task.Folder() != "" {
					folders++
				}
			}
		}
		got := Next(v, f, now)
		for _, s := range got {
			delete(alone, s.Task.String())
		}
		if len(alone) > folders { // of those that share a folder only one starts
			t.Fatalf("seed %d: not started %v", seed, alone)
		}
	}
}

func TestWhyHasAnAnswerForEveryTask(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		v, f, now := randomBoard(seed)
		for id := events.TaskID(0); v.Task(id+1) != nil; id++ {
			w := Why(v, id, f, now)
			if w.Hold.Reason == "" || w.Detail == "" || w.Hold.Detail == "" {
				t.Fatalf("seed %d, %v: %+v", seed, id, w)
			}
			if h := Explain(v, id, f, now); h.Reason != w.Hold.Reason || h.Until != w.Hold.Until {
				t.Fatalf("seed %d, %v: Explain %+v, Why %+v", seed, id, h, w.Hold)
			}
			if strings.Contains(w.Detail, "%!") || strings.Contains(w.Detail, "unknown(") {
				t.Fatalf("seed %d, %v: %s", seed, id, w.Detail)
			}
			seen[w.Hold.Reason] = true
		}
	}
	for _, reason := range []string{
		ReasonStart, Paused, NoDispatcher, DispatcherStopping, NoAssignee, AgentUnknown, RuntimeMissing, AgentHeld, PreviousRunEnding, StuckKill,
		RetryWait, ClaimRefused, Budget, FolderInUse, BoardCap, AgentCap, TenantCap, HostSlots, Parent, ParentFailed, ParentArchived, Scheduled,
		Triage, ReviewPerson, Starting, Running, StoppingRun, Ending, Done, Archived, NotOnBoard, "needs_input", "gave_up",
	} {
		if !seen[reason] {
			t.Errorf("no task was held for %s", reason)
		}
	}
}

func TestExplainTakesAnything(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		v := projections.NewView()
		for range 300 {
			r := projectionstest.Wild(rnd)
			v.Apply(&r)
			f := randomFacts(rnd, r.Time)
			for id := range events.TaskID(10) {
				if w := Why(v, id, f, r.Time); w.Hold.Reason == "" || w.Hold.Detail == "" {
					t.Fatalf("seed %d: %+v", seed, w)
				}
			}
			Next(v, f, r.Time)
		}
	}
}

// manyReady is a board of 100,000 ready tasks of which none may start: their
// agents are at their caps.
func manyReady(policy events.Policy) (*projections.View, Facts) {
	v := projections.NewView()
	v.Apply(&events.Record{Seq: 1, Time: projectionstest.Start, Data: events.PolicyChanged{Policy: policy}})
	f := Facts{Dispatcher: Serving, Slots: 8, Free: 4, Agents: map[string]Agent{}}
	for i := range 100_000 {
		name := fmt.Sprint("agent-", i%20)
		f.Agents[name] = Agent{}
		v.Apply(&events.Record{
			Seq: uint64(i + 2), Time: projectionstest.Start, Task: events.TaskID(i + 1), Tenant: fmt.Sprint("tenant-", i%5),
			Data: events.TaskCreated{Status: events.Ready, Assignee: name, Priority: int32(i % 7)},
		})
	}
	return v, f
}

func BenchmarkWake(b *testing.B) {
	change := func(v *projections.View) {
		v.Apply(&events.Record{Seq: v.Head() + 1, Task: 50_000, Data: events.TaskPrioritized{Priority: int32(v.Head() % 9)}})
	}
	for _, c := range []struct {
		name string
		free int
		make func(p *events.Policy, f *Facts)
	}{
		{"starts", 4, func(*events.Policy, *Facts) {}},
		{"no slot", 0, func(*events.Policy, *Facts) {}},
		{"agents missing", 4, func(_ *events.Policy, f *Facts) { clear(f.Agents) }},
		{"one agent left", 4, func(_ *events.Policy, f *Facts) { f.Agents = map[string]Agent{"agent-19": {}} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			policy := events.DefaultPolicy(8)
			v, f := manyReady(policy)
			f.Free = c.free
			c.make(&policy, &f)
			for b.Loop() {
				change(v)
				Next(v, f, projectionstest.Start)
				v.NextTimer(projectionstest.Start)
			}
		})
	}
}
