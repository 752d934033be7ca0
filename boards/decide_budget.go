package boards

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/pack"
)

// budget is one of the policy's, and whose it is.
type budget struct {
	key    string
	task   events.TaskID // of a run or a task
	agent  string
	tenant string
}

// mark is how much of a budget was reported: in which run or until when, and
// under which limit, so that a budget that was raised is reported again.
type mark struct {
	run     uint32
	percent uint32
	limit   int64
	until   events.Time
}

// covers reports whether what b says was said by a.
func (a mark) covers(b mark) bool {
	return a.run == b.run && a.until == b.until && a.limit == b.limit && a.percent >= b.percent
}

// markOf is what a record says of its budget. That of a run begins anew with each.
func markOf(run events.RunID, p events.BudgetReached) mark {
	m := mark{percent: p.Percent, limit: p.Limit, until: p.Until}
	if ofWhom(p.Budget) == "run" {
		m.run = run.N
	}
	return m
}

func compareBudgets(a, b budget) int {
	return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.task, b.task), strings.Compare(a.agent, b.agent), strings.Compare(a.tenant, b.tenant))
}

// budgetOf is the budget that a record speaks of.
func budgetOf(task events.TaskID, tenant string, p events.BudgetReached) budget {
	if task != 0 {
		tenant = ""
	}
	return budget{p.Budget, task, p.Agent, tenant}
}

// ofWhom returns the last part of a budget's key without its period: "run",
// "task", "board", "agent", "tenant", or nothing if it is none.
func ofWhom(key string) string {
	_, name, _ := strings.Cut(key, "budget.")
	whose, period, _ := strings.Cut(name, "_")
	whole := key == "budget."+name || key == "token_budget."+name
	switch whose {
	case "run", "task":
		whole = whole && whose == name
	case "board", "agent", "tenant":
		whole = whole && (period == "day" || period == "month")
	default:
		whole = false
	}
	if !whole {
		return ""
	}
	return whose
}

// reportBudget takes note that a share of a budget is spent, unless that was
// said before. What is about no task says whose budget it is.
func (d *decision) reportBudget(c ReportBudget) *Rejection {
	p, tenant := c.Reached, fold(c.Tenant)
	p.Agent = fold(p.Agent)
	if r := firstBad(c.Run.Task, agentName("agent", p.Agent), tenantName(tenant), word("currency", p.Currency, "", 3), instant("until", p.Until)); r != nil {
		return r
	}
	whose := ofWhom(p.Budget)
	own := whose == "run" || whose == "task"
	if whose == "" || p.Percent != 80 && p.Percent != 100 || p.Limit < 1 || p.Spent < 0 ||
		own && c.Run.N == 0 || (whose == "agent") != (p.Agent != "") || (whose == "tenant") != (tenant != "") {
		return reject(CodeBadCommand, c.Run.Task, "", "it is not said how much is spent of which budget")
	}
	draft := events.Draft{Tenant: tenant, Data: p}
	switch {
	case own:
		t, r := d.attempt(c, c.Run)
		if r != nil {
			return r
		}
		draft = d.about(c.Run.Task, t, p, nil)
		draft.Run, draft.Cause = c.Run, t.run.fence
	case d.me == nil:
		if r := d.only(c, dispatcher); r != nil {
			return r
		}
	case c.Run != d.me.id || p.Agent != "" && p.Agent != d.s.names.text(d.me.agent) ||
		tenant != "" && tenant != d.s.names.text(d.s.task(c.Run.Task).tenant):
		return reject(CodeNotYours, c.Run.Task, "", "%v spends nothing of that budget", d.me.id)
	default:
		draft.Cause = d.me.fence
	}
	if d.s.budgets[budgetOf(draft.Task, draft.Tenant, p)].covers(markOf(c.Run, p)) {
		return reject(CodeAlready, draft.Task, "", "that was said of %s already", p.Budget)
	}
	d.add(draft)
	return nil
}

// appendBudgets writes what was reported to a snapshot.
func (s *State) appendBudgets(b []byte) []byte {
	b = pack.Len(b, len(s.budgets))
	for _, of := range slices.SortedFunc(maps.Keys(s.budgets), compareBudgets) {
		m := s.budgets[of]
		b = pack.String(b, of.key)
		b = pack.Uint(b, of.task)
		b = pack.String(b, of.agent)
		b = pack.String(b, of.tenant)
		b = pack.Uint(b, m.run)
		b = pack.Uint(b, m.percent)
		b = pack.Int(b, m.limit)
		b = pack.Int(b, m.until)
	}
	return b
}

// budgets reads what appendBudgets wrote.
func (l *loader) budgets() {
	var last budget
	for n := l.Len(8); n > 0 && l.Err() == nil; n-- {
		next := budget{l.String(), events.TaskID(l.Uint32()), l.String(), l.String()}
		l.must(len(l.s.budgets) == 0 || compareBudgets(last, next) < 0)
		last = next
		l.s.budgets[last] = mark{l.Uint32(), l.Uint32(), l.Int64(), events.Time(l.Int64())}
	}
}
