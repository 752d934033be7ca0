package notify_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/logtest"
	"github.com/hermesboard/hermes/projections"
)

var (
	kai   = boards.Principal{Actor: events.Actor{Kind: events.Human, Name: "kai", Via: "test"}}
	chat1 = events.Destination{Platform: "telegram", Chat: "1"}
	chat2 = events.Destination{Platform: "telegram", Chat: "2", Thread: "7"}
)

// board is one in memory: the real rules and the real fold, without a file.
type board struct {
	mu      sync.Mutex
	slug    string
	id      events.BoardID
	state   *boards.State
	view    *projections.View
	entries []events.Entry
	tasks   map[events.TaskID][]uint64
	done    map[events.CommandID][2]uint64
	offsets map[string]uint64
	more    chan struct{}
	next    byte
}

func newBoard(t testing.TB, slug string) *board {
	t.Helper()
	b := &board{slug: slug, id: events.BoardID{1, 2, slug[0]}, state: boards.NewState(), view: projections.NewView(),
		tasks: map[events.TaskID][]uint64{}, done: map[events.CommandID][2]uint64{}, offsets: map[string]uint64{}, more: make(chan struct{})}
	b.must(t, boards.CreateBoard{Board: b.id, Slug: slug, Title: slug, Policy: events.DefaultPolicy(4)})
	return b
}

// must carries out a command of a person.
func (b *board) must(t testing.TB, c boards.Command) boards.Result {
	t.Helper()
	b.mu.Lock()
	b.next++
	id := events.CommandID{0xff, b.next, byte(len(b.entries)), byte(len(b.entries) >> 8)}
	b.mu.Unlock()
	by := kai
	switch c.(type) {
	case boards.ClaimTask, boards.StartRun, boards.EndRun, boards.HoldAgent:
		by = boards.Principal{Actor: events.Actor{Kind: events.System, Name: "dispatcher"}}
	}
	res, err := b.Do(t.Context(), by, id, c)
	if err != nil {
		t.Fatalf("%s: %v", c.CommandName(), err)
	}
	return res
}

func (b *board) Do(_ context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at, ok := b.done[id]; ok {
		return boards.Result{First: at[0], Last: at[1], Repeat: true}, nil
	}
	now := events.TimeOf(time.Now())
	drafts, err := boards.Decide(b.state, c, boards.Env{Now: now, By: by})
	if err != nil {
		return boards.Result{}, err
	}
	first := uint64(len(b.entries) + 1)
	var records []events.Record
	for _, d := range drafts {
		r, err := b.append(d, by, id, now, first)
		if err != nil {
			return boards.Result{}, err
		}
		records = append(records, r)
	}
	b.done[id] = [2]uint64{first, uint64(len(b.entries))}
	close(b.more)
	b.more = make(chan struct{})
	return boards.ResultOf(records), nil
}

func (b *board) append(d events.Draft, by boards.Principal, id events.CommandID, now events.Time, first uint64) (events.Record, error) {
	seq := uint64(len(b.entries) + 1)
	r := events.Record{Seq: seq, ID: events.ULID{12: byte(seq >> 24), 13: byte(seq >> 16), 14: byte(seq >> 8), 15: byte(seq)}, Time: now, Task: d.Task, Run: d.Run,
		Tenant: d.Tenant, Actor: by.Actor, Cmd: id, Cause: d.Cause, Data: d.Data}
	if d.After > 0 {
		r.Cause = first + uint64(d.After) - 1
	}
	e := events.Entry{Seq: seq}
	var err error
	if d.Text != nil {
		if e.Text, err = events.EncodeText(events.Text{Salt: events.Salt{1, byte(seq)}, Fields: *d.Text}); err != nil {
			return r, err
		}
		r.Text = events.DigestOf(e.Text)
	}
	if e.Record, err = events.Encode(r); err != nil {
		return r, err
	}
	b.entries = append(b.entries, e)
	b.tasks[d.Task] = append(b.tasks[d.Task], seq)
	b.state.Evolve(&r)
	b.view.Apply(&r)
	return r, nil
}

func (b *board) Info(context.Context) (api.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return api.Info{Slug: b.slug, Board: b.id, Title: b.slug, Head: events.Head{Seq: b.view.Head()}}, nil
}

func (b *board) texts(seqs []uint64) projections.Texts {
	texts := projections.Texts{}
	for _, seq := range seqs {
		if e := b.decoded(seq); e != nil {
			texts[seq] = e.Fields
		}
	}
	return texts
}

