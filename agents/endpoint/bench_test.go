package endpoint

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// direct asks the upstream itself, in the same way.
func (b *bench) direct(tb testing.TB, body string) *http.Request {
	req := b.ask(tb, body)
	at, err := http.NewRequest(http.MethodPost, b.upstream.URL+req.URL.Path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	at.Header = req.Header
	return at
}

// read asks and reads to the end; errors are told from any goroutine.
func (b *bench) read(tb testing.TB, c *http.Client, req *http.Request) (n int64) {
	res, err := c.Do(req)
	if err != nil {
		tb.Error(err)
		return 0
	}
	defer res.Body.Close()
	if n, err = io.Copy(io.Discard, res.Body); err != nil {
		tb.Error(err)
	}
	return n
}

// BenchmarkOverhead compares one request through the endpoint with the same
// sent straight to the upstream, in turns; the medians count.
func BenchmarkOverhead(tb *testing.B) {
	for _, kb := range []int{5, 100, 1000} {
		tb.Run(fmt.Sprintf("%dkB", kb), func(tb *testing.B) {
			const text = "func main() {\\n\\tfmt.Println(\\\"as models are shown it\\\")\\n}\\n"
			b := newBench(tb, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) { say(w, agents.Anthropic, true) })
			far := b.upstream.Client()
			said := `{"role":"user","content":[{"type":"text","text":"` + strings.Repeat(text, 16) + `"}]},`
			body := `{"model":"m1","stream":true,"messages":[` + strings.Repeat(said, kb*1000/len(said)) + `{}]}`
			b.read(tb, far, b.direct(tb, body))
			b.read(tb, b.client, b.ask(tb, body))
			var straight, through []time.Duration
			for tb.Loop() {
				began := time.Now()
				b.read(tb, far, b.direct(tb, body))
				between := time.Now()
				b.read(tb, b.client, b.ask(tb, body))
				straight, through = append(straight, between.Sub(began)), append(through, time.Since(between))
			}
			median := func(all []time.Duration) float64 {
				slices.Sort(all)
				return float64(all[len(all)/2].Microseconds()) / 1000
			}
			tb.ReportMetric(median(straight), "direct-ms")
			tb.ReportMetric(median(through), "through-ms")
			tb.ReportMetric(median(through)-median(straight), "overhead-ms")
		})
	}
}

// BenchmarkStreams compares 64 streams at once through the endpoint with 64
// straight to the upstream: at the pace of a fast model, and as fast as they go.
func BenchmarkStreams(tb *testing.B) {
	const streams = 64
	event := "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" and so on and on\"}}\n\n"
	for name, c := range map[string]struct {
		events int
		pace   time.Duration // between events
	}{"200-events-a-second": {400, 5 * time.Millisecond}, "as-fast-as-it-goes": {20_000, 0}} {
		tb.Run(name, func(tb *testing.B) {
			b := newBench(tb, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				next := time.Now()
				for range c.events {
					if _, err := io.WriteString(w, event); err != nil {
						return
					}
					if c.pace > 0 {
						w.(http.Flusher).Flush()
						next = next.Add(c.pace)
						time.Sleep(time.Until(next))
					}
				}
				say(w, agents.Anthropic, true)
			}, func(_ *Options, s *httptest.Server) { s.EnableHTTP2 = false })
			far := b.upstream.Client()
			far.Transport.(*http.Transport).MaxIdleConnsPerHost = streams
			round := func(ask func() *http.Request, client *http.Client) float64 {
				var all sync.WaitGroup
				var mu sync.Mutex
				var bytes int64
				began := time.Now()
				for range streams {
					all.Go(func() {
						n := b.read(tb, client, ask())
						mu.Lock()
						defer mu.Unlock()
						bytes += n
					})
				}
				all.Wait()
				return float64(bytes) / time.Since(began).Seconds() / 1e6
			}
			straight := func() float64 { return round(func() *http.Request { return b.direct(tb, streamed) }, far) }
			through := func() float64 { return round(func() *http.Request { return b.ask(tb, streamed) }, b.client) }
			straight() // connections
			through()
			var x, y []float64
			for tb.Loop() {
				x, y = append(x, straight()), append(y, through())
			}
			slices.Sort(x)
			slices.Sort(y)
			one, two := x[len(x)/2], y[len(y)/2]
			tb.ReportMetric(one, "direct-MB/s")
			tb.ReportMetric(two, "through-MB/s")
			tb.ReportMetric(100*(1-two/one), "loss-%")
		})
	}
}
