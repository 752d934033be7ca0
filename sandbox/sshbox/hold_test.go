//go:build unix

package sshbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestHold ends a session when nobody holds it, when nobody holds it any more,
// and not before.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		h := &helper{end: func() { close(ended) }}
		h.unheld = time.AfterFunc(holdTime, h.end)
		time.Sleep(holdTime - time.Second)
		read, write := io.Pipe()
		go h.hold(unlimited{httptest.NewRecorder()}, httptest.NewRequest(http.MethodPost, "/hold", read))
		for range 20 {
			if _, err := write.Write([]byte{'.'}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(beat)
		}
		select {
		case <-ended:
			t.Fatal("got it ended while it was held")
		default:
		}
		write.Close()
		<-ended
	})
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		h := &helper{end: func() { close(ended) }}
		h.unheld = time.AfterFunc(holdTime, h.end)
		<-ended
	})
}

// unlimited takes a deadline, as a connection does.
type unlimited struct{ http.ResponseWriter }

func (unlimited) SetReadDeadline(time.Time) error { return nil }
