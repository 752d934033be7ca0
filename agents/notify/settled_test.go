package notify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
)

// TestLater: a reminder that was put off comes that much later, once, whoever has
// the board by then; the same tap counts once.
func TestLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &platform{}
		b.must(t, boards.Subscribe{To: chat1})
		opts := notify.Options{Platforms: to(p), Reminder: 7 * time.Hour}
		_, stop := run(t, b, opts)
		defer func() { stop() }()
		a := b.create(t, boards.NewTask{Title: "a"})
		b.must(t, boards.BlockTask{Task: a, Reason: "which?"})
		var of uint64
		messages := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if n := len(p.all()); n != want {
				t.Fatalf("got %d messages, want %d", n, want)
			}
		}
		later := func(key string) {
			t.Helper()
			told, err := b.FindSent(t.Context(), api.SentQuery{Of: of, To: chat1})
			if err != nil || !told.Found {
				t.Fatalf("got %v, %v", told, err)
			}
			if err := notify.Later(t.Context(), b, told.Sent, key); err != nil {
				t.Fatal(err)
			}
		}
		messages(6*time.Hour, 1)
		of = p.all()[0].notice.Seq
		later("1")
		later("1")
		messages(6*time.Hour+50*time.Minute, 1)
		messages(20*time.Minute, 2)
		messages(20*time.Hour, 2)
		later("2")
		stop()
		_, stop = run(t, b, opts)
		messages(6*time.Hour+50*time.Minute, 2)
		messages(20*time.Minute, 3)
		messages(48*time.Hour, 3)
		for i := range 30 {
			told, _ := b.FindSent(t.Context(), api.SentQuery{Of: of, To: chat1})
			if err := notify.Later(t.Context(), b, told.Sent, fmt.Sprint("more", i)); errors.Is(err, notify.ErrPutOff) {
				return
			}
		}
		t.Error("it can be put off for ever")
	})
}

// changer is a platform that can change what it sent.
type changer struct {
	platform
	changed []string // guarded by mu
	errs    []error  // of the next changes; guarded by mu
}

func (c *changer) Settled(_ context.Context, s *notify.Settlement) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errs) > 0 {
		err := c.errs[0]
		c.errs = c.errs[1:]
		return err
	}
	c.changed = append(c.changed, fmt.Sprintf("%s %s %s", s.Sent.To.Chat, s.Detail.ID, s.Detail.Status))
	return nil
}

func (c *changer) take() (list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, c.changed = c.changed, nil
	slices.Sort(list)
	return list
}

// TestSettled: every message that asked something is changed when that was
// settled, wherever, once; what cannot be changed holds nothing up.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, p := newBoard(t, "acme"), &changer{}
		b.must(t, boards.Subscribe{To: chat1})
		b.must(t, boards.Subscribe{To: chat2})
		opts := notify.Options{Platforms: to(p), Reminder: 7 * time.Hour}
		_, stop := run(t, b, opts)
		a := b.create(t, boards.NewTask{Title: "a"})
		changes := func(why string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := p.take(); !slices.Equal(got, want) {
				t.Errorf("%s: changed %q, want %q", why, got, want)
			}
		}
		b.must(t, boards.BlockTask{Task: a, Reason: "which?"})
		b.must(t, boards.CommentTask{Task: a, Body: "not yet"})
		changes("nothing is settled")
		b.must(t, boards.UnblockTask{Task: a, Answer: "that"})
		changes("answered", "1 t1 ready", "2 t1 ready")
		b.must(t, boards.CompleteTask{Task: a})
		changes("settled before")
		stop()
		_, stop = run(t, b, opts)
		changes("another life")

		c := b.create(t, boards.NewTask{Title: "c"})
		b.must(t, boards.BlockTask{Task: c, Reason: "what?"})
		time.Sleep(8 * time.Hour) // reminded
		b.must(t, boards.UnblockTask{Task: c, Answer: "this"})
		changes("the reminders too", "1 t2 ready", "1 t2 ready", "2 t2 ready", "2 t2 ready")
		b.must(t, boards.BlockTask{Task: c, Reason: "what else?"})
		changes("asked anew")
		p.mu.Lock()
		refused := errors.New("refused")
		p.errs = []error{&notify.PermanentError{Err: errors.New("it is gone")}, refused, refused, refused, refused, refused, refused}
		p.mu.Unlock()
		b.must(t, boards.UnblockTask{Task: c, Answer: "that"})
		b.must(t, boards.CompleteTask{Task: c})
		time.Sleep(10 * time.Minute)
		changes("refused")
		stop()
		if got := told(p.all()); !slices.Equal(got[len(got)-2:], []string{"t2 completed", "t2 completed"}) {
			t.Errorf("a message that cannot be changed holds up others: %v", got)
		}
	})
}
