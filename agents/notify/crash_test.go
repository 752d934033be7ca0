package notify_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

var errCrashed = errors.New("the process is gone")

// life is one life of a process that tells: after some steps it is gone, before
// or after what the step did, and with it every offset that was not yet durable.
type life struct {
	*board
	chat    *ledger
	random  *rand.Rand // guarded by chat.mu
	left    int        // steps; negative = gone; guarded by chat.mu
	crash   context.CancelFunc
	pending map[string]uint64 // guarded by chat.mu
}

// ledger is a platform that knows what it took and what it was told of that.
type ledger struct {
	platform
	t     *testing.T
	taken map[letterOf]*state // guarded by mu
	calm  bool                // nothing fails any more; guarded by mu
	lost  int
}

type letterOf struct {
	of uint64
	to events.Destination
}

type state struct {
	times    int
	by       *life
	lost     bool // the answer to the last time was lost
	recorded bool
}

// step spends one step; it fails when the process is gone.
func (l *life) step() error {
	l.chat.mu.Lock()
	defer l.chat.mu.Unlock()
	if l.left == 0 {
		l.crash()
	}
	if l.left--; l.left < 0 {
		l.left = -1
		return errCrashed
	}
	return nil
}

func around[T any](l *life, f func() (T, error)) (v T, err error) {
	if err := l.step(); err != nil {
		return v, err
	}
	if v, err = f(); err != nil {
		return v, err
	}
	return v, l.step()
}

func (l *life) Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	return around(l, func() (boards.Result, error) {
		res, err := l.board.Do(ctx, by, id, c)
		if sent, ok := c.(boards.RecordSent); ok && err == nil {
			l.chat.mu.Lock()
			defer l.chat.mu.Unlock()
			l.chat.taken[letterOf{sent.Of, sent.To}].recorded = true
		}
		return res, err
	})
}

func (l *life) Show(ctx context.Context, task events.TaskID) (projections.Detail, error) {
	return around(l, func() (projections.Detail, error) { return l.board.Show(ctx, task) })
}

func (l *life) FindSent(ctx context.Context, q api.SentQuery) (api.SentAnswer, error) {
	return around(l, func() (api.SentAnswer, error) { return l.board.FindSent(ctx, q) })
}

func (l *life) Offset(ctx context.Context, name string) (uint64, error) {
	return l.board.Offset(ctx, name)
}

// SaveOffset makes some durable at once, and others with a later one.
func (l *life) SaveOffset(ctx context.Context, name string, seq uint64) error {
	if err := l.step(); err != nil {
		return err
	}
	l.chat.mu.Lock()
	l.pending[name] = seq
	flush := l.random.IntN(3) == 0
	var saved map[string]uint64
	if flush {
		saved, l.pending = l.pending, map[string]uint64{}
	}
	l.chat.mu.Unlock()
	for name, seq := range saved {
		if err := l.board.SaveOffset(ctx, name, seq); err != nil {
			return err
		}
	}
	return l.step()
}

// Send implements notify.Sender.
func (l *life) Send(_ context.Context, to events.Destination, n *notify.Notice) (string, error) {
	return around(l, func() (string, error) { return l.chat.take(l, to, n) })
}

func (c *ledger) take(l *life, to events.Destination, n *notify.Notice) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	luck := 10
	if !c.calm {
		luck = l.random.IntN(10)
	}
	refused := &net.OpError{Op: "dial", Err: errors.New("unreachable")}
	lost := &notify.LostError{Err: errors.New("reset")}
	switch luck {
	case 0:
		return "", refused
	case 1: // it was not taken after all
		c.forgive(to, n)
		return "", lost
	}
	for _, of := range positions(n) {
		at := letterOf{of, to}
		s := c.taken[at]
		if s == nil {
			s = &state{}
			c.taken[at] = s
		}
		if s.recorded {
			c.t.Errorf("event %d was told again although that it was told is on record", of)
		}
		if s.times > 0 && s.by == l && !s.lost {
			c.t.Errorf("event %d was told again although the answer had arrived", of)
		}
		s.times, s.by, s.lost = s.times+1, l, luck == 2
	}
	if luck == 2 {
		c.lost++
		return "", lost
	}
	return fmt.Sprint("m", len(c.taken), n.Seq), nil
}

