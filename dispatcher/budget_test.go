package dispatcher

import (
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// spentBoard is a board on which one run, of tenant north by coder, has spent
// a million micros and a thousand tokens, and a second task waits.
func spentBoard(t *testing.T, policy events.Policy, outcome events.Outcome) (v *projections.View, tasks []events.TaskID, now events.Time) {
	t.Helper()
	b, err := boardstest.Create(policy)
	if err != nil {
		t.Fatal(err)
	}
	do := func(by boards.Principal, c boards.Command) boards.Result {
		t.Helper()
		return boards.ResultOf(b.Must(t, by, c))
	}
	tasks = do(boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{
		{Title: "first", Assignee: "coder", Tenant: "north"}, {Title: "second", Assignee: "coder", Tenant: "north"},
	}}).Tasks
	run := do(me, boards.ClaimTask{Task: tasks[0], Agent: "coder", Role: events.RoleWorker, Token: events.DigestOf([]byte("t"))}).Run
	do(me, boards.StartRun{Run: run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
	do(me, boards.EndRun{Run: run, Outcome: outcome, Usage: events.Usage{TokensIn: 900, TokensOut: 100, CostMicros: 1_000_000, Source: "endpoint"}})
	v = projections.NewView()
	for i := range b.Records {
		v.Apply(&b.Records[i])
	}
	return v, tasks, b.Now
}

// TestBudgets: each budget, once spent, holds what it is for, says so, and
// names the command that raises it.
func TestBudgets(t *testing.T) {
	day, month := projections.Today, projections.ThisMonth
	for name, c := range map[string]struct {
		money, tokens events.Budget
		second        bool // the task that has spent nothing is held, too
		until         *projections.Period
		says, fix     string
	}{
		"board day":          {money: events.Budget{BoardDay: 1_000_000}, second: true, until: &day, says: "the board has spent $1.00 of $1.00 today", fix: "budget.board_day 2"},
		"board month":        {money: events.Budget{BoardMonth: 900_000}, second: true, until: &month, says: "the board has spent $1.00 of $0.90 this month", fix: "budget.board_month 2"},
		"agent day":          {money: events.Budget{AgentDay: 1_000_000}, second: true, until: &day, says: "coder has spent $1.00 of $1.00 today", fix: "budget.agent_day 2"},
		"agent month":        {money: events.Budget{AgentMonth: 1_000_000}, second: true, until: &month, says: "coder has spent", fix: "budget.agent_month 2"},
		"tenant day":         {money: events.Budget{TenantDay: 1_000_000}, second: true, until: &day, says: "tenant north has spent $1.00", fix: "budget.tenant_day 2"},
		"tenant month":       {money: events.Budget{TenantMonth: 1_000_000}, second: true, until: &month, says: "tenant north has spent $1.00", fix: "budget.tenant_month 2"},
		"task":               {money: events.Budget{Task: 1_000_000}, says: "it has cost $1.00 of $1.00 a task", fix: "budget.task 2"},
		"run":                {money: events.Budget{Run: 1_000_000}, says: "attempt 1 was ended at $1.00 of $1.00 a run", fix: "budget.run 2"},
		"tokens board day":   {tokens: events.Budget{BoardDay: 1000}, second: true, until: &day, says: "the board has spent 1000 of 1000 tokens today", fix: "token_budget.board_day 2000"},
		"tokens board month": {tokens: events.Budget{BoardMonth: 1000}, second: true, until: &month, says: "this month", fix: "token_budget.board_month 2000"},
		"tokens agent day":   {tokens: events.Budget{AgentDay: 1000}, second: true, until: &day, says: "coder has spent 1000", fix: "token_budget.agent_day 2000"},
		"tokens agent month": {tokens: events.Budget{AgentMonth: 1000}, second: true, until: &month, says: "coder has spent", fix: "token_budget.agent_month 2000"},
		"tokens tenant day":  {tokens: events.Budget{TenantDay: 1000}, second: true, until: &day, says: "tenant north has", fix: "token_budget.tenant_day 2000"},
		"tokens task":        {tokens: events.Budget{Task: 1000}, says: "it has cost 1000 of 1000 tokens a task", fix: "token_budget.task 2000"},
		"tokens run":         {tokens: events.Budget{Run: 1000}, says: "attempt 1 was ended at 1000 of 1000 tokens a run", fix: "token_budget.run 2000"},
		"enough":             {money: events.Budget{Run: 2_000_000, Task: 1_000_001, BoardDay: 1_000_001}, tokens: events.Budget{Task: 1001, TenantMonth: 1001}},
	} {
		t.Run(name, func(t *testing.T) {
			policy := events.DefaultPolicy(2)
			policy.Budget, policy.TokenBudget = c.money, c.tokens
			v, tasks, now := spentBoard(t, policy, events.OutcomeOverBudget)
			f := Facts{Dispatcher: Serving, Slots: 2, Free: 2, Agents: map[string]Agent{"coder": {Role: events.RoleWorker}}}
			for i, held := range []bool{c.says != "", c.second} {
				h := Explain(v, tasks[i], f, now)
				if held != (h.Reason == Budget) {
					t.Errorf("%s: got %q, want held %v", tasks[i], h.Reason, held)
				}
			}
			if c.says == "" {
				return
			}
			w := Why(v, tasks[0], f, now)
			if !strings.Contains(w.Detail, c.says) || w.Next != "hermes board policy set "+c.fix {
				t.Errorf("got %q, %q", w.Detail, w.Next)
			}
			if c.until == nil {
				return
			}
			if want := c.until.End(now); w.Hold.Until != want {
				t.Errorf("got held until %v, want %v", w.Hold.Until, want)
			}
			if h := Explain(v, tasks[1], f, c.until.End(now)); h.Reason != ReasonStart {
				t.Errorf("got %q in the next period, want that it starts", h.Reason)
			}
		})
	}
}

// TestGrant: a run is told of every budget that bounds it, and what is left of it.
func TestGrant(t *testing.T) {
	policy := events.DefaultPolicy(2)
	policy.Budget = events.Budget{Run: 500_000, Task: 3_000_000, BoardDay: 3_000_000}
	policy.TokenBudget = events.Budget{AgentDay: 5000}
	v, tasks, now := spentBoard(t, policy, events.OutcomeReleased)
	f := Facts{Dispatcher: Serving, Slots: 1, Free: 1, Agents: map[string]Agent{"coder": {Role: events.RoleWorker, Metered: true}}}
	day := projections.Today.End(now)
	want := []boards.Purse{
		{Budget: "budget.task", What: "what is left for the task", Left: 2_000_000, Spent: 1_000_000, Limit: 3_000_000},
		{Budget: "budget.run", What: "a run", Left: 500_000, Limit: 500_000},
		{Budget: "budget.board_day", What: "what is left for the board today", Left: 500_000, Spent: 1_000_000, Limit: 3_000_000, Until: day},
		{Budget: "token_budget.agent_day", Agent: "coder", What: "what is left for coder today", Left: 2000, Spent: 1000, Limit: 5000, Until: day},
	}
	starts := Next(v, f, now)
	if len(starts) != 1 || starts[0].Task != tasks[0] || !slices.Equal(starts[0].Purses, want) {
		t.Fatalf("got %+v, want %+v", starts, want)
	}
	if want := (events.Amount{CostMicros: 500_000, Tokens: 2000}); starts[0].Allowed != want {
		t.Errorf("got %+v set aside, want %+v", starts[0].Allowed, want)
	}
}
