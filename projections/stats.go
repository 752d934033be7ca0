package projections

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hermesboard/hermes/events"
)

const (
	minute events.Time = 60_000_000
	day    events.Time = 24 * 60 * minute
)

// spent is what the ended runs cost. Money counts where it is in the policy's
// currency or in none.
type spent struct {
	runs     int
	outcomes [events.OutcomeKilled + 1]int
	cost     int64
	tokens   int64
	day      int64 // days since 1970, UTC: the latest on which a run ended
	today    int64 // cost on that day
	agents   map[string]int64
}

func dayOf(t events.Time) int64 {
	d := t / day
	if t < 0 && t%day != 0 {
		d--
	}
	return int64(d)
}

// book adds an ended run to the accounts of its task, its agent and the board.
func (v *View) book(t *Task, run *Run, r *events.Record, p events.RunEnded) {
	s := &v.spent
	s.runs++
	if int(p.Outcome) < len(s.outcomes) {
		s.outcomes[p.Outcome]++
	}
	tokens := p.Usage.TokensIn + p.Usage.TokensOut
	s.tokens += tokens
	t.Tokens += tokens
	cost := p.Usage.CostMicros
	if p.Usage.Currency != "" && p.Usage.Currency != v.policy.Currency {
		cost = 0
	}
	t.CostMicros += cost
	if p.Outcome == events.OutcomeOverBudget {
		t.OverBudget = max(cost, 1)
	}
	s.cost += cost
	if today := dayOf(r.Time); today > s.day {
		s.day, s.today = today, 0
		clear(s.agents)
	} else if today < s.day {
		return
	}
	s.today += cost
	if cost != 0 {
		s.agents[run.Agent] += cost
	}
}

// CostToday returns what the runs that ended since midnight UTC cost.
func (v *View) CostToday(now events.Time) int64 {
	if dayOf(now) != v.spent.day {
		return 0
	}
	return v.spent.today
}

// AgentCostToday is CostToday for one agent.
func (v *View) AgentCostToday(agent string, now events.Time) int64 {
	if dayOf(now) != v.spent.day {
		return 0
	}
	return v.spent.agents[agent]
}

// Tomorrow returns the midnight UTC at which daily budgets begin anew.
func Tomorrow(now events.Time) events.Time { return events.Time(dayOf(now)+1) * day }

// count adds a task to, or takes it from, the counts of its assignee.
func (v *View) count(p place, by int) {
	if p.status == 0 {
		return
	}
	c := v.people[p.assignee]
	if c == nil {
		c = &NameCount{Name: p.assignee}
		v.people[p.assignee] = c
	}
	switch p.status {
	case events.Done:
		c.Done += by
	case events.Archived:
		return
	case events.Ready:
		c.Ready += by
		c.Open += by
	case events.Running:
		c.Running += by
		c.Open += by
	default:
		c.Open += by
	}
}

// minutes counts what ended in each minute, oldest first. A count may go back to 0.
type minutes []minuteCount

type minuteCount struct {
	minute int64
	n      int
}

func (m *minutes) add(at events.Time, by int) {
	if at == 0 {
		return
	}
	want := int64(at / minute)
	i, found := len(*m)-1, true
	if i < 0 || (*m)[i].minute != want { // nearly always the last
		i, found = slices.BinarySearchFunc(*m, want, func(c minuteCount, w int64) int { return cmp.Compare(c.minute, w) })
	}
	if !found {
		*m = slices.Insert(*m, i, minuteCount{want, by})
		return
	}
	(*m)[i].n += by
}

// since counts what ended after an instant, to the minute.
func (m minutes) since(at events.Time) int {
	n := 0
	for i := len(m) - 1; i >= 0 && m[i].minute > int64(at/minute); i-- {
		n += m[i].n
	}
	return n
}

// Stats counts the board. It looks at counters only, never at all tasks.
func (v *View) Stats(now events.Time) Stats {
	s := Stats{
		OpenRuns: v.open.len(), Runs: v.spent.runs,
		NeedsYou: v.NeedsYou(now), Done24h: v.finished.since(now - day),
		CostMicros: v.spent.cost, CostToday: v.CostToday(now), Tokens: v.spent.tokens,
		Currency: v.policy.Currency, Events: v.head,
		ByStatus: []StatusCount{}, ByAssignee: []NameCount{}, ByOutcome: []OutcomeCount{},
	}
	for _, status := range events.Statuses() {
		n := v.columns[status].len()
		s.Tasks += n
		s.ByStatus = append(s.ByStatus, StatusCount{status, n})
	}
	for _, name := range slices.Sorted(maps.Keys(v.people)) {
		if c := *v.people[name]; c.Open != 0 || c.Done != 0 {
			s.ByAssignee = append(s.ByAssignee, c)
		}
	}
	for o, n := range v.spent.outcomes {
		if n > 0 && o > 0 {
			s.ByOutcome = append(s.ByOutcome, OutcomeCount{events.Outcome(o), n})
		}
	}
	if it, ok := v.waiting.first(); ok {
		s.OldestReady = v.Task(it.task).Since
	}
	return s
}