// forgive lets what was lost be told once more.
func (c *ledger) forgive(to events.Destination, n *notify.Notice) {
	for _, of := range positions(n) {
		if s := c.taken[letterOf{of, to}]; s != nil {
			s.lost = true
		}
	}
}

func positions(n *notify.Notice) []uint64 {
	if n.Kind != notify.Several {
		return []uint64{n.Seq}
	}
	var list []uint64
	for _, it := range n.Items {
		list = append(list, it.Seq)
	}
	return list
}

// TestCrashes kills the notifier between any two steps, again and again:
// everything wanted is told at least once, or is a dead letter, and twice only
// where the answer was lost.
func TestCrashes(t *testing.T) {
	seeds := uint64(50)
	if testing.Short() {
		seeds = 20
	}
	repeats, several, dead := 0, 0, 0
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			c, d := crashing(t, rand.New(rand.NewPCG(seed, 1)))
			for _, s := range c.taken {
				if s.times > 1 {
					repeats++
				}
			}
			dead += d
			several += c.lost
			if t.Failed() {
				t.Logf("seed %d", seed)
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d events were told again, %d answers were lost, %d dead letters", repeats, several, dead)
	if repeats == 0 || several == 0 {
		t.Error("nothing went wrong: the test tests nothing")
	}
}

func crashing(t *testing.T, random *rand.Rand) (*ledger, int) {
	b := newBoard(t, "acme")
	c := &ledger{t: t, taken: map[letterOf]*state{}}
	b.must(t, boards.Subscribe{To: chat1})
	b.must(t, boards.Subscribe{To: chat2})
	for range 4 + random.IntN(8) {
		for range random.IntN(14) {
			work(t, b, random)
		}
		live(t, b, c, random, 1+random.IntN(80), time.Duration(random.IntN(1000))*time.Second)
	}
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	live(t, b, c, random, 1<<30, time.Hour)
	now, _ := b.Notices(t.Context())
	for seq := range b.entries {
		r, err := events.Decode(b.entries[seq].Record)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []events.Destination{chat1, chat2} {
			s := c.taken[letterOf{r.Seq, to}]
			given := false
			for _, d := range now.Dead {
				given = given || d.Of == r.Seq && d.To == to
			}
			if wanted := notify.KindOf(&r) != ""; wanted && !given && (s == nil || !s.recorded) || !wanted && s != nil {
				t.Errorf("event %d %s: wanted %t, given up %t, got %+v", r.Seq, r.Data.Type(), wanted, given, s)
			}
		}
	}
	return c, len(now.Dead)
}

// work does something on the board.
func work(t *testing.T, b *board, random *rand.Rand) {
	id := b.create(t, boards.NewTask{Title: "a"})
	switch random.IntN(3) {
	case 0:
		b.must(t, boards.CompleteTask{Task: id})
	case 1:
		b.must(t, boards.BlockTask{Task: id, Reason: "which?"})
	}
}

// live runs a process until it has spent its steps or the time is over; more
// happens on the board meanwhile.
func live(t *testing.T, b *board, c *ledger, random *rand.Rand, steps int, long time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &life{board: b, chat: c, random: rand.New(rand.NewPCG(random.Uint64(), 2)), left: steps, crash: cancel, pending: map[string]uint64{}}
	n := notify.New(l, notify.Options{Platforms: map[string]notify.Platform{"telegram": {Sender: l}}})
	done := make(chan struct{})
	go func() { n.Run(ctx); close(done) }()
	for range 3 {
		synctest.Wait()
		work(t, b, random)
	}
	select {
	case <-time.After(long):
		cancel()
	case <-ctx.Done():
	}
	<-done
}
