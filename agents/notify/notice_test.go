package notify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// attempt runs a task once, to an end without a verdict.
func (b *board) attempt(t *testing.T, task events.TaskID, o events.Outcome) {
	t.Helper()
	run := b.must(t, boards.ClaimTask{Task: task, Agent: "ann", Role: events.RoleWorker, Token: events.Digest{byte(task), b.head()}}).Run
	b.must(t, boards.StartRun{Run: run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
	b.must(t, boards.EndRun{Run: run, Outcome: o, RanMS: 10, Evidence: "first\nsegmentation fault", Usage: events.Usage{CostMicros: 640_000, Currency: "USD"}})
}

// reviewed has a run hand a task over to a person.
func (b *board) reviewed(t *testing.T, task events.TaskID, summary string) {
	t.Helper()
	claim := b.must(t, boards.ClaimTask{Task: task, Agent: "ann", Role: events.RoleWorker, Token: events.Digest{byte(task), b.head()}})
	b.must(t, boards.StartRun{Run: claim.Run, Started: events.RunStarted{Boot: "b", PID: 7, StartTime: 1}})
	ann := boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: "ann"}, Run: claim.Run, Fence: claim.Fence, Role: events.RoleWorker}
	if _, err := b.Do(t.Context(), ann, events.CommandID{0xfe, b.head()}, boards.RequestReview{Task: task, Summary: summary}); err != nil {
		t.Fatal(err)
	}
	b.must(t, boards.EndRun{Run: claim.Run, Outcome: events.OutcomeReviewRequested})
}

// TestEveryKind: what is told of all that can happen, in words, and what is not.
func TestEveryKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		_, stop := run(t, b, notify.Options{Platforms: to(p)})
		defer stop()
		id := func() events.TaskID {
			return b.create(t, boards.NewTask{Title: "Prices", Assignee: "ann", MaxRetries: 3})
		}
		crashed, timed, killed, lost, over, review, stopped := id(), id(), id(), id(), id(), id(), id()
		b.attempt(t, crashed, events.OutcomeCrashed)
		b.attempt(t, timed, events.OutcomeTimedOut)
		b.attempt(t, killed, events.OutcomeKilled)
		b.attempt(t, lost, events.OutcomeLost)
		b.attempt(t, over, events.OutcomeOverBudget)
		for range 2 {
			time.Sleep(5 * time.Minute)
			b.attempt(t, crashed, events.OutcomeCrashed)
		}
		b.reviewed(t, review, "20 shops\nmore")
		synctest.Wait()
		b.must(t, boards.RequestChanges{Task: review, Reason: "EUR, please"})
		b.reviewed(t, review, "in EUR")
		b.must(t, boards.ApproveTask{Task: review})
		synctest.Wait()
		b.must(t, boards.BlockTask{Task: stopped, Reason: "wait"})
		b.must(t, boards.CompleteTask{Task: stopped, Verdict: events.Cancelled})
		b.must(t, boards.CompleteTask{Task: over, Verdict: events.Fail, Summary: "no source"})
		b.must(t, boards.PauseBoard{})
		b.must(t, boards.HoldAgent{Agent: "ann", Cause: events.OutcomeAuthFailed, Reason: "401"})
		synctest.Wait()
		var got []string
		for _, m := range p.all() {
			n := m.notice
			got = append(got, fmt.Sprintf("%s | %s | %t", n.Headline(), n.Line, n.NeedsYou))
		}
		want := []string{
			"acme · t1 crashed and is tried again | segmentation fault | false",
			"acme · t2 ran out of time and is tried again | segmentation fault | false",
			"acme · t5 has spent its budget | segmentation fault | false",
			"acme · t1 crashed and is tried again | segmentation fault | false",
			"acme · t1 gave up and needs you | segmentation fault | true",
			"acme · t6 is up for review and needs you | 20 shops | true",
			"acme · t6 goes back for changes | EUR, please | false",
			"acme · t6 is up for review, and was settled since | in EUR | false",
			"acme · t6 was approved |  | false",
			"acme · t7 was blocked, and was settled since | wait | false",
			"acme · t5 failed | no source | false",
			"acme · ann is held and starts nothing | 401 | true",
		}
		// The notifier is not the last to look: what was settled at once may be told before or after.
		for i := range got {
			got[i] = strings.Replace(got[i], "needs you | wait | true", "was blocked, and was settled since | wait | false", 1)
			got[i] = strings.Replace(got[i], "is up for review and needs you | in EUR | true", "is up for review, and was settled since | in EUR | false", 1)
			got[i] = strings.Replace(got[i], "t5 failed and needs you", "t5 failed", 1)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, m := range p.all() {
			if m.notice.Task == crashed && m.notice.Kind == notify.GaveUp && !strings.Contains(m.notice.Text(), "$1.92 so far.") {
				t.Errorf("got\n%s", m.notice.Text())
			}
		}
	})
}

// TestLongWords: a notice quotes what somebody wrote in bounds.
func TestLongWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		id := b.create(t, boards.NewTask{Title: strings.Repeat("ü", 200)})
		b.must(t, boards.BlockTask{Task: id, Reason: "\u202e\u200b" + strings.Repeat("€", 5000), Options: []string{"a\u202eb"}})
		_, stop := run(t, b, notify.Options{Platforms: to(p)})
		synctest.Wait()
		stop()
		n := p.all()[0].notice
		if s := n.Text(); len(s) > 2*notify.MaxLine+300 || strings.ContainsAny(s, "\u202e\u200b\ufffd") || n.Options[0] != "ab" {
			t.Errorf("got %d bytes, %q", len(s), n.Options)
		}
	})
}
