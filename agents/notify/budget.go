package notify

import (
	"fmt"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// ofBudget says how much of a budget is spent, what follows, and how to raise it.
func (n *Notice) ofBudget(r *events.Record, p events.BudgetReached) {
	n.Budget = projections.SayBudget(r, p)
	whole, limit := "When it is spent, ", 2*p.Limit
	if p.Percent >= 100 {
		whole = "It is spent: "
	}
	if p.Currency != "" {
		limit = (limit + 999_999) / 1_000_000
	}
	switch {
	case p.Until != 0:
		n.Line = whole + "nothing more is started on it until " + p.Until.Time().Format("2006-01-02 15:04") + " UTC."
	case p.Percent >= 100:
		n.Line = whole + "nothing more is started on it."
	default:
		n.Line = whole + "the run is stopped."
	}
	n.Next = fmt.Sprintf("hermes board policy set %s %d", p.Budget, limit)
}
