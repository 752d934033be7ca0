package notify_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// told lists what a platform took, as "t1 completed".
func told(list []taken) (words []string) {
	for _, m := range list {
		words = append(words, fmt.Sprintf("%s %s", m.notice.Task, m.notice.Kind))
	}
	return words
}

func TestTellsWhatMattersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		first := b.create(t, boards.NewTask{Title: "Collect\u200b prices", Assignee: "kai"})
		b.create(t, boards.NewTask{Title: "Report", Parents: []boards.Parent{{Task: first}}})
		n, stop := run(t, b, notify.Options{Platforms: to(p)})
		b.must(t, boards.CommentTask{Task: first, Body: "noise"})
		b.must(t, boards.BlockTask{Task: first, Kind: events.BlockNeedsInput, Reason: "EUR or local?\nmore", Options: []string{"EUR", "local"}})
		synctest.Wait()
		got := p.all()
		if len(got) != 1 {
			t.Fatalf("got %v, want one message", told(got))
		}
		want := "acme · t1 needs you\nCollect prices\n\nEUR or local?\n\nHolds up t2.\nhermes kanban unblock t1 \"\"\n\nacme 5"
		if text := got[0].notice.Text(); !strings.HasPrefix(text, want[:40]) || !strings.Contains(text, "Holds up t2.") || strings.Contains(text, "\u200b") || strings.Contains(text, "more") {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
		if m := got[0].notice; !slices.Equal(m.Options, []string{"EUR", "local"}) || m.Token == "" || !m.NeedsYou || m.Event == nil {
			t.Errorf("got %+v", m)
		}
		a, _ := b.FindSent(t.Context(), api.SentQuery{Token: got[0].notice.Token})
		if sent := a.Sent; !a.Found || sent.Message != got[0].name || sent.Of != got[0].notice.Seq || sent.Task != first {
			t.Errorf("got %+v on record", a)
		}
		b.must(t, boards.UnblockTask{Task: first, Choice: 1})
		b.must(t, boards.CompleteTask{Task: first, Summary: "20 shops"})
		synctest.Wait()
		stop()
		_, stop = run(t, b, notify.Options{Platforms: to(p)}) // another life says nothing twice
		synctest.Wait()
		stop()
		if got := told(p.all()); !slices.Equal(got, []string{"t1 blocked", "t1 completed"}) {
			t.Errorf("got %v", got)
		}
		if c := n.Counts(); c != (notify.Counts{Sent: 2}) {
			t.Errorf("got %+v", c)
		}
	})
}

// TestSubscriptions: a destination is told what it asked for, and nothing from
// before it asked.
func TestSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		_, stop := run(t, b, notify.Options{Platforms: to(p)})
		a := b.create(t, boards.NewTask{Title: "a", Tenant: "x", Assignee: "ann"})
		c := b.create(t, boards.NewTask{Title: "c", Tenant: "y", Assignee: "bob"})
		d := b.create(t, boards.NewTask{Title: "d", Assignee: "ann"})
		b.must(t, boards.BlockTask{Task: a, Reason: "before"})
		third := events.Destination{Platform: "telegram", Chat: "3"}
		b.must(t, boards.Subscribe{Task: c, To: chat1})
		b.must(t, boards.Subscribe{Tenant: "x", To: chat2})
		b.must(t, boards.Subscribe{Agent: "ann", To: third})
		b.must(t, boards.Subscribe{To: events.Destination{Platform: "nowhere", Chat: "1"}})
		b.must(t, boards.UnblockTask{Task: a})
		for _, id := range []events.TaskID{a, c, d} {
			b.must(t, boards.CompleteTask{Task: id})
		}
		b.must(t, boards.HoldAgent{Agent: "ann", Cause: events.OutcomeAuthFailed})
		synctest.Wait()
		by := map[string][]string{}
		for _, m := range p.all() {
			by[m.to.Chat] = append(by[m.to.Chat], fmt.Sprintf("%s %s", m.notice.Task, m.notice.Kind))
		}
		want := map[string][]string{"1": {"t2 completed"}, "2": {"t1 completed"}, "3": {"t1 completed", "t3 completed", " agent_held"}}
		if fmt.Sprint(by) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", by, want)
		}
		b.must(t, boards.Unsubscribe{Task: c, To: chat1})
		b.must(t, boards.ReopenTask{Task: c})
		b.must(t, boards.CompleteTask{Task: c})
		synctest.Wait()
		stop()
		if n := len(p.all()); n != 5 {
			t.Errorf("got %d messages after an unsubscription, want 5", n)
		}
	})
}

