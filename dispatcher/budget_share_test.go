package dispatcher

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// ledger is a board on which runs are claimed as Next says, and spend.
type ledger struct {
	t     *testing.T
	rng   *rand.Rand
	b     *boardstest.Board
	v     *projections.View
	seen  int
	facts Facts
	open  []Start
	runs  []events.RunID
}

func newLedger(t *testing.T, seed uint64, policy events.Policy) *ledger {
	t.Helper()
	b, err := boardstest.Create(policy)
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{t: t, rng: rand.New(rand.NewPCG(seed, 1)), b: b, v: projections.NewView()}
	l.facts = Facts{Dispatcher: Serving, Slots: 8, Free: 8, Agents: map[string]Agent{}}
	for _, name := range []string{"ann", "bob"} {
		l.facts.Agents[name] = Agent{Role: events.RoleWorker, Metered: true}
	}
	for i := range 40 {
		l.do(boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{
			Title: fmt.Sprint(i), Assignee: []string{"ann", "bob"}[l.rng.IntN(2)], Tenant: []string{"", "north", "south"}[l.rng.IntN(3)],
		}}})
	}
	return l
}

func (l *ledger) do(by boards.Principal, c boards.Command) boards.Result {
	l.t.Helper()
	res := boards.ResultOf(l.b.Must(l.t, by, c))
	for ; l.seen < len(l.b.Records); l.seen++ {
		l.v.Apply(&l.b.Records[l.seen])
	}
	return res
}

// claim starts what may start now.
func (l *ledger) claim() {
	l.t.Helper()
	l.facts.Free = l.facts.Slots - len(l.open)
	for _, s := range Next(l.v, l.facts, l.b.Now) {
		token := events.DigestOf(fmt.Append(nil, l.b.Now, l.seen, s.Task))
		run := l.do(me, boards.ClaimTask{Task: s.Task, Agent: s.Agent, Role: s.Role, Token: token, Facts: s.Facts, Allowed: s.Allowed}).Run
		l.do(me, boards.StartRun{Run: run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
		l.open, l.runs = append(l.open, s), append(l.runs, run)
	}
}

// end ends an open run that has spent no more than it was allowed.
func (l *ledger) end() {
	l.t.Helper()
	i := l.rng.IntN(len(l.open))
	s, run := l.open[i], l.runs[i]
	u := events.Usage{Source: "endpoint", Currency: "USD"}
	most := events.Amount{CostMicros: 1 << 40, Tokens: 1 << 40}
	for _, p := range s.Purses {
		if p.InTokens() {
			most.Tokens = min(most.Tokens, p.Left)
		} else {
			most.CostMicros = min(most.CostMicros, p.Left)
		}
		if p.Left <= 0 {
			l.t.Errorf("%s was started with nothing left of %s", run, p.Budget)
		}
	}
	if s.Allowed.CostMicros > 0 {
		u.CostMicros = l.rng.Int64N(most.CostMicros) + 1
	}
	if s.Allowed.Tokens > 0 {
		u.TokensIn = l.rng.Int64N(most.Tokens) + 1
	}
	outcome := []events.Outcome{events.OutcomeReleased, events.OutcomeOverBudget}[l.rng.IntN(2)]
	l.do(me, boards.EndRun{Run: run, Outcome: outcome, Usage: u})
	l.open, l.runs = append(l.open[:i:i], l.open[i+1:]...), append(l.runs[:i:i], l.runs[i+1:]...)
}

// within checks that what is spent and set aside of each budget is no more
// than there is.
func (l *ledger) within() {
	l.t.Helper()
	p := newPass(l.v, &l.facts, l.b.Now)
	purses := p.boardPurses(nil)
	for _, name := range []string{"ann", "bob"} {
		purses = p.agentPurses(purses, name)
	}
	for _, tenant := range []string{"north", "south"} {
		purses = p.tenantPurses(purses, tenant)
	}
	for _, b := range purses {
		if b.spent+b.aside > b.limit {
			l.t.Fatalf("%s%s: %d spent and %d set aside of %d (%s)", b.whose, b.period, b.spent, b.aside, b.limit, b.name())
		}
	}
}

// TestSetAside: whatever the budgets are, and in whatever order runs end, what
// is spent and what is set aside is never more than there is. And it is not left
// lying: in the end nothing starts only where a budget is spent.
func TestSetAside(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			some := func(most int64) int64 { return rng.Int64N(2) * (1 + rng.Int64N(most)) }
			policy := events.DefaultPolicy(8)
			policy.Budget = events.Budget{Run: some(300), Task: some(900), BoardDay: 1 + rng.Int64N(5000), BoardMonth: some(9000),
				AgentDay: some(3000), TenantDay: some(2000), TenantMonth: some(4000)}
			policy.TokenBudget = events.Budget{Run: some(50), AgentDay: some(1000), BoardDay: some(2000)}
			l := newLedger(t, seed, policy)
			for range 200 {
				l.claim()
				l.within()
				if len(l.open) == 0 {
					break
				}
				l.end()
				l.within()
				l.b.Now = l.b.Now.Add(time.Duration(rng.IntN(3600)) * time.Second)
			}
			for len(l.open) > 0 {
				l.end()
			}
			l.b.Now = l.b.Now.Add(time.Minute) // what rested after its end may start
			for id := events.TaskID(1); l.v.Task(id) != nil; id++ {
				switch h := Explain(l.v, id, l.facts, l.b.Now); h.Reason {
				case ReasonStart, RetryWait:
				case Budget:
					task := l.v.Task(id)
					p := newPass(l.v, &l.facts, l.b.Now)
					if b, empty := spentOut(p.sharedPurses(p.ownPurses(nil, task), projections.Lane{Agent: task.Who(), Tenant: task.Tenant})); !empty {
						t.Errorf("%s is held, and no budget is spent: %+v", id, b)
					}
				default:
					t.Errorf("%s: got %s", id, h.Reason)
				}
			}
		})
	}
}

