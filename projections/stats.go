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
		CostMicros: v.spent.all.Micros, CostToday: v.Spent(Today, Spender{}, now).Micros, Tokens: v.spent.all.Tokens,
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
