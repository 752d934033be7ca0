package dispatcher

import (
	"sync"
	"time"

	"github.com/hermesboard/hermes/events"
)

// terms remembers when each open run was last heard of, on the monotonic
// clock. A run that nobody has heard of yet gets a full term from when it is
// first seen.
type terms struct {
	mu   sync.Mutex // guards last
	last map[events.RunID]time.Time
}

func (t *terms) renew(run events.RunID, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, open := t.last[run]; open { // else it is not seen yet, or over
		t.last[run] = now
	}
}

// seen returns when a run was last heard of; now, if this is the first time.
func (t *terms) seen(run events.RunID, now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.last[run]
	if !ok {
		at = now
		t.last[run] = now
	}
	return at
}

func (t *terms) forget(run events.RunID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.last, run)
}
