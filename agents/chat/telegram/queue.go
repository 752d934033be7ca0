package telegram

import (
	"context"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
)

// queue handles updates: those of one chat one after the other, those of
// different chats at once.
type queue struct {
	handle func(context.Context, *chat.Update)
	wg     sync.WaitGroup

	mu      sync.Mutex
	chats   map[string][]task // what waits; a key that is there has a worker
	open    map[int64]bool    // not handled yet
	changed chan struct{}     // closed when something was handled
}

type task struct {
	id   int64
	u    *chat.Update
	done func()
}

func newQueue(handle func(context.Context, *chat.Update)) *queue {
	return &queue{handle: handle, chats: make(map[string][]task), open: make(map[int64]bool), changed: make(chan struct{})}
}

// put takes an update; done, if not nil, is called when it was handled.
func (q *queue) put(ctx context.Context, id int64, u *chat.Update, done func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open[id] = true
	key := u.Chat.Chat
	waiting, busy := q.chats[key]
	q.chats[key] = append(waiting, task{id, u, done})
	if !busy {
		q.wg.Go(func() { q.work(ctx, key) })
	}
}

// work handles what a chat's queue holds until it is empty.
func (q *queue) work(ctx context.Context, key string) {
	for {
		q.mu.Lock()
		if len(q.chats[key]) == 0 {
			delete(q.chats, key)
			q.mu.Unlock()
			return
		}
		t := q.chats[key][0]
		q.chats[key] = q.chats[key][1:]
		q.mu.Unlock()
		if ctx.Err() != nil { // it stays open and comes again
			continue
		}
		q.handle(ctx, t.u)
		q.mu.Lock()
		if ctx.Err() == nil {
			delete(q.open, t.id)
		}
		close(q.changed)
		q.changed = make(chan struct{})
		q.mu.Unlock()
		if t.done != nil && ctx.Err() == nil {
			t.done()
		}
	}
}

// oldest returns the first update that is not handled yet; 0 if there is none.
func (q *queue) oldest() (id int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := range q.open {
		if id == 0 || n < id {
			id = n
		}
	}
	return id
}

// settle waits until the updates from one on are handled; at most for some time.
func (q *queue) settle(ctx context.Context, from int64, most time.Duration) {
	late := time.NewTimer(most)
	defer late.Stop()
	for {
		q.mu.Lock()
		left, changed := 0, q.changed
		for n := range q.open {
			if n >= from {
				left++
			}
		}
		q.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
