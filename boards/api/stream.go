package api

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/events"
)

func (h *handler) helloBytes() []byte {
	b, err := json.Marshal(helloResponse{PID: os.Getpid(), Version: h.Version})
	if err != nil { // a version that is not UTF-8
		return []byte("{}")
	}
	return b
}

// stream is where a call writes an answer that goes on.
type stream struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	begun   bool
}

// events streams entries as server-sent events from a position on, for as
// long as the peer listens. Each is one data line with the record and text as
// stored; the id is the position.
func (c *call) events() (any, error) {
	s, from := c.stream, uint64(1)
	if v := s.r.URL.Query().Get("from"); v != "" {
		var err error
		if from, err = strconv.ParseUint(v, 10, 64); err != nil {
			return nil, &Error{Code: CodeBadRequest, Message: "from must be a position"}
		}
	}
	s.begun = true
	head := s.w.Header()
	head["Content-Type"] = []string{"text/event-stream"}
	head["Cache-Control"] = []string{"no-store"}
	s.w.WriteHeader(http.StatusOK)

	ctx, cancel := context.WithCancel(c.ctx)
	entries := make(chan events.Entry, 256)
	done := make(chan error, 1)
	go func() {
		defer close(entries)
		done <- c.h.Board.Follow(ctx, from, func(e events.Entry) error {
			select {
			case entries <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	s.pump(ctx, entries, c.h.stopping)
	cancel()
	if err := <-done; err != nil && ctx.Err() == nil {
		c.h.fault(err)
	}
	return nil, nil
}

// pump writes what comes until the entries, the peer or the server ends.
// Whatever waits goes out in one write.
func (s *stream) pump(ctx context.Context, entries <-chan events.Entry, stopping <-chan struct{}) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	var b []byte
	for {
		if s.control.Flush() != nil {
			return
		}
		b = b[:0]
		select {
		case e, ok := <-entries:
			if !ok {
				return
			}
			b = appendMessage(b, e)
			for more := true; more && len(b) < 64<<10; {
				select {
				case e, ok := <-entries:
					if more = ok; ok {
						b = appendMessage(b, e)
					}
				default:
					more = false
				}
			}
		case <-ping.C:
			b = append(b, ": ping\n\n"...)
		case <-ctx.Done():
			return
		case <-stopping:
			return
		}
		if _, err := s.w.Write(b); err != nil {
			return
		}
	}
}

func appendMessage(b []byte, e events.Entry) []byte {
	b = append(b, "id: "...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(b, "\ndata: "...)
	b = appendEntry(b, e)
	return append(b, "\n\n"...)
}
