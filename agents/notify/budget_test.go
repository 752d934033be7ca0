package notify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// TestBudgets: who asked for a board, a tenant, an agent or a task hears once
// of the budgets that concern it, at four fifths and at the end, and nobody of
// another's money.
func TestBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		task := b.create(t, boards.NewTask{Title: "Prices", Tenant: "north", Assignee: "ann"})
		for chat, s := range map[string]boards.Subscribe{"board": {}, "north": {Tenant: "north"}, "south": {Tenant: "south"}, "ann": {Agent: "ann"}, "bob": {Agent: "bob"}, "task": {Task: task}} {
			s.To = events.Destination{Platform: "telegram", Chat: chat}
			b.must(t, s)
		}
		_, stop := run(t, b, notify.Options{Platforms: to(p)})
		claim := b.must(t, boards.ClaimTask{Task: task, Agent: "ann", Role: events.RoleWorker, Token: events.Digest{1}})
		b.must(t, boards.StartRun{Run: claim.Run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
		ann := boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: "ann"}, Run: claim.Run, Fence: claim.Fence, Role: events.RoleWorker}
		until := events.Time(0)
		if err := until.UnmarshalText([]byte("2026-11-23T00:00:00.000000Z")); err != nil {
			t.Fatal(err)
		}
		reached := func(budget string, percent uint32) events.BudgetReached {
			return events.BudgetReached{Budget: "budget." + budget, Percent: percent, Spent: int64(percent) * 250_000, Limit: 25_000_000, Currency: "USD", Until: until}
		}
		own := events.BudgetReached{Budget: "token_budget.run", Percent: 80, Spent: 820, Limit: 1000}
		ofAnn := reached("agent_day", 80)
		ofAnn.Agent = "ann"
		for i, c := range []boards.ReportBudget{
			{Run: claim.Run, Reached: own}, {Reached: reached("board_day", 80)}, {Reached: reached("board_day", 100)},
			{Tenant: "north", Reached: reached("tenant_month", 80)}, {Reached: ofAnn},
		} {
			by := boards.Principal{Actor: events.Actor{Kind: events.Dispatcher, Name: "dispatcher"}}
			if i == 0 {
				by = ann
			}
			for n := range byte(2) { // what is said again is refused
				if _, err := b.Do(t.Context(), by, events.CommandID{0xfd, byte(i), n}, c); (err != nil) != (n > 0) {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait()
		stop()
		_, stop = run(t, b, notify.Options{Platforms: to(p)}) // another life says nothing twice
		synctest.Wait()
		stop()
		var got []string
		for _, m := range p.all() {
			got = append(got, m.to.Chat+": "+m.notice.Headline())
		}
		slices.Sort(got)
		const run, all, low = "acme · attempt 1 of t1 has spent 820 of 1000 tokens", "acme · the board has spent $25.00 of $25.00 today", "acme · the board has spent $20.00 of $25.00 today"
		want := []string{
			"ann: " + run, "ann: acme · ann has spent $20.00 of $25.00 today",
			"board: " + run, "board: " + low, "board: " + all, "board: acme · ann has spent $20.00 of $25.00 today", "board: acme · tenant north has spent $20.00 of $25.00 this month",
			"north: " + run, "north: acme · tenant north has spent $20.00 of $25.00 this month", "task: " + run,
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, m := range p.all() {
			text, says := m.notice.Text(), ""
			switch n := m.notice; {
			case n.Task == task:
				says = "Prices\n\nWhen it is spent, the run is stopped.\nhermes board policy set token_budget.run 2000\n"
			case n.Kind == notify.BudgetSpent:
				says = "It is spent: nothing more is started on it until 2026-11-23 00:00 UTC.\nhermes board policy set budget.board_day 50\n"
			}
			if !strings.Contains(text, says) {
				t.Errorf("got\n%s\nwant in it\n%s", text, says)
			}
		}
	})
}

// TestBudgetsTogether: budgets among several messages are named, too.
func TestBudgetsTogether(t *testing.T) {
	n := notify.Notice{Name: "acme", Kind: notify.Several, Items: []notify.Item{{Kind: notify.BudgetLow, Title: "the board has spent $20.00 of $25.00 today"}}}
	if got, want := fmt.Sprint(n.Body()), "[the board has spent $20.00 of $25.00 today (budget low)]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
