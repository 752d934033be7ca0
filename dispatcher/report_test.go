package dispatcher

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

// TestReportsBudgets: what ended runs have spent of a shared budget is put on
// record once, and again only in another period or under another limit.
func TestReportsBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := events.DefaultPolicy(4)
		policy.Budget = events.Budget{BoardDay: 1000}
		board := newBoard(t, policy)
		reports := func() []string {
			var said []string
			list, _ := history[events.BudgetReached](board)
			for _, p := range list {
				said = append(said, fmt.Sprint(p.Budget, " ", p.Percent, " ", p.Spent, " ", p.Limit))
			}
			return said
		}
		spend := func(micros int64) {
			task := board.create(t, 1, nil)[0]
			run := board.must(t, me, boards.ClaimTask{Task: task, Agent: "coder", Role: events.RoleWorker, Token: events.DigestOf(fmt.Append(nil, task))}).Run
			board.must(t, me, boards.StartRun{Run: run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
			board.must(t, me, boards.EndRun{Run: run, Outcome: events.OutcomeOverBudget, Usage: events.Usage{CostMicros: micros, Currency: "USD"}})
			board.must(t, boardstest.Kai, boards.CompleteTask{Task: task})
		}
		check := func(when string, want ...string) {
			t.Helper()
			for range 2 { // and another life says nothing again
				x := begin(t, board, &starter{script: completes(time.Second)}, Options{})
				synctest.Wait()
				x.halt()
				if got := reports(); !slices.Equal(got, want) || x.warned() > 0 {
					t.Errorf("%s: got %q, %v; want %q", when, got, x.warns, want)
				}
			}
		}
		spend(790)
		check("little")
		spend(20)
		check("four fifths", "budget.board_day 80 810 1000")
		spend(300)
		check("all", "budget.board_day 80 810 1000", "budget.board_day 100 1110 1000")
		policy.Budget.BoardDay = 1200
		board.must(t, boardstest.Kai, boards.SetPolicy{Policy: policy})
		check("raised", "budget.board_day 80 810 1000", "budget.board_day 100 1110 1000", "budget.board_day 80 1110 1200")
		time.Sleep(24 * time.Hour)
		spend(1200)
		check("next day", "budget.board_day 80 810 1000", "budget.board_day 100 1110 1000", "budget.board_day 80 1110 1200", "budget.board_day 100 1200 1200")
	})
}
