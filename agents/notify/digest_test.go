package notify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

func digest(t *testing.T, p *platform, at string, list ...*board) (stop func()) {
	t.Helper()
	clock, err := notify.ParseClock(at)
	if err != nil {
		t.Fatal(err)
	}
	d := &notify.Digester{At: clock, Zone: time.UTC, Platforms: to(p), Warn: func(error) {}, Gateways: func() (int, int) { return 3, 4 },
		Boards: func(context.Context) (all []notify.Board, err error) {
			for _, b := range list {
				all = append(all, b)
			}
			return all, nil
		}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestDigestOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, acme, beta := &platform{}, newBoard(t, "acme"), newBoard(t, "beta")
		acme.must(t, boards.Subscribe{To: chat1})
		beta.must(t, boards.Subscribe{To: chat1})
		beta.must(t, boards.Subscribe{To: chat2})
		acme.must(t, boards.Subscribe{Tenant: "x", To: chat2}) // no whole board
		acme.must(t, boards.CompleteTask{Task: acme.create(t, boards.NewTask{Title: "a"})})
		acme.must(t, boards.BlockTask{Task: acme.create(t, boards.NewTask{Title: "canary"}), Reason: "which?"})
		stop := digest(t, p, "07:30", acme, beta)
		time.Sleep(7 * time.Hour)
		stop()
		if len(p.all()) != 0 {
			t.Fatal("a digest by night")
		}
		for range 3 { // restarts around the hour
			stop = digest(t, p, "07:30", acme, beta)
			time.Sleep(20 * time.Minute)
			synctest.Wait()
			stop()
		}
		got := p.all()
		if len(got) != 2 || got[0].to != chat1 || got[1].to != chat2 {
			t.Fatalf("got %+v, want one digest each", got)
		}
		text := got[0].notice.Text()
		for _, want := range []string{"Good morning. ", "2 boards", "acme: 1 done, 1 needs you (t2)", "beta: nothing", "Heads: acme ", "$0.00 of $50.00 a day. Gateways 3 of 4 up.\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("got\n%s\nwant %q in it", text, want)
			}
		}
		if other := got[1].notice.Text(); strings.Contains(other, "acme") || strings.Contains(other, "Gateways") || !strings.Contains(other, "beta: nothing") {
			t.Errorf("got\n%s", other)
		}
		stop = digest(t, p, "07:30", acme, beta)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		stop()
		if got = p.all(); len(got) != 4 || !strings.Contains(got[2].notice.Text(), "acme: 1 needs you (t2)\n") {
			t.Errorf("got %d messages, the third\n%s", len(got), got[min(2, len(got)-1)].notice.Text())
		}
	})
}

func TestDigestThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, acme := &platform{}, newBoard(t, "acme")
		acme.must(t, boards.Subscribe{To: chat1})
		tries := 0
		p.fail(func(*notify.Notice) (bool, error) {
			if tries++; tries < 5 {
				return false, errors.New("unreachable")
			}
			return true, &notify.LostError{Err: errors.New("reset")}
		})
		stop := digest(t, p, "00:10", acme)
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		stop()
		if got := p.all(); len(got) != 1 || tries != 5 {
			t.Errorf("got %d digests after %d tries, want 1 after 5", len(got), tries)
		}
		late := digest(t, p, "04:00", acme)
		time.Sleep(time.Hour)
		synctest.Wait()
		late()
		if got := p.all(); len(got) != 1 {
			t.Errorf("got %d digests, the last 6 hours late", len(got))
		}
		p.fail(func(*notify.Notice) (bool, error) {
			return false, &notify.PermanentError{Err: errors.New("chat not found")}
		})
		time.Sleep(24*time.Hour - 11*time.Hour)
		stop = digest(t, p, "00:10", acme)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		stop()
		if dead := acme.dead(); len(dead) != 1 || dead[0].To != (events.Destination{Platform: "telegram", Chat: "1"}) {
			t.Errorf("got %+v", dead)
		}
	})
}

// TestDigestOfAllBoards: who may be told of every board is told of those that
// others hold as well, from where the last digest ended; nothing is written
// there. One that cannot be opened is named.
func TestDigestOfAllBoards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, acme, other, beta := &platform{}, newBoard(t, "acme"), newBoard(t, "other"), newBoard(t, "beta")
		acme.must(t, boards.Subscribe{To: chat1})
		acme.must(t, boards.Subscribe{To: chat2})
		beta.must(t, boards.Subscribe{To: chat2}) // by another's bot
		beta.must(t, boards.CompleteTask{Task: beta.create(t, boards.NewTask{Title: "before the day began"})})
		time.Sleep(30 * time.Hour)
		beta.must(t, boards.CompleteTask{Task: beta.create(t, boards.NewTask{Title: "b"})})
		other.must(t, boards.BlockTask{Task: other.create(t, boards.NewTask{Title: "o"}), Reason: "which?"})
		d := &notify.Digester{At: 7*60 + 30, Zone: time.UTC, Platforms: to(p), Warn: func(error) {},
			Boards:   func(context.Context) ([]notify.Board, error) { return []notify.Board{acme, other}, nil },
			All:      func(to events.Destination) bool { return to == chat1 },
			Gateways: func() (int, int) { return 1, 2 },
			Others: func(_ context.Context, f func(notify.OtherBoard) error) error {
				return errors.Join(f(notify.OtherBoard{Name: "hermes-b:beta", Board: beta}), f(notify.OtherBoard{Name: "broken", Err: errors.New("quarantined")}))
			}}
		written := beta.head()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		time.Sleep(24 * time.Hour)
		beta.must(t, boards.CompleteTask{Task: beta.create(t, boards.NewTask{Title: "c"})})
		time.Sleep(24 * time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		var own, group []string
		for _, m := range p.all() {
			if m.to == chat1 {
				own = append(own, m.notice.Text())
			} else {
				group = append(group, m.notice.Text())
			}
		}
		if len(own) != 2 || len(group) != 2 {
			t.Fatalf("got %q and %q, want two digests each", own, group)
		}
		for i, want := range []string{", 4 boards\nacme: nothing\nother: 1 needs you (t1)\nbeta: 1 done\nbroken: cannot be read\n", "acme: nothing\nother: 1 needs you (t1)\nbeta: 1 done\nbroken: cannot be read\n"} {
			if !strings.Contains(own[i], want) || !strings.Contains(own[i], "Gateways 1 of 2 up.") || !strings.Contains(own[i], " · hermes-b:beta ") || strings.Contains(own[i], "broken 0") {
				t.Errorf("got\n%s\nwant %q in it", own[i], want)
			}
		}
		if strings.Contains(group[0], "other") || strings.Contains(group[0], "beta") || strings.Contains(group[0], "Gateways") {
			t.Errorf("the other was told\n%s", group[0])
		}
		if beta.head() != written+2 || len(beta.offsets) > 0 { // the task that was made meanwhile, and its end
			t.Errorf("%d events and %v were written on a board that was only to be looked at", beta.head()-written-2, beta.offsets)
		}
	})
}
