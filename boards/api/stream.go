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

// events streams entries as server-sent events from a position on, for as
// long as the peer listens. Each is one data line with the record and text as
// stored; the id is the position.
func (c *call) events() (any, error) {
	from := uint64(1)
	if s := c.r.URL.Query().Get("from"); s != "" {
		var err error
		if from, err = strconv.ParseUint(s, 10, 64); err != nil {
			return nil, &Error{Code: CodeBadRequest, Message: "from must be a position"}
		}
	}
	c.streamed = true
	head := c.w.Header()
	head["Content-Type"] = []string{"text/event-stream"}
	head["Cache-Control"] = []string{"no-store"}
	c.w.WriteHeader(http.StatusOK)

	ctx, cancel := context.WithCancel(c.r.Context())
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
	c.pump(ctx, entries)
	cancel()
	if err := <-done; err != nil && ctx.Err() == nil {
		c.h.fault(err)
	}
	return nil, nil
}

// pump writes what comes until the stream, the peer or the server ends.
// Whatever waits goes out in one write.
func (c *call) pump(ctx context.Context, entries <-chan events.Entry) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	var b []byte
	for {
		if c.control.Flush() != nil {
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
		case <-c.h.stopping:
			return
		}
		if _, err := c.w.Write(b); err != nil {
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
