package dispatcher

import (
	"fmt"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// purse is a budget of the policy, what is spent of it, and what is set aside
// of it for open runs.
type purse struct {
	key    string // in the policy, without what stands before the dot
	whose  string // for people: the board, an agent, tenant X
	period string // today, this month; empty = for good
	who    projections.Spender
	tokens bool // of tokens, not of money
	limit  int64
	spent  int64
	aside  int64
	until  events.Time // when it begins anew; 0 = never
}

// empty reports whether nothing may be spent of it any more, whatever open
// runs leave over.
func (b *purse) empty() bool { return b.spent >= b.limit }

// left is what is neither spent nor set aside; less than zero where a run has
// spent more than it was allowed.
func (b *purse) left() int64 { return b.limit - b.spent - b.aside }

// name is its key in the policy.
func (b *purse) name() string {
	if b.tokens {
		return "token_budget." + b.key
	}
	return "budget." + b.key
}

// allowance is a limit of money and one of tokens for the same thing.
type allowance struct {
	key            string
	micros, tokens int64
}

func (a allowance) some() bool { return a.micros > 0 || a.tokens > 0 }

// both adds the purses of a pair of limits; what has no limit is none.
func both(all []purse, limit allowance, b purse, spent, aside projections.Amount) []purse {
	b.key = limit.key
	if limit.micros > 0 {
		b.tokens, b.limit, b.spent, b.aside = false, limit.micros, spent.Micros, aside.Micros
		all = append(all, b)
	}
	if limit.tokens > 0 {
		b.tokens, b.limit, b.spent, b.aside = true, limit.tokens, spent.Tokens, aside.Tokens
		all = append(all, b)
	}
	return all
}

// over adds the purses of a spender: of today and of this month.
func (p *pass) over(all []purse, who projections.Spender, whose string, daily, monthly allowance) []purse {
	for period, limit := range [...]allowance{daily, monthly} {
		if !limit.some() {
			continue
		}
		period := projections.Period(period)
		b := purse{whose: whose, period: " today", who: who, until: period.End(p.now)}
		if period == projections.ThisMonth {
			b.period = " this month"
		}
		all = both(all, limit, b, p.v.Spent(period, who, p.now), p.setAside(who))
	}
	return all
}

// setAside is what open runs, those that this pass has started among them, may
// still spend.
func (p *pass) setAside(who projections.Spender) projections.Amount {
	if !p.summed {
		p.aside, p.summed = p.v.SetAside(), true
	}
	return p.aside[who]
}

// putAside takes note of what a start of this pass may spend.
func (p *pass) putAside(t *projections.Task, s *Start) {
	if s.Allowed == (events.Amount{}) {
		return
	}
	for _, who := range projections.SpendersOf(s.Agent, t.Tenant) {
		sum := p.setAside(who)
		sum.Micros, sum.Tokens = sum.Micros+s.Allowed.CostMicros, sum.Tokens+s.Allowed.Tokens
		if p.aside == nil {
			p.aside = map[projections.Spender]projections.Amount{}
		}
		p.aside[who] = sum
	}
}

// boardPurses adds those that every run of the board shares.
func (p *pass) boardPurses(all []purse) []purse {
	m, t := &p.policy.Budget, &p.policy.TokenBudget
	return p.over(all, projections.Spender{}, "the board", allowance{"board_day", m.BoardDay, t.BoardDay}, allowance{"board_month", m.BoardMonth, t.BoardMonth})
}

// agentPurses adds those of an agent.
func (p *pass) agentPurses(all []purse, name string) []purse {
	m, t := &p.policy.Budget, &p.policy.TokenBudget
	return p.over(all, projections.Spender{Agent: name}, name, allowance{"agent_day", m.AgentDay, t.AgentDay}, allowance{"agent_month", m.AgentMonth, t.AgentMonth})
}

// tenantPurses adds those of a tenant; nobody has none.
func (p *pass) tenantPurses(all []purse, tenant string) []purse {
	if tenant == "" {
		return all
	}
	m, t := &p.policy.Budget, &p.policy.TokenBudget
	return p.over(all, projections.Spender{Tenant: tenant}, "tenant "+tenant, allowance{"tenant_day", m.TenantDay, t.TenantDay}, allowance{"tenant_month", m.TenantMonth, t.TenantMonth})
}

// lanePurses adds those of whoever would do a task, and of its tenant.
func (p *pass) lanePurses(all []purse, lane projections.Lane) []purse {
	return p.tenantPurses(p.agentPurses(all, who(lane, &p.policy)), lane.Tenant)
}

// taskPurses adds those of a task's runs together.
func (p *pass) taskPurses(all []purse, t *projections.Task) []purse {
	m, n := &p.policy.Budget, &p.policy.TokenBudget
	return both(all, allowance{"task", m.Task, n.Task}, purse{whose: "it"}, projections.Amount{Micros: t.CostMicros, Tokens: t.Tokens}, projections.Amount{})
}

// overrun is the part of the run budget, in tenths, that a run must have spent
// for its end over a budget to be put down to that one.
const overrun = 9

// runPurses adds those of a single run: that its last one was ended over a
// budget of its own keeps a task from being tried again under the same one.
func (p *pass) runPurses(all []purse, t *projections.Task) []purse {
	m, n := &p.policy.Budget, &p.policy.TokenBudget
	from := len(all)
	all = both(all, allowance{"run", m.Run, n.Run}, purse{whose: "its last run"}, projections.Amount{Micros: t.OverBudget, Tokens: t.OverTokens}, projections.Amount{})
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

// sharedPurses adds those that runs of other tasks draw on, too.
func (p *pass) sharedPurses(all []purse, lane projections.Lane) []purse {
	return p.lanePurses(p.boardPurses(all), lane)
}

// spentOut finds the first purse that has nothing left.
func spentOut(purses []purse) (*purse, bool) {
	for i := range purses {
		if b := &purses[i]; b.empty() {
			return b, true
		}
	}
	return nil, false
}

// metered reports whether it is known what runs of a lane's agent spend. Only
// for these something is set aside.
func (p *pass) metered(lane projections.Lane) bool { return p.f.Agents[who(lane, &p.policy)].Metered }

// shortOf finds the first purse that others have so much of that another run
// must wait for them. Each gets what a run may cost, or waits; what is left at
// the end of a purse goes to one run alone.
func (p *pass) shortOf(purses []purse) (*purse, bool) {
	for i := range purses {
		if b := &purses[i]; b.aside > 0 && b.left() < p.wanted(b) {
			return b, true
		}
	}
	return nil, false
}

// wanted is what a run is to have of a shared purse: its own budget or, without
// one, its part of what is left if all that may run at once did, and at least a
// tenth of the whole.
func (p *pass) wanted(b *purse) int64 {
	own := p.policy.Budget.Run
	if b.tokens {
		own = p.policy.TokenBudget.Run
	}
	if own > 0 {
		return own
	}
	places := int64(p.policy.HostSlots)
	if c := int64(p.policy.BoardCap); c > 0 {
		places = min(places, c)
	}
	return max(b.left()/max(places-int64(p.v.OpenCount()+p.started), 1), b.limit/10, 1)
}

// bare is the purse as it stands, without regard to a run.
func (b *purse) bare() boards.Purse {
	return boards.Purse{Budget: b.name(), Agent: b.who.Agent, Tenant: b.who.Tenant, Spent: b.spent, Limit: b.limit, Until: b.until}
}

// grant says what a run of a task may spend of each budget that bounds it, and
// what is to be set aside for it of those it shares.
func (p *pass) grant(t *projections.Task, lane projections.Lane) (purses []boards.Purse, allowed events.Amount) {
	var buf [16]purse
	all := both(p.taskPurses(buf[:0], t), allowance{"run", p.policy.Budget.Run, p.policy.TokenBudget.Run}, purse{}, projections.Amount{}, projections.Amount{})
	own := len(all)
	all = p.sharedPurses(all, lane)
	metered := p.metered(lane)
	purses = make([]boards.Purse, 0, len(all))
	var bound events.Amount // by those so far
	for i := range all {
		b := &all[i]
		may, what := b.left(), "what is left for "+b.whose+b.period
		switch {
		case b.key == "run":
			what = "a run"
		case b.key == "task":
			what = "what is left for the task"
		case metered:
			may = min(may, p.wanted(b))
		}
		if least(&bound, b.tokens, may); metered && i >= own {
			allowed = bound
		}
		grant := b.bare()
		grant.What, grant.Left = what, may
		purses = append(purses, grant)
	}
	return purses, allowed
}

// least lowers the bound of one unit; zero is none.
func least(bound *events.Amount, tokens bool, to int64) {
	of := &bound.CostMicros
	if tokens {
		of = &bound.Tokens
	}
	if *of == 0 || to < *of {
		*of = to
	}
}

// sayBudget says whose budget is spent, or set aside for others, and how to
// raise it.
func (p *pass) sayBudget(t *projections.Task) (string, string) {
	lane := projections.Lane{Agent: t.Who(), Tenant: t.Tenant}
	purses := p.sharedPurses(p.ownPurses(nil, t), lane)
	b, empty := spentOut(purses)
	if !empty {
		if b, empty = p.shortOf(purses); !empty {
			return "", ""
		}
	}
	amount, limit, unit := func(n int64) string { return projections.Money(n, p.policy.Currency) }, (2*b.limit+999_999)/1_000_000, ""
	if b.tokens {
		amount, limit, unit = func(n int64) string { return fmt.Sprintf("%d", n) }, 2*b.limit, " tokens"
	}
	detail := fmt.Sprintf("%s has spent %s of %s%s%s", b.whose, amount(b.spent), amount(b.limit), unit, b.period)
	switch {
	case b.key == "task":
		detail = fmt.Sprintf("it has cost %s of %s%s a task", amount(b.spent), amount(b.limit), unit)
	case b.key == "run":
		detail = fmt.Sprintf("attempt %d was ended at %s of %s%s a run", t.Attempts, amount(b.spent), amount(b.limit), unit)
	case !b.empty():
		detail += fmt.Sprintf(", and %s are set aside for open runs", amount(b.aside))
	}
	return detail, fmt.Sprintf("hermes board policy set %s %d", b.name(), limit)
}
