package dispatcher

import (
	"context"
	"maps"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// report names a share of a budget in one period. The limit is part of it: what
// is raised is reported again.
type report struct {
	budget  string
	who     projections.Spender
	percent uint32
	limit   int64
	until   events.Time
}

// reportBudgets puts on record which shared budgets are spent to four fifths, or
// wholly. Those of runs and tasks are reported by the runs.
func (d *Dispatcher) reportBudgets(ctx context.Context, now time.Time) error {
	at := d.wall(now)
	maps.DeleteFunc(d.said, func(r report, _ bool) bool { return r.until <= at })
	var due []boards.ReportBudget
	d.o.Board.View(func(v *projections.View) { due = Reached(v, at) })
	for _, c := range due {
		p := &c.Reached
		r := report{p.Budget, projections.Spender{Agent: p.Agent, Tenant: c.Tenant}, p.Percent, p.Limit, p.Until}
		if d.said[r] {
			continue
		}
		_, refused, err := d.do(ctx, c)
		if err != nil {
			return err
		}
		if refused != nil && refused.Code != boards.CodeAlready {
			d.warn(refused)
		}
		d.said[r] = true
	}
	return nil
}

// Reached returns what is to be reported of the budgets that runs share.
func Reached(v *projections.View, now events.Time) (due []boards.ReportBudget) {
	p := newPass(v, &Facts{}, now)
	p.summed = true // only what is spent counts
	purses := p.boardPurses(nil)
	seen := map[projections.Spender]bool{}
	for _, period := range []projections.Period{projections.Today, projections.ThisMonth} {
		for _, who := range v.Spenders(period, now) {
			if seen[who] {
				continue
			}
			seen[who] = true
			if who.Agent != "" {
				purses = p.agentPurses(purses, who.Agent)
			}
			purses = p.tenantPurses(purses, who.Tenant)
		}
	}
	for i := range purses {
		b := purses[i].bare()
		if b.Share(0) > 0 {
			due = append(due, boards.ReportBudget{Tenant: b.Tenant, Reached: b.Reached(0, p.policy.Currency)})
		}
	}
	return due
}
