package owner

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/events"
)

// TestLogTimeCreeps: where the clock was set back the log's time goes on, at
// half the speed, until the clock has caught up; it never goes back.
func TestLogTimeCreeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := events.TimeOf(time.Now().Add(time.Hour)) // the last record's time
		s := newStamper(ahead)
		if got := s.now(); got != ahead {
			t.Errorf("got %v, want %v", got, ahead)
		}
		time.Sleep(time.Minute)
		if got, want := s.now(), ahead.Add(30*time.Second); got != want {
			t.Errorf("a minute later: got %v, want %v", got, want)
		}
		time.Sleep(3 * time.Hour)
		if got, want := s.now(), events.TimeOf(time.Now()); got != want {
			t.Errorf("when the clock has caught up: got %v, want %v", got, want)
		}
	})
}
