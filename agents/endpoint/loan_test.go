package endpoint

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hermesboard/hermes/agents"
)

// TestLoans: what one request sends is never seen in another's, although they
// use the same memory, and although an upstream answers before it has read all.
func TestLoans(t *testing.T) {
	var mixed, whole atomic.Int32
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		say(w, agents.Anthropic, false)
		w.(http.Flusher).Flush() // it has answered
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it was hung up on
		}
		whole.Add(1)
		text := body[bytes.IndexByte(body, '#')+1 : len(body)-3]
		if !bytes.Equal(text, bytes.Repeat(text[:1], 200_000)) {
			mixed.Add(1)
		}
	})
	b := newBench(t, agents.Anthropic, nil, func(_ *Options, s *httptest.Server) {
		s.Config.Handler, s.EnableHTTP2 = upstream, true
	})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 10 {
				body := `{"model":"m1","messages":["#` + strings.Repeat(string(rune('a'+(i+n)%26)), 200_000) + `"]}`
				b.read(t, b.client, b.ask(t, body))
			}
		})
	}
	all.Wait()
	if mixed.Load() > 0 || whole.Load() == 0 {
		t.Errorf("got %d requests with something else in them, of %d", mixed.Load(), whole.Load())
	}
}
