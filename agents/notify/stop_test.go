package notify_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// slow is a platform that takes a message at once and answers a while later.
// Whoever does not wait for the answer does not get it.
type slow struct {
	*platform
	answers time.Duration
}

func (s slow) Send(ctx context.Context, to events.Destination, n *notify.Notice) (string, error) {
	name, err := s.platform.Send(ctx, to, n)
	select {
	case <-time.After(s.answers):
		return name, err
	case <-ctx.Done():
		return "", &notify.LostError{Err: ctx.Err()}
	}
}

// TestStopWhileSending: a message that the platform has when a notifier ends is
// waited for and told once. A platform that hangs does not keep it from ending.
func TestStopWhileSending(t *testing.T) {
	for name, c := range map[string]struct {
		answer, stop time.Duration // what it takes
		times        int           // the message is sent, in two lives
	}{
		"slow":  {time.Second, time.Second, 1},
		"hangs": {time.Hour, 3 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, p := newBoard(t, "acme"), &platform{}
				b.must(t, boards.Subscribe{To: chat1})
				_, stop := run(t, b, notify.Options{Platforms: to(slow{p, c.answer})})
				b.must(t, boards.CompleteTask{Task: b.create(t, boards.NewTask{Title: "a"})})
				synctest.Wait()
				start := time.Now()
				stop()
				if took := time.Since(start); took != c.stop {
					t.Errorf("it ended after %s, want %s", took, c.stop)
				}
				_, stop = run(t, b, notify.Options{Platforms: to(p)})
				time.Sleep(time.Minute)
				synctest.Wait()
				stop()
				if n := len(p.all()); n != c.times {
					t.Errorf("sent %d times, want %d", n, c.times)
				}
			})
		})
	}
}
