package supervise

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents/endpoint"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// budgetsOf is what a run may spend: of each budget that bounds it, what was
// left for it when it was claimed.
func budgetsOf(purses []boards.Purse) []endpoint.Budget {
	all := make([]endpoint.Budget, len(purses))
	for i := range purses {
		p := &purses[i]
		left := p.Left
		if left <= 0 {
			left = endpoint.Nothing
		}
		if all[i].What = p.What; p.InTokens() {
			all[i].Tokens = left
		} else {
			all[i].CostMicros = left
		}
	}
	return all
}

// spendEvery is how often a run's spending is looked at.
const spendEvery = time.Second

// spend tells when a budget of the run is used up and it does not end by
// itself: a model's last answer may hold its verdict, and there is no further
// one. At four fifths of a budget the agent gets a notice, and so do people. It
// returns when ctx ends.
func (r *run) spend(ctx context.Context, over chan<- end) {
	if len(r.budgets) == 0 {
		return
	}
	look := time.NewTicker(spendEvery)
	defer look.Stop()
	grace := time.Duration(r.spec.Assignment.Policy.StopGraceMS) * time.Millisecond
	var since time.Time // when a budget was found spent
	for warned := false; ; {
		share, words := r.fullest()
		switch {
		case share >= 100 && since.IsZero():
			since = time.Now()
		case share >= 100 && time.Since(since) >= grace:
			over <- end{outcome: events.OutcomeOverBudget, reason: "it has cost " + words}
			return
		case share >= 80 && share < 100 && !warned:
			warned = true
			r.server.Tell(worker.Notice{What: "budget", Text: words + " is spent; at its end this run is stopped"})
		}
		r.reportBudgets(ctx, r.meter.Spent(), true)
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// fullest is how much is spent, in parts of a hundred, of the budget of which
// most is, and that in words.
func (r *run) fullest() (share int64, words string) {
	u := r.meter.Spent()
	look := func(spent, most int64, what string, say func(int64) string) {
		if most == 0 {
			return
		}
		of := int64(100)
		if spent < most {
			of = spent / (most/100 + 1)
			if most < 1<<50 {
				of = spent * 100 / most
			}
		}
		if of > share || words == "" {
			share, words = of, fmt.Sprintf("%s of %s for %s", say(spent), say(max(most, 0)), what)
		}
	}
	for _, b := range r.budgets {
		look(u.CostMicros, b.CostMicros, b.What, func(n int64) string { return projections.Money(n, r.spec.Assignment.Policy.Currency) })
		look(u.TokensIn+u.TokensOut, b.Tokens, b.What, func(n int64) string { return fmt.Sprintf("%d tokens", n) })
	}
	return share, words
}

// reportBudgets puts on record of which budgets four fifths are spent, or all,
// each once. That a run has spent all of its own, or of its task's, is said by
// its end, unless it ends for another reason.
func (r *run) reportBudgets(ctx context.Context, spent events.Usage, goesOn bool) {
	a := &r.spec.Assignment
	if r.reported == nil {
		r.reported = map[string]uint32{}
	}
	for i := range a.Purses {
		p := &a.Purses[i]
		if p.Until != 0 && p.Until <= events.TimeOf(time.Now()) {
			continue // what the run spends now is of the next period
		}
		of := spent.CostMicros
		if p.InTokens() {
			of = spent.TokensIn + spent.TokensOut
		}
		reached := p.Reached(of, a.Policy.Currency)
		own := strings.HasSuffix(p.Budget, "budget.run") || goesOn && strings.HasSuffix(p.Budget, "budget.task")
		if reached.Percent <= r.reported[p.Budget] || own && reached.Percent == 100 {
			continue
		}
		_, err := r.deps.Door.Do(ctx, newID(), boards.ReportBudget{Run: a.Run, Tenant: p.Tenant, Reached: reached})
		if err != nil && !final(err) {
			r.deps.Warn(fmt.Errorf("report %s: %w", p.Budget, err))
			continue
		}
		r.reported[p.Budget] = reached.Percent
	}
}
