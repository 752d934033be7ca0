package notify_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// handed is a platform that says when it is handed something.
type handed chan time.Time

func (h handed) Send(context.Context, events.Destination, *notify.Notice) (string, error) {
	h <- time.Now()
	return "1", nil
}

func newOwner(t testing.TB) *owner.Owner {
	t.Helper()
	home, err := registry.OpenHome(t.TempDir(), &registry.HomeOptions{RuntimeDir: t.TempDir(), TempDir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	o, err := owner.Create(t.Context(), home, "acme", "Acme", events.DefaultPolicy(4), kai, owner.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func do(t testing.TB, o *owner.Owner, c boards.Command) boards.Result {
	t.Helper()
	res, err := o.Do(t.Context(), kai, owner.NewCommandID(), c)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// BenchmarkHandOver measures from the sending of a command to the call of the
// platform, on a board in a file: for one chat, and for the last of a hundred.
func BenchmarkHandOver(b *testing.B) {
	for _, chats := range []int{1, 100} {
		b.Run(fmt.Sprint(chats), func(b *testing.B) {
			o, h := newOwner(b), make(handed, chats)
			for i := range chats {
				do(b, o, boards.Subscribe{To: events.Destination{Platform: "telegram", Chat: fmt.Sprint(i + 1)}})
			}
			_, stop := run(b, o, notify.Options{Platforms: to(h)})
			defer stop()
			var took []time.Duration
			for b.Loop() {
				id := do(b, o, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a"}}}).Tasks[0]
				start := time.Now()
				do(b, o, boards.CompleteTask{Task: id, Summary: "done"})
				var last time.Time
				for range chats {
					last = <-h
				}
				took = append(took, last.Sub(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// TestRealBoard tells from a board in a file, over two lives of its owner's notifier.
func TestRealBoard(t *testing.T) {
	o, p := newOwner(t), &platform{}
	do(t, o, boards.Subscribe{To: chat1})
	for range 2 {
		_, stop := run(t, o, notify.Options{Platforms: to(p)})
		before := len(p.all())
		id := do(t, o, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a"}}}).Tasks[0]
		of := do(t, o, boards.CompleteTask{Task: id, Summary: "20 shops"}).Last
		for deadline := time.Now().Add(20 * time.Second); ; {
			n, err := o.Notices(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			entries, err := o.Read(t.Context(), n.Head, 1)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := events.Decode(entries[0].Record); err == nil && r.Data.Type() == "notify.sent" && r.Cause == of {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("nothing was told in 20 s")
			}
			time.Sleep(time.Millisecond)
		}
		stop()
		if got := p.all(); len(got) != before+1 || got[before].notice.Line != "20 shops" || got[before].notice.Name != "Acme" {
			t.Errorf("got %+v", got[before:])
		}
	}
}
