package api

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// fakeBoard answers what it is told to and notes what it was asked.
type fakeBoard struct {
	do func(context.Context, boards.Principal, events.CommandID, boards.Command) (boards.Result, error)

	mu      sync.Mutex // guards what follows
	entries []events.Entry
	more    chan struct{} // closed and renewed when entries grow
	asked   []projections.ListQuery
	err     error // of queries
	offsets map[string]uint64
}

func newFakeBoard() *fakeBoard { return &fakeBoard{more: make(chan struct{})} }

func (b *fakeBoard) add(entries ...events.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entries...)
	close(b.more)
	b.more = make(chan struct{})
}

func (b *fakeBoard) Info(context.Context) (Info, error) {
	return Info{Slug: "acme", Title: "Acme"}, b.err
}

func (b *fakeBoard) Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	if b.do == nil {
		return boards.Result{First: 1, Last: 2, Tasks: []events.TaskID{7}, Status: events.Ready}, nil
	}
	return b.do(ctx, by, id, c)
}

func (b *fakeBoard) List(_ context.Context, q projections.ListQuery) ([]projections.Card, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, q)
	return []projections.Card{{ID: 7, Status: events.Ready, Title: "Tides"}}, b.err
}

func (b *fakeBoard) Show(_ context.Context, task events.TaskID) (projections.Detail, error) {
	return projections.Detail{Card: projections.Card{ID: task, Status: events.Ready}, Body: "body",
		CreatedBy: events.Actor{Kind: events.Human, Name: "kai"}}, b.err
}

func (b *fakeBoard) Why(_ context.Context, task events.TaskID) (projections.Why, error) {
	return projections.Why{Task: task, Status: events.Todo, Hold: projections.Hold{Reason: "waits"}}, b.err
}

func (b *fakeBoard) Inbox(context.Context) ([]projections.InboxItem, error) {
	return []projections.InboxItem{{Task: 7, Kind: "review"}}, b.err
}

func (b *fakeBoard) Stats(context.Context) (projections.Stats, error) {
	return projections.Stats{Tasks: 3, ByStatus: []projections.StatusCount{{Status: events.Ready, Count: 3}}}, b.err
}

func (b *fakeBoard) Read(_ context.Context, from uint64, limit int) ([]events.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.slice(from, limit), b.err
}

func (b *fakeBoard) slice(from uint64, limit int) []events.Entry {
	if from > uint64(len(b.entries)) {
		return nil
	}
	out := b.entries[from-1:]
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out
}

func (b *fakeBoard) ReadTask(ctx context.Context, task events.TaskID, from uint64, limit int) ([]events.Entry, error) {
	if task != 7 {
		return nil, b.err
	}
	return b.Read(ctx, from, limit)
}

func (b *fakeBoard) Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error {
	for {
		b.mu.Lock()
		entries, more := b.slice(from, 10), b.more
		b.mu.Unlock()
		for _, e := range entries {
			if err := yield(e); err != nil {
				return err
			}
			from = e.Seq + 1
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *fakeBoard) Policy(context.Context) (events.Policy, uint64, error) {
	return events.DefaultPolicy(4), 2, b.err
}

func (b *fakeBoard) Notices(context.Context) (Notices, error) {
	return Notices{Subscriptions: []projections.Subscription{{Task: 7, To: events.Destination{Platform: "telegram", Chat: "-100"}, Since: 3, By: events.Actor{Kind: events.Human, Name: "kai"}}}, Head: 9}, nil
}

func (b *fakeBoard) FindSent(_ context.Context, q SentQuery) (SentAnswer, error) {
	return SentAnswer{Found: q.Token == "k", Sent: projections.Sent{Of: 3, Token: q.Token}}, nil
}

func (b *fakeBoard) Offset(_ context.Context, subscriber string) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offsets[subscriber], nil
}

func (b *fakeBoard) SaveOffset(_ context.Context, subscriber string, seq uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.offsets == nil {
		b.offsets = map[string]uint64{}
	}
	b.offsets[subscriber] = seq
	return nil
}

func (b *fakeBoard) Close() error { return nil }

func (b *fakeBoard) door(token string) (Door, error) {
	if token != "secret" {
		return nil, &Error{Code: CodeForbidden, Message: "wrong token"}
	}
	return fakeDoor{b}, nil
}

// fakeDoor is the run door of one token.
type fakeDoor struct{ b *fakeBoard }

func (d fakeDoor) Do(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
	return d.b.Do(ctx, boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: "writer"}}, id, c)
}
func (d fakeDoor) Show(ctx context.Context, t events.TaskID) (projections.Detail, error) {
	return d.b.Show(ctx, t)
}
func (d fakeDoor) List(ctx context.Context, q projections.ListQuery) ([]projections.Card, error) {
	return d.b.List(ctx, q)
}
func (d fakeDoor) Renew(context.Context) (RunState, error) { return RunState{Open: true, Head: 9}, nil }
func (d fakeDoor) Close() error                            { return nil }

// served is a server on a socket of its own.
type served struct {
	socket string
	h      *handler
	board  *fakeBoard
	faults chan error
	stop   func() // stops the server and waits for it
}

func serve(t testing.TB) *served {
	return serveAt(t, filepath.Join(t.TempDir(), "run", "s"), newFakeBoard())
}

func serveAt(t testing.TB, socket string, b *fakeBoard) *served {
	t.Helper()
	l, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{socket: socket, board: b, faults: make(chan error, 100)}
	srv := &Server{Board: b, Version: "1.0", Hooks: Hooks{Fault: func(err error) { s.faults <- err }},
		grace: time.Hour, // nothing may make use of it
		Doors: b.door}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s.h = newHandler(srv, l)
	go func() { done <- s.h.serve(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got %v from Serve, want nil", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *served) dial(t testing.TB) *Client {
	t.Helper()
	c, err := Dial(t.Context(), s.socket, "1.0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *served) raw(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

var kai = boards.Principal{Actor: events.Actor{Kind: events.Human, Name: "kai", Via: "cli"}}
