//go:build linux

package supervise

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// meter is one whose readings the test sets.
type meter struct {
	cost    atomic.Int64
	failure Failure
}

func (m *meter) Spent() events.Usage {
	return events.Usage{Model: "opus", TokensIn: 1200, TokensOut: 34, TokensCache: 5, CostMicros: m.cost.Load(), Currency: "EUR", Source: "endpoint"}
}

func (m *meter) Egress() []events.Egress {
	return []events.Egress{{Host: "api.example.org", Requests: 3, BytesOut: 900, BytesIn: 9000, Refused: 1}}
}

func (m *meter) Failure() Failure { return m.failure }

func TestMetered(t *testing.T) {
	for name, c := range map[string]struct {
		script []string
		failed Failure
		want   events.Outcome
		retry  int64
	}{
		"nothing known":     {[]string{"look"}, Failure{}, events.OutcomeNoVerdict, 0},
		"no credit":         {[]string{"exit", "1"}, Failure{Outcome: events.OutcomeNoCredit, Reason: "the account is empty"}, events.OutcomeNoCredit, 0},
		"rate limited":      {[]string{"exit", "1"}, Failure{Outcome: events.OutcomeRateLimited, Retry: 90 * time.Second}, events.OutcomeRateLimited, 90_000},
		"better than 75":    {[]string{"exit", "75"}, Failure{Outcome: events.OutcomeAuthFailed}, events.OutcomeAuthFailed, 0},
		"75 alone":          {[]string{"exit", "75"}, Failure{}, events.OutcomeRateLimited, 0},
		"without its tools": {[]string{"look"}, Failure{Outcome: events.OutcomeToolsMissing}, events.OutcomeToolsMissing, 0},
		"never spoke":       {[]string{"silent"}, Failure{}, events.OutcomeToolsMissing, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := prepare(t, c.script[0], c.script[1:]...)
			m := &meter{failure: c.failed}
			m.cost.Store(70_000)
			tr.deps.Meter = m
			got := tr.run(t)
			if got.Outcome != c.want || got.RetryAfter != c.retry || c.failed.Reason != "" && got.Reason != c.failed.Reason {
				t.Errorf("got %v (%s), again after %d ms; want %v, %d", got.Outcome, got.Reason, got.RetryAfter, c.want, c.retry)
			}
			if !reflect.DeepEqual(got.Usage, m.Spent()) || !reflect.DeepEqual(got.Egress, m.Egress()) {
				t.Errorf("got usage %+v, egress %+v", got.Usage, got.Egress)
			}
			if got.Evidence == "" && got.Reason != "" {
				t.Error("the next attempt is told nothing")
			}
		})
	}
}

// TestOverBudget: a run that has spent what it may is stopped; shortly before
// it is told so, and so are people.
func TestOverBudget(t *testing.T) {
	for name, c := range map[string]struct {
		purses []boards.Purse
		words  string
		told   []string
	}{
		"of the run": {[]boards.Purse{
			{Budget: "budget.run", What: "a run", Left: 2_000_000, Limit: 2_000_000},
			{Budget: "budget.task", What: "what is left for the task", Left: 50_000_000, Limit: 50_000_000},
		}, "$2.10 of $2.00 for a run", []string{"budget.run 80 1700000"}},
		"of the task": {[]boards.Purse{
			{Budget: "budget.run", What: "a run", Left: 9_000_000, Limit: 9_000_000},
			{Budget: "budget.task", What: "what is left for the task", Left: 2_000_000, Spent: 3_000_000, Limit: 5_000_000},
		}, "$2.10 of $2.00 for what is left for the task", []string{"budget.task 80 4700000"}},
		"of the board": {[]boards.Purse{
			{Budget: "budget.run", What: "a run", Left: 2_000_000, Limit: 9_000_000},
			{Budget: "budget.board_day", What: "what is left for the board today", Left: 2_000_000, Spent: 23_000_000, Limit: 25_000_000},
		}, "$2.10 of $2.00 for a run", []string{"budget.board_day 80 24700000", "budget.board_day 100 25100000"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr := prepare(t, "spend")
			tr.spec.Assignment.Purses = c.purses
			m := &meter{}
			m.cost.Store(1_700_000)
			tr.deps.Meter = m
			ended := tr.begin(t.Context())
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			warned := func(all []boards.Command) bool {
				for _, c := range all {
					if h, ok := c.(boards.Heartbeat); ok && strings.HasPrefix(h.Note, "budget $1.70 of $2.00") {
						return true
					}
				}
				return false
			}
			if err := tr.door.Await(ctx, warned); err != nil {
				t.Fatalf("the agent was not told: %v", err)
			}
			m.cost.Store(2_100_000)
			got := tr.end(t, ended)
			if got.Outcome != events.OutcomeOverBudget || got.Reason != "it has cost "+c.words || got.Usage.CostMicros != 2_100_000 {
				t.Errorf("got %v (%s) at %d", got.Outcome, got.Reason, got.Usage.CostMicros)
			}
			var told []string
			for _, r := range agentstest.Find[boards.ReportBudget](tr.door) {
				told = append(told, fmt.Sprint(r.Reached.Budget, " ", r.Reached.Percent, " ", r.Reached.Spent))
			}
			if !slices.Equal(told, c.told) {
				t.Errorf("got people told %q, want %q", told, c.told)
			}
		})
	}
}

// TestBooked: what a supervisor reports holds the agent, or the task, on the
// board.
func TestBooked(t *testing.T) {
	for outcome, held := range map[events.Outcome]bool{
		events.OutcomeAuthFailed: true, events.OutcomeNoCredit: true, events.OutcomeOverloaded: true, events.OutcomeToolsMissing: true,
		events.OutcomeRateLimited: false, events.OutcomeOverBudget: false,
	} {
		b, err := boardstest.Create(events.DefaultPolicy(2))
		if err != nil {
			t.Fatal(err)
		}
		do := func(by boards.Principal, c boards.Command) boards.Result {
			t.Helper()
			records, err := b.Do(by, c)
			if err != nil {
				t.Fatalf("%s: %v", c.CommandName(), err)
			}
			return boards.ResultOf(records)
		}
		task := do(boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "x", Assignee: "coder"}}}).Tasks[0]
		dispatcher := boards.Principal{Actor: events.Actor{Kind: events.Dispatcher, Name: "d"}}
		run := do(dispatcher, boards.ClaimTask{Task: task, Agent: "coder", Role: events.RoleWorker, Token: events.DigestOf([]byte("t"))}).Run
		do(dispatcher, boards.StartRun{Run: run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
		m := &meter{}
		do(dispatcher, boards.EndRun{Run: run, Outcome: outcome, RetryAfter: 60_000, Usage: m.Spent(), Egress: m.Egress(), Reason: "it said so"})
		v := projections.NewView()
		for i := range b.Records {
			v.Apply(&b.Records[i])
		}
		h, isHeld := v.Held("coder", b.Now)
		card := v.Task(task)
		switch {
		case isHeld != held || held && (h.Cause != outcome || h.Until != b.Now.Add(time.Minute)):
			t.Errorf("%v: the agent's hold is %v %+v, want one: %v", outcome, isHeld, h, held)
		case outcome == events.OutcomeRateLimited && card.RetryAt != b.Now.Add(time.Minute):
			t.Errorf("%v: tried again at %v, want in a minute", outcome, card.RetryAt)
		case card.Status != events.Ready || card.Attempts != 1:
			t.Errorf("%v: got %v after %d attempts", outcome, card.Status, card.Attempts)
		}
	}
}
