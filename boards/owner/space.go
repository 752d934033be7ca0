package owner

import (
	"sync"
	"time"

	"github.com/hermesboard/hermes/events/boltlog"
)

// space watches how much room is left. Safe for concurrent use.
type space struct {
	usage func() (boltlog.Usage, error)

	mu     sync.Mutex // guards what follows
	last   boltlog.Usage
	asked  time.Time
	shut   string    // what the log said when there was no room
	reopen time.Time // until then intake is shut whatever the usage says
}

// look returns the usage, at most a second old.
func (s *space) look() boltlog.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.asked) >= usageGoodForTime {
		if u, err := s.usage(); err == nil { // else the log is being reopened: what was known still holds
			s.last = u
		}
		s.asked = now
	}
	return s.last
}

// closed says why nothing new is taken on; empty = it is.
func (s *space) closed() string {
	if why := s.look().StopIntake(); why != "" {
		return why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.reopen) {
		return s.shut
	}
	return ""
}

// refused shuts the intake for a while after the log had no room.
func (s *space) refused(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut, s.reopen = err.Error(), time.Now().Add(usageGoodForTime)
}
