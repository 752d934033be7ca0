package boards_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

// tries lets attempts at a task end so, each as soon as it may begin, and
// returns how many there were until a person has to do something.
func tries(t *testing.T, task boards.NewTask, outcome events.Outcome, usage events.Usage) int {
	t.Helper()
	b, err := boardstest.Create(events.DefaultPolicy(2))
	if err != nil {
		t.Fatal(err)
	}
	task.Title, task.Assignee = "x", "coder"
	b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{task}})
	for n := range 30 {
		run, err := b.Do(boardstest.TheDispatcher, boards.ClaimTask{Task: 1, Agent: "coder", Token: events.DigestOf([]byte{byte(n)})})
		if errors.Is(err, &boards.Rejection{Code: boards.CodeAgentHeld}) || errors.Is(err, &boards.Rejection{Code: boards.CodeWrongStatus}) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		b.Must(t, boardstest.TheDispatcher, boards.StartRun{Run: run[0].Run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
		b.Must(t, boardstest.TheDispatcher, boards.EndRun{Run: run[0].Run, Outcome: outcome, Usage: usage})
		b.Now = b.Now.Add(time.Hour) // longer than anything waits by itself
	}
	return 30
}

// TestPaid: no three attempts in a row are paid for that fail for the same
// cause, unless somebody said how often it is to be tried.
func TestPaid(t *testing.T) {
	paid := events.Usage{CostMicros: 9, TokensIn: 900, TokensOut: 3}
	without := map[events.Outcome]string{
		events.OutcomeRateLimited: "goes on from where it was when the provider says so",
		events.OutcomeOverBudget:  "is kept from a next attempt by the budget",
		events.OutcomeReleased:    "is our doing", events.OutcomeKilled: "is a person's doing", events.OutcomeLost: "is our failure, and has a limit of its own",
	}
	for _, o := range boards.Ends() {
		got := tries(t, boards.NewTask{}, o, paid)
		if why := without[o]; got > 2 && why == "" {
			t.Errorf("%v: got %d paid attempts, want 2 at most", o, got)
		}
	}
	for o, want := range map[events.Outcome]int{ // what costs nothing is tried as often as the policy says
		events.OutcomeCrashed: 3, events.OutcomeNoVerdict: 3, events.OutcomeTimedOut: 3, events.OutcomeSpawnFailed: 3, events.OutcomeOverloaded: 30,
		events.OutcomeAuthFailed: 1, events.OutcomeNoCredit: 1, events.OutcomeToolsMissing: 1, events.OutcomeInvalidRequest: 1,
	} {
		if got := tries(t, boards.NewTask{}, o, events.Usage{}); got != want {
			t.Errorf("%v: got %d attempts that cost nothing, want %d", o, got, want)
		}
	}
	if got := tries(t, boards.NewTask{MaxRetries: 5}, events.OutcomeCrashed, paid); got != 5 {
		t.Errorf("got %d attempts at a task with five retries", got)
	}
}

// TestInvalidRequest: a model that refuses the first thing it is asked holds
// the agent; one that refuses later, the task.
func TestInvalidRequest(t *testing.T) {
	for _, c := range []struct {
		usage events.Usage
		held  bool
	}{{events.Usage{}, true}, {events.Usage{TokensIn: 5}, false}} {
		b, err := boardstest.Create(events.DefaultPolicy(2))
		if err != nil {
			t.Fatal(err)
		}
		b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "x", Assignee: "coder"}}})
		run := b.Must(t, boardstest.TheDispatcher, boards.ClaimTask{Task: 1, Agent: "coder", Token: events.DigestOf([]byte("t"))})[0].Run
		records := b.Must(t, boardstest.TheDispatcher, boards.EndRun{Run: run, Outcome: events.OutcomeInvalidRequest, Usage: c.usage, Reason: "refused (400)"})
		ended, next := records[0].Data.(events.RunEnded), records[1].Data
		_, held := next.(events.AgentHeld)
		if held != c.held || ended.GaveUp == c.held || (ended.To == events.Blocked) == c.held {
			t.Errorf("%+v: got %+v, %+v", c.usage, ended, next)
		}
	}
}
