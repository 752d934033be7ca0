package projections

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hermesboard/hermes/events"
)

// Amount is what was spent: money in millionths of the policy's currency, and
// tokens. Money of another currency does not count.
type Amount struct {
	Micros int64 `json:"micros"`
	Tokens int64 `json:"tokens"`
}

func (a *Amount) add(b Amount) { a.Micros += b.Micros; a.Tokens += b.Tokens }

// Period is a time for which there are budgets; it begins at midnight UTC.
type Period uint8

// The periods.
const (
	Today Period = iota
	ThisMonth
	periods
)

// Spender is who spends: an agent, a tenant, or with neither the board.
type Spender struct{ Agent, Tenant string }

// spent is what the ended runs cost.
type spent struct {
	runs     int
	outcomes [events.OutcomeKilled + 1]int
	all      Amount
	in       [periods]ledger
}

// ledger is what was spent in the latest period in which a run ended.
type ledger struct {
	number int64 // days since 1970, or months since year 0
	by     map[Spender]Amount
}

func newSpent() (s spent) {
	for p := range s.in {
		s.in[p].by = map[Spender]Amount{}
	}
	return s
}

func (l *ledger) add(who Spender, cost Amount) {
	sum := l.by[who]
	sum.add(cost)
	l.by[who] = sum
}

func compareSpenders(a, b Spender) int {
	return cmp.Or(strings.Compare(a.Agent, b.Agent), strings.Compare(a.Tenant, b.Tenant))
}

// number counts periods, so that a later one has a higher number.
func (p Period) number(t events.Time) int64 {
	if p == ThisMonth {
		year, month, _ := t.Time().UTC().Date()
		return int64(year)*12 + int64(month) - 1
	}
	d := t / day
	if t < 0 && t%day != 0 {
		d--
	}
	return int64(d)
}

// End returns when the period of now is over and its budgets begin anew.
func (p Period) End(now events.Time) events.Time {
	n := p.number(now) + 1
	if p == ThisMonth {
		return events.TimeOf(time.Date(int(n/12), time.Month(n%12+1), 1, 0, 0, 0, 0, time.UTC))
	}
	return events.Time(n) * day
}

// book adds an ended run to the accounts of its task, its agent, its tenant
// and the board.
func (v *View) book(t *Task, run *Run, r *events.Record, p events.RunEnded) {
	s := &v.spent
	s.runs++
	if int(p.Outcome) < len(s.outcomes) {
		s.outcomes[p.Outcome]++
	}
	cost := Amount{p.Usage.CostMicros, p.Usage.TokensIn + p.Usage.TokensOut}
	if p.Usage.Currency != "" && p.Usage.Currency != v.policy.Currency {
		cost.Micros = 0
	}
	t.CostMicros += cost.Micros
	t.Tokens += cost.Tokens
	if p.Outcome == events.OutcomeOverBudget {
		t.OverBudget, t.OverTokens = max(cost.Micros, 1), max(cost.Tokens, 1)
	}
	s.all.add(cost)
	for p := range s.in {
		l := &s.in[p]
		switch n := Period(p).number(r.Time); {
		case n < l.number:
			continue
		case n > l.number:
			l.number = n
			clear(l.by)
		}
		if cost == (Amount{}) {
			continue
		}
		l.add(Spender{}, cost)
		if run.Agent != "" {
			l.add(Spender{Agent: run.Agent}, cost)
		}
		if t.Tenant != "" {
			l.add(Spender{Tenant: t.Tenant}, cost)
		}
	}
}

// Spent returns what the runs that ended in the period of now have spent.
func (v *View) Spent(p Period, who Spender, now events.Time) Amount {
	l := &v.spent.in[p]
	if p.number(now) != l.number {
		return Amount{}
	}
	return l.by[who]
}

func (w *writer) amount(a Amount) { w.int(a.Micros); w.int(a.Tokens) }

func (r *reader) amount() Amount { return Amount{r.Int64(), r.Int64()} }

func (w *writer) spent(s *spent) {
	w.int(int64(s.runs))
	for _, n := range s.outcomes {
		w.int(int64(n))
	}
	w.amount(s.all)
	for _, l := range s.in {
		w.int(l.number)
		w.len(len(l.by))
		for _, who := range slices.SortedFunc(maps.Keys(l.by), compareSpenders) {
			w.name(who.Agent)
			w.name(who.Tenant)
			w.amount(l.by[who])
		}
	}
}

func (r *reader) spent(s *spent) {
	s.runs = int(r.Int64())
	for i := range s.outcomes {
		s.outcomes[i] = int(r.Int64())
	}
	s.all = r.amount()
	for p := range s.in {
		s.in[p].number = r.Int64()
		for range r.Len(4) {
			who := Spender{r.name(), r.name()}
			s.in[p].by[who] = r.amount()
		}
	}
}
