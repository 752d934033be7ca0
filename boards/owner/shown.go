package owner

import (
	"sync"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// shown is what readers are shown: all that is committed, and nothing else.
// The writer hands over what it committed and goes on; it is folded by whoever
// comes first, a reader or the writer while the disk is busy.
type shown struct {
	mu    sync.RWMutex // guards what follows
	view  *projections.View
	head  events.Head
	ended endedRuns
	later []*outcome // up to head, not folded yet
}

// rlock is mu.RLock with everything folded.
func (s *shown) rlock() {
	s.mu.RLock()
	for len(s.later) > 0 {
		s.mu.RUnlock()
		s.fold()
		s.mu.RLock()
	}
}

// committed hands over what was committed up to head.
func (s *shown) committed(head events.Head, outcomes []*outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = head
	s.later = append(s.later, outcomes...)
}

// behind reports whether there is anything to fold.
func (s *shown) behind() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.later) > 0
}

// fold brings the view up to head.
func (s *shown) fold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, out := range s.later {
		for i := range out.records {
			s.ended.note(s.view, &out.records[i])
			s.view.Apply(&out.records[i])
		}
	}
	clear(s.later)
	s.later = s.later[:0]
}

// replace shows another view, folded up to head.
func (s *shown) replace(view *projections.View, head events.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view, s.head, s.later = view, head, nil
}
