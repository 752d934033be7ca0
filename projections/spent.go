package projections

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	outcomes [events.OutcomeInvalidRequest + 1]int
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

// Spenders returns whoever has spent in the period of now, in a fixed order.
func (v *View) Spenders(p Period, now events.Time) []Spender {
	l := &v.spent.in[p]
	if p.number(now) != l.number {
		return nil
	}
	return slices.SortedFunc(maps.Keys(l.by), compareSpenders)
}

// SetAside sums up what open runs may spend, by whose budgets it is set aside
// of; nil if nothing is.
func (v *View) SetAside() map[Spender]Amount {
	var sums map[Spender]Amount
	for id := range v.open.all() {
		run := v.Task(id).Run
		if run.Allowed == (events.Amount{}) {
			continue
		}
		if sums == nil {
			sums = map[Spender]Amount{}
		}
		for _, who := range SpendersOf(run.Agent, run.Tenant) {
			sum := sums[who]
			sum.add(Amount{run.Allowed.CostMicros, run.Allowed.Tokens})
			sums[who] = sum
		}
	}
	return sums
}

// SpendersOf returns whose shared budgets a run of an agent draws on: the
// board's, the agent's, and the tenant's where there is one.
func SpendersOf(agent, tenant string) []Spender {
	all := []Spender{{}, {Agent: agent}, {Tenant: tenant}}
	if tenant == "" {
		all = all[:2]
	}
	return all
}

// SayBudget says how much of which budget is spent: "the board has spent $20.40
// of $25.00 today".
func SayBudget(r *events.Record, p events.BudgetReached) string {
	amount := func(n int64) string { return Money(n, p.Currency) }
	_, name, _ := strings.Cut(p.Budget, "budget.")
	unit := ""
	if strings.HasPrefix(p.Budget, "token_") {
		amount, unit = func(n int64) string { return strconv.FormatInt(n, 10) }, " tokens"
	}
	whose, period, _ := strings.Cut(name, "_")
	switch whose {
	case "run":
		whose = fmt.Sprintf("attempt %d of %s", r.Run.N, r.Task)
	case "task":
		whose = r.Task.String()
	case "agent":
		whose = p.Agent
	case "tenant":
		whose = "tenant " + r.Tenant
	default:
		whose = "the " + whose
	}
	switch period {
	case "day":
		period = " today"
	case "month":
		period = " this month"
	}
	return fmt.Sprintf("%s has spent %s of %s%s%s", whose, amount(p.Spent), amount(p.Limit), unit, period)
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