func TestTroubleAndDeadLetters(t *testing.T) {
	refuse := func(err error) func(*notify.Notice) (bool, error) {
		return func(*notify.Notice) (bool, error) { return false, err }
	}
	network := &net.OpError{Op: "dial", Err: errors.New("unreachable")}
	tests := []struct {
		name  string
		fail  func(*notify.Notice) (bool, error)
		tries uint32
		least time.Duration
		most  time.Duration
	}{
		{"permanent", refuse(&notify.PermanentError{Err: errors.New("chat not found")}), 1, 0, time.Second},
		{"refused", refuse(errors.New("bad request")), notify.Tries, 15 * time.Minute, time.Hour},
		{"network", refuse(network), 0, notify.Patience, notify.Patience + 10*time.Minute},
		{"rate limit", refuse(&notify.RetryAfterError{After: 20 * time.Minute, Err: errors.New("429")}), 0, notify.Patience, notify.Patience + time.Hour},
		{"lost", func(*notify.Notice) (bool, error) { return true, &notify.LostError{Err: network} }, notify.LostTries, 0, time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, p := newBoard(t, "acme"), &platform{}
				b.must(t, boards.Subscribe{To: chat1})
				p.fail(test.fail)
				n, stop := run(t, b, notify.Options{Platforms: to(p)})
				defer stop()
				a := b.create(t, boards.NewTask{Title: "a"})
				c := b.create(t, boards.NewTask{Title: "c"})
				b.must(t, boards.CompleteTask{Task: a})
				start := time.Now()
				for len(b.dead()) == 0 {
					if time.Since(start) > 24*time.Hour {
						t.Fatal("no dead letter in a day")
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
				dead := b.dead()[0]
				if took := time.Since(start); took < test.least || took > test.most {
					t.Errorf("given up after %v, want %v to %v", took, test.least, test.most)
				}
				if test.tries != 0 && dead.Tries != test.tries || dead.Task != a || dead.To != chat1 {
					t.Errorf("got %+v, want %d tries", dead, test.tries)
				}
				p.fail(nil)
				before := len(p.all())
				b.must(t, boards.CompleteTask{Task: c}) // the next has its turn
				b.must(t, boards.RetryDead{Of: dead.Of, Task: a, To: chat1})
				synctest.Wait()
				got := p.all()[before:]
				if w := told(got); !slices.Equal(w, []string{"t2 completed", "t1 completed"}) || got[1].notice.Seq != dead.Of {
					t.Errorf("got %v", w)
				}
				if c := n.Counts(); c.Dead != 1 || c.Sent != 2 || len(b.dead()) != 0 {
					t.Errorf("got %+v, dead %v", c, b.dead())
				}
			})
		})
	}
}

// TestLostAnswer: the repetition shows the same position and carries the same token.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		once := true
		p.fail(func(*notify.Notice) (bool, error) {
			if once {
				once = false
				return true, &notify.LostError{Err: errors.New("reset")}
			}
			return true, nil
		})
		n, stop := run(t, b, notify.Options{Platforms: to(p)})
		defer stop()
		b.must(t, boards.CompleteTask{Task: b.create(t, boards.NewTask{Title: "a"})})
		time.Sleep(time.Minute)
		synctest.Wait()
		got := p.all()
		if len(got) != 2 || got[0].notice.Seq != got[1].notice.Seq || got[0].notice.Token != got[1].notice.Token || got[0].notice.Again || !got[1].notice.Again {
			t.Errorf("got %+v", got)
		}
		if c := n.Counts(); c != (notify.Counts{Sent: 1, Lost: 1}) {
			t.Errorf("got %+v", c)
		}
	})
}

func TestDowntime(t *testing.T) {
	for _, pending := range []int{notify.Pending, notify.Pending + 5, 215} {
		t.Run(fmt.Sprint(pending), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, p := newBoard(t, "acme"), &platform{}
				b.must(t, boards.Subscribe{To: chat1})
				for range pending {
					b.must(t, boards.CompleteTask{Task: b.create(t, boards.NewTask{Title: "a"})})
				}
				time.Sleep(notify.Late + time.Second)
				young := b.create(t, boards.NewTask{Title: "young"})
				b.must(t, boards.BlockTask{Task: young})
				_, stop := run(t, b, notify.Options{Platforms: to(p)})
				synctest.Wait()
				stop()
				got := p.all()
				want := 1 + (pending+199)/200
				if pending <= notify.Pending {
					want = 1 + pending
				}
				if len(got) != want {
					t.Fatalf("got %d messages for %d events, want %d", len(got), pending, want)
				}
				items := 0
				for _, m := range got {
					items += max(1, len(m.notice.Items))
					if m.notice.Kind == notify.Several && (m.notice.Seq != m.notice.Items[len(m.notice.Items)-1].Seq || strings.Contains(m.notice.Text(), " more: ") != (len(m.notice.Items) > 20)) {
						t.Errorf("got %d\n%s", m.notice.Seq, m.notice.Text())
					}
				}
				sent := 0
				for _, e := range b.entries {
					if r, _ := events.Decode(e.Record); r.Data.Type() == "notify.sent" {
						sent++
					}
				}
				if items != pending+1 || sent != pending+1 {
					t.Errorf("got %d told, %d on record, want %d", items, sent, pending+1)
				}
			})
		})
	}
}

func TestQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		b, p, hook := newBoard(t, "acme"), &platform{}, &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		b.must(t, boards.Subscribe{To: events.Destination{Platform: "webhook", Chat: "x"}})
		quiet, err := notify.ParseHours("22:00-07:30")
		if err != nil {
			t.Fatal(err)
		}
		platforms := to(p)
		platforms["webhook"] = notify.Platform{Sender: hook, Each: true}
		_, stop := run(t, b, notify.Options{Platforms: platforms, Quiet: quiet, Zone: time.UTC})
		defer stop()
		a := b.create(t, boards.NewTask{Title: "a"})
		b.must(t, boards.BlockTask{Task: a, Reason: "which?"})
		b.must(t, boards.CompleteTask{Task: b.create(t, boards.NewTask{Title: "c"})})
		time.Sleep(time.Hour)
		b.must(t, boards.UnblockTask{Task: a, Answer: "both"})
		synctest.Wait()
		if len(p.all()) != 0 || len(hook.all()) != 2 {
			t.Fatalf("got %v by night, %v for the program", told(p.all()), told(hook.all()))
		}
		time.Sleep(7 * time.Hour)
		synctest.Wait()
		got := p.all()
		if len(got) != 1 || got[0].notice.Kind != notify.Several || len(got[0].notice.Items) != 2 || !got[0].notice.Items[0].Over ||
			got[0].at.Format("15:04") != "07:30" {
			t.Fatalf("got %+v", got)
		}
		b.must(t, boards.CompleteTask{Task: a})
		synctest.Wait()
		if w := told(p.all()); len(w) != 2 || w[1] != "t1 completed" {
			t.Errorf("got %v by day", w)
		}
	})
}

func TestOneReminder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		opts := notify.Options{Platforms: to(p), Reminder: 7 * time.Hour}
		_, stop := run(t, b, opts)
		a, c := b.create(t, boards.NewTask{Title: "a"}), b.create(t, boards.NewTask{Title: "c"})
		b.must(t, boards.BlockTask{Task: a, Reason: "which?"})
		b.must(t, boards.BlockTask{Task: c, Reason: "what?"})
		time.Sleep(3 * time.Hour)
		stop()
		_, stop = run(t, b, opts)
		b.must(t, boards.UnblockTask{Task: c, Answer: "that"})
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if n := len(p.all()); n != 2 {
			t.Fatalf("got %d messages after 6 h, want 2", n)
		}
		time.Sleep(2 * time.Hour)
		stop()
		_, stop = run(t, b, opts)
		time.Sleep(48 * time.Hour)
		stop()
		got := p.all()
		if len(got) != 3 || !got[2].notice.Remind || got[2].notice.Task != a || got[2].notice.Token == got[0].notice.Token || !strings.Contains(got[2].notice.Headline(), "still needs you") {
			t.Errorf("got %v: %+v", told(got), got[len(got)-1])
		}
	})
}