func (b *board) decoded(seq uint64) *projections.Entry {
	if seq == 0 || seq > uint64(len(b.entries)) {
		return nil
	}
	raw := b.entries[seq-1]
	r, err := events.Decode(raw.Record)
	if err != nil {
		panic(err)
	}
	e := &projections.Entry{Record: r}
	if raw.Text != nil {
		text, err := events.DecodeText(raw.Text)
		if err != nil {
			panic(err)
		}
		e.Fields = &text.Fields
	}
	return e
}

func (b *board) Show(_ context.Context, task events.TaskID) (projections.Detail, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok := b.view.Detail(task)
	if !ok {
		return d, errors.New("no such task")
	}
	var history, others []projections.Entry
	for _, seq := range b.tasks[task] {
		history = append(history, *b.decoded(seq))
	}
	for _, seq := range d.Others() {
		others = append(others, *b.decoded(seq))
	}
	projections.FillDetail(&d, history, others)
	return d, nil
}

func (b *board) Why(_ context.Context, task events.TaskID) (projections.Why, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.view.Task(task)
	return projections.Why{Task: task, Status: t.Status, Next: projections.Settle(t), Blocks: b.view.HoldsUp(t)}, nil
}

func (b *board) Inbox(context.Context) ([]projections.InboxItem, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.view.Inbox(events.TimeOf(time.Now()))
	projections.FillInbox(items, b.texts(projections.InboxTexts(items)))
	return items, nil
}

func (b *board) Read(_ context.Context, from uint64, limit int) ([]events.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if from == 0 || from > uint64(len(b.entries)) {
		return nil, nil
	}
	list := b.entries[from-1:]
	if limit <= 0 {
		limit = 100
	}
	return list[:min(limit, len(list))], nil
}

func (b *board) Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error {
	return logtest.Follow(ctx, from, func() ([]events.Entry, <-chan struct{}) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.entries, b.more
	}, yield)
}

func (b *board) Policy(context.Context) (events.Policy, uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, at := b.view.Policy()
	return p, at, nil
}

func (b *board) Notices(context.Context) (api.Notices, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return api.Notices{Subscriptions: b.view.Subscriptions(), Dead: b.view.DeadLetters(), Head: b.view.Head()}, nil
}

func (b *board) FindSent(_ context.Context, q api.SentQuery) (api.SentAnswer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return q.Find(b.view), nil
}

func (b *board) Offset(_ context.Context, name string) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offsets[name], nil
}

func (b *board) SaveOffset(_ context.Context, name string, seq uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offsets[name] = seq
	return nil
}

// create makes a task and returns it.
func (b *board) create(t testing.TB, task boards.NewTask) events.TaskID {
	t.Helper()
	return b.must(t, boards.CreateTasks{Tasks: []boards.NewTask{task}}).Tasks[0]
}

// platform is a chat that can be told to misbehave.
type platform struct {
	mu    sync.Mutex
	taken []taken
	Fail  func(n *notify.Notice) (after bool, err error) // after = the message was taken all the same; guarded by mu
}

type taken struct {
	at     time.Time
	to     events.Destination
	notice notify.Notice
	name   string
}

func (p *platform) Send(_ context.Context, to events.Destination, n *notify.Notice) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	keep := true
	if p.Fail != nil {
		keep, err = p.Fail(n)
		keep = keep || err == nil
	}
	if !keep {
		return "", err
	}
	name := string(rune('a'+len(p.taken)%26)) + time.Now().Format("150405.000") + to.Chat + "-" + n.Token
	p.taken = append(p.taken, taken{time.Now(), to, *n, name})
	return name, err
}

func (p *platform) fail(f func(*notify.Notice) (bool, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Fail = f
}

func (p *platform) all() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taken{}, p.taken...)
}

// run runs a notifier until the returned function is called.
func run(t testing.TB, b notify.Board, opts notify.Options) (n *notify.Notifier, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	n = notify.New(b, opts)
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	return n, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func to(p notify.Sender) map[string]notify.Platform {
	return map[string]notify.Platform{"telegram": {Sender: p}}
}

func (b *board) dead() []projections.Dead {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.view.DeadLetters()
}

// head is where the log ends, as a byte that tells commands apart.
func (b *board) head() byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return byte(len(b.entries))
}