// TestShares: a run gets its own budget of a shared one, or waits for others
// unless it is alone; without a budget of its own it gets its part.
func TestShares(t *testing.T) {
	for name, c := range map[string]struct {
		budget  events.Budget
		metered bool
		want    []int64 // what is set aside for each that starts
		says    string  // of the first that does not
	}{
		"room for all":        {events.Budget{Run: 100, BoardDay: 1000}, true, []int64{100, 100, 100, 100, 100, 100, 100, 100}, ""},
		"room for three":      {events.Budget{Run: 100, BoardDay: 350}, true, []int64{100, 100, 100}, "are set aside for open runs"},
		"less than one needs": {events.Budget{Run: 100, BoardDay: 40}, true, []int64{40}, "are set aside for open runs"},
		"what the task has":   {events.Budget{Run: 100, Task: 60, BoardDay: 1000}, true, []int64{60, 60, 60, 60, 60, 60, 60, 60}, ""},
		"parts":               {events.Budget{BoardDay: 800}, true, []int64{100, 100, 100, 100, 100, 100, 100, 100}, ""},
		"not shared":          {events.Budget{Run: 100, Task: 200}, true, []int64{0, 0, 0, 0, 0, 0, 0, 0}, ""},
		"not measured":        {events.Budget{Run: 100, BoardDay: 150}, false, []int64{0, 0, 0, 0, 0, 0, 0, 0}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			policy := events.DefaultPolicy(8)
			policy.Budget = c.budget
			l := newLedger(t, 1, policy)
			for name, a := range l.facts.Agents {
				a.Metered = c.metered
				l.facts.Agents[name] = a
			}
			l.claim()
			var got []int64
			for _, s := range l.open {
				got = append(got, s.Allowed.CostMicros)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			l.facts.Free = l.facts.Slots - len(l.open)
			for id := events.TaskID(1); c.says != ""; id++ {
				if w := Why(l.v, id, l.facts, l.b.Now); w.Hold.Reason == Budget {
					if !strings.Contains(w.Detail, c.says) || !strings.Contains(w.Next, "budget.board_day") {
						t.Errorf("got %q, %q", w.Detail, w.Next)
					}
					break
				}
			}
		})
	}
}

// TestReached: of a shared budget is reported what ended runs have spent, four
// fifths of it and all of it.
func TestReached(t *testing.T) {
	for name, c := range map[string]struct {
		money, tokens events.Budget
		want          []string
	}{
		"little":     {events.Budget{BoardDay: 2_000_000}, events.Budget{TenantDay: 9000}, nil},
		"four parts": {events.Budget{BoardDay: 1_200_000, AgentMonth: 1_250_000}, events.Budget{}, []string{"budget.board_day 80", "budget.agent_month coder 80"}},
		"all":        {events.Budget{TenantDay: 1_000_000}, events.Budget{TenantMonth: 900}, []string{"budget.tenant_day north 100", "token_budget.tenant_month north 100"}},
		"of runs":    {events.Budget{Run: 1, Task: 1}, events.Budget{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			policy := events.DefaultPolicy(2)
			policy.Budget, policy.TokenBudget = c.money, c.tokens
			v, _, now := spentBoard(t, policy, events.OutcomeReleased)
			var got []string
			for _, r := range Reached(v, now) {
				p := r.Reached
				got = append(got, strings.Join(strings.Fields(fmt.Sprint(p.Budget, " ", p.Agent, r.Tenant, " ", p.Percent)), " "))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := Reached(v, now.Add(40*24*time.Hour)); got != nil {
				t.Errorf("got %+v in the next month", got)
			}
		})
	}
}