func TestHours(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, test := range []struct{ hours, now, end string }{
		{"22:00-07:30", "2026-03-01 21:59", "2026-03-01 21:59"},
		{"22:00-07:30", "2026-03-01 22:00", "2026-03-02 07:30"},
		{"22:00-07:30", "2026-03-02 00:10", "2026-03-02 07:30"},
		{"22:00-07:30", "2026-03-02 07:30", "2026-03-02 07:30"},
		{"12:00-13:00", "2026-03-02 12:30", "2026-03-02 13:00"},
		{"12:00-13:00", "2026-03-02 13:30", "2026-03-02 13:30"},
		{"", "2026-03-02 00:00", "2026-03-02 00:00"},
	} {
		h, err := notify.ParseHours(test.hours)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.End(at(test.now)); !got.Equal(at(test.end)) {
			t.Errorf("%s at %s: got %v, want %s", test.hours, test.now, got, test.end)
		}
	}
	for _, bad := range []string{"22:00", "22-7", "25:00-07:00", "07:00-07:00", "07:00-08:0", "7:00-08:00"} {
		if _, err := notify.ParseHours(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestTenantsApart: whoever is told about a tenant learns nothing of another,
// also not of a task that went over.
func TestTenantsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{Tenant: "x", To: chat1})
		const canary = "canary4711"
		other := b.create(t, boards.NewTask{Title: canary, Body: canary, Tenant: "y", Assignee: canary})
		mine := b.create(t, boards.NewTask{Title: "mine", Tenant: "x", Parents: []boards.Parent{{Task: other, Needs: events.NeedsAny}}})
		b.create(t, boards.NewTask{Title: canary, Tenant: "y", Assignee: canary, Parents: []boards.Parent{{Task: mine}}})
		b.must(t, boards.BlockTask{Task: other, Reason: canary, Options: []string{canary}})
		b.must(t, boards.UnblockTask{Task: other, Answer: canary})
		b.must(t, boards.CompleteTask{Task: other, Summary: canary, Result: canary})
		b.must(t, boards.ReopenTask{Task: other, Reason: canary})
		b.must(t, boards.HoldAgent{Agent: canary, Cause: events.OutcomeAuthFailed, Reason: canary})
		b.must(t, boards.SetTenant{Task: other, Tenant: "x"}) // what happened before stays the other's
		b.must(t, boards.EditTask{Task: other, Title: new("harmless")})
		b.must(t, boards.BlockTask{Task: mine, Reason: "which?"})
		b.must(t, boards.CompleteTask{Task: other, Summary: "over"})
		_, stop := run(t, b, notify.Options{Platforms: to(p)})
		synctest.Wait()
		stop()
		got := p.all()
		if w := told(got); !slices.Equal(w, []string{"t2 blocked", "t1 completed"}) {
			t.Errorf("got %v", w)
		}
		for _, m := range got {
			if s := m.notice.Text() + string(m.notice.Event); strings.Contains(s, canary) {
				t.Errorf("got\n%s", s)
			}
		}
	})
}

// frozen is a board that carries nothing out for a while.
type frozen struct {
	*board
	until time.Time
}

func (f *frozen) Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	if time.Now().Before(f.until) {
		return boards.Result{}, &api.Error{Code: api.CodeFrozen, Message: "frozen"}
	}
	return f.board.Do(ctx, by, id, c)
}

// TestFrozenBoard: what a platform took is not sent again because it could not
// be put on record at once.
func TestFrozenBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		_, stop := run(t, &frozen{b, time.Now().Add(20 * time.Minute)}, notify.Options{Platforms: to(p)})
		b.must(t, boards.CompleteTask{Task: b.create(t, boards.NewTask{Title: "a"})})
		time.Sleep(time.Hour)
		synctest.Wait()
		stop()
		a, _ := b.FindSent(t.Context(), api.SentQuery{Task: 1})
		if n := len(p.all()); n != 1 || !a.Found {
			t.Errorf("got %d messages, on record %v, want one", n, a.Found)
		}
	})
}

// TestFromTheSubscriptionOn: a second subscription of a destination does not
// reach back to the first.
func TestFromTheSubscriptionOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		a, c := b.create(t, boards.NewTask{Title: "a"}), b.create(t, boards.NewTask{Title: "c"})
		b.must(t, boards.Subscribe{Task: a, To: chat1})
		b.must(t, boards.CompleteTask{Task: c})
		b.must(t, boards.Subscribe{Task: c, To: chat1})
		b.must(t, boards.CompleteTask{Task: a})
		_, stop := run(t, b, notify.Options{Platforms: to(p)})
		synctest.Wait()
		stop()
		if w := told(p.all()); !slices.Equal(w, []string{"t1 completed"}) {
			t.Errorf("got %v", w)
		}
	})
}

// TestGivenUpStaysSo: a dead letter is not sent again because a crash took the
// offset that had moved past it.
func TestGivenUpStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		p.fail(func(*notify.Notice) (bool, error) {
			return false, &notify.PermanentError{Err: errors.New("chat not found")}
		})
		_, stop := run(t, b, notify.Options{Platforms: to(p)})
		b.must(t, boards.CompleteTask{Task: b.create(t, boards.NewTask{Title: "a"})})
		synctest.Wait()
		stop()
		p.fail(nil)
		clear(b.offsets)
		_, stop = run(t, b, notify.Options{Platforms: to(p)})
		synctest.Wait()
		stop()
		if got := told(p.all()); len(got) != 0 || len(b.dead()) != 1 {
			t.Errorf("got %v, dead %v", got, b.dead())
		}
	})
}
