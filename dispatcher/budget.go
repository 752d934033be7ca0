package dispatcher

import (
	"fmt"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// purse is a budget of the policy, and what is spent of it.
type purse struct {
	key    string // in the policy, without what stands before the dot
	whose  string // for people: the board, an agent, tenant X
	period string // today, this month; empty = for good
	tokens bool   // of tokens, not of money
	limit  int64
	spent  int64
	until  events.Time // when it begins anew; 0 = never
}

func (b purse) empty() bool { return b.spent >= b.limit }

// allowance is a limit of money and one of tokens for the same thing.
type allowance struct {
	key            string
	micros, tokens int64
}

func (a allowance) some() bool { return a.micros > 0 || a.tokens > 0 }

// both adds the purses of a pair of limits; what has no limit is none.
func both(all []purse, limit allowance, whose, period string, spent projections.Amount, until events.Time) []purse {
	if limit.micros > 0 {
		all = append(all, purse{limit.key, whose, period, false, limit.micros, spent.Micros, until})
	}
	if limit.tokens > 0 {
		all = append(all, purse{limit.key, whose, period, true, limit.tokens, spent.Tokens, until})
	}
	return all
}

// over are the purses of a spender: of today and of this month.
func (p *pass) over(who projections.Spender, whose string, daily, monthly allowance) (all []purse) {
	if daily.some() {
		all = both(all, daily, whose, " today", p.v.Spent(projections.Today, who, p.now), projections.Today.End(p.now))
	}
	if monthly.some() {
		all = both(all, monthly, whose, " this month", p.v.Spent(projections.ThisMonth, who, p.now), projections.ThisMonth.End(p.now))
	}
	return all
}

// boardPurses are those that every run of the board shares.
func (p *pass) boardPurses() []purse {
	m, t := &p.policy.Budget, &p.policy.TokenBudget
	return p.over(projections.Spender{}, "the board", allowance{"board_day", m.BoardDay, t.BoardDay}, allowance{"board_month", m.BoardMonth, t.BoardMonth})
}

// lanePurses are those of whoever would do a task, and of its tenant.
func (p *pass) lanePurses(lane projections.Lane) []purse {
	m, t := &p.policy.Budget, &p.policy.TokenBudget
	name := who(lane, &p.policy)
	all := p.over(projections.Spender{Agent: name}, name, allowance{"agent_day", m.AgentDay, t.AgentDay}, allowance{"agent_month", m.AgentMonth, t.AgentMonth})
	if lane.Tenant == "" {
		return all
	}
	return append(all, p.over(projections.Spender{Tenant: lane.Tenant}, "tenant "+lane.Tenant,
		allowance{"tenant_day", m.TenantDay, t.TenantDay}, allowance{"tenant_month", m.TenantMonth, t.TenantMonth})...)
}

// taskPurses adds those of a task's runs together.
func (p *pass) taskPurses(all []purse, t *projections.Task) []purse {
	m, n := &p.policy.Budget, &p.policy.TokenBudget
	return both(all, allowance{"task", m.Task, n.Task}, "it", "", projections.Amount{Micros: t.CostMicros, Tokens: t.Tokens}, 0)
}

// overrun is the part of the run budget, in tenths, that a run must have spent
// for its end over a budget to be put down to that one.
const overrun = 9

// runPurses adds those of a single run: that its last one was ended over a
// budget of its own keeps a task from being tried again under the same one.
func (p *pass) runPurses(all []purse, t *projections.Task) []purse {
	m, n := &p.policy.Budget, &p.policy.TokenBudget
	from := len(all)
	all = both(all, allowance{"run", m.Run, n.Run}, "its last run", "", projections.Amount{Micros: t.OverBudget, Tokens: t.OverTokens}, 0)
	for i := range all[from:] {
		if b := &all[from+i]; b.spent > 0 && b.spent >= b.limit/10*overrun {
			b.spent = max(b.spent, b.limit)
		}
	}
	return all
}

// ownPurses adds those that no other task shares.
func (p *pass) ownPurses(all []purse, t *projections.Task) []purse {
	return p.runPurses(p.taskPurses(all, t), t)
}

// spentOut finds the first purse that has nothing left.
func spentOut(purses []purse) (purse, bool) {
	for _, b := range purses {
		if b.empty() {
			return b, true
		}
	}
	return purse{}, false
}

// purses are all that bound a run of a task, in the order in which they hold it.
func (p *pass) purses(t *projections.Task) []purse {
	lane := projections.Lane{Agent: t.Who(), Tenant: t.Tenant}
	return append(append(p.ownPurses(nil, t), p.boardPurses()...), p.lanePurses(lane)...)
}

// Purses says what a run of a task by an agent may spend of what it shares with
// other runs: what is left of the budgets of its board, its agent and its
// tenant. Those of the task and of the run itself are not among them.
func Purses(v *projections.View, task events.TaskID, agent string, now events.Time) (left []boards.Purse) {
	t := v.Task(task)
	if t == nil {
		return nil
	}
	p := newPass(v, &Facts{}, now)
	for _, b := range append(p.boardPurses(), p.lanePurses(projections.Lane{Agent: agent, Tenant: t.Tenant})...) {
		purse := boards.Purse{What: "what is left for " + b.whose + b.period}
		if rest := max(b.limit-b.spent, 1); b.tokens {
			purse.Tokens = rest
		} else {
			purse.Micros = rest
		}
		left = append(left, purse)
	}
	return left
}

// sayBudget says whose budget is spent and how to raise it.
func (p *pass) sayBudget(t *projections.Task) (string, string) {
	b, _ := spentOut(p.purses(t))
	amount, set, limit := func(n int64) string { return projections.Money(n, p.policy.Currency) }, "budget.", (2*b.limit+999_999)/1_000_000
	if b.tokens {
		amount, set, limit = func(n int64) string { return fmt.Sprintf("%d", n) }, "token_budget.", 2*b.limit
	}
	unit := ""
	if b.tokens {
		unit = " tokens"
	}
	detail := fmt.Sprintf("%s has spent %s of %s%s%s", b.whose, amount(b.spent), amount(b.limit), unit, b.period)
	switch b.key {
	case "task":
		detail = fmt.Sprintf("it has cost %s of %s%s a task", amount(b.spent), amount(b.limit), unit)
	case "run":
		detail = fmt.Sprintf("attempt %d was ended at %s of %s%s a run", t.Attempts, amount(b.spent), amount(b.limit), unit)
	}
	return detail, fmt.Sprintf("hermes board policy set %s%s %d", set, b.key, limit)
}
