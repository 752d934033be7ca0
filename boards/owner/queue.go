package owner

import "sync"

// queue holds the commands that wait for the writer. It needs no bound: each is
// that of a sender who waits too. Safe for concurrent use, with one reader.
type queue struct {
	mu      sync.Mutex
	waiting []*pending
	want    int           // so many ring
	enough  chan struct{} // capacity 1
	shut    bool
}

func newQueue() *queue { return &queue{enough: make(chan struct{}, 1)} }

// put reports whether the command was taken: it will be answered.
func (q *queue) put(p *pending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.shut {
		return false
	}
	q.waiting = append(q.waiting, p)
	q.ring()
	return true
}

// close refuses all that come from now on and returns those that wait.
func (q *queue) close() []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut = true
	left := q.waiting
	q.waiting = nil
	return left
}

// ring wakes the reader if it has what it wants. The caller holds q.mu.
func (q *queue) ring() {
	if q.want == 0 || len(q.waiting) < q.want {
		return
	}
	q.want = 0
	select {
	case q.enough <- struct{}{}:
	default:
	}
}

// await returns a channel that receives once when n commands wait. A reader
// that is woken for each of many senders gets in the way of the others. The
// next call makes this one void.
func (q *queue) await(n int) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.enough: // of the call before
	default:
	}
	q.want = n
	q.ring()
	return q.enough
}

// take returns all that wait, in the order in which they came.
func (q *queue) take() []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting = make([]*pending, 0, len(taken))
	return taken
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
