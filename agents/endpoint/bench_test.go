package endpoint

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
			var straight, through []float64 // ms
			for tb.Loop() {
				began := time.Now()
				b.read(tb, far, b.direct(tb, body))
				between := time.Now()
				b.read(tb, b.client, b.ask(tb, body))
				straight, through = append(straight, between.Sub(began).Seconds()*1000), append(through, time.Since(between).Seconds()*1000)
			}
			tb.ReportMetric(median(straight), "direct-ms")
			tb.ReportMetric(median(through), "through-ms")
			tb.ReportMetric(median(through)-median(straight), "overhead-ms")
		})
	}
}

// relayed is a client whose connections go through a bare relay: what it costs
// that bytes take one more way, whoever carries them.
func (b *bench) relayed(tb testing.TB) *http.Client {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { carryBare(c, b.upstream.Listener.Addr().String()) })
		}
	})
	transport := b.upstream.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		l.Close()
		open.Wait()
	})
	return &http.Client{Transport: transport}
}

// carryBare copies both ways until one of them ends.
func carryBare(c net.Conn, upstream string) {
	defer c.Close()
	far, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(far, c)
		far.Close()
	})
	io.Copy(c, far)
	c.Close()
	back.Wait()
}

// paced answers with so many events, one each pace.
func paced(events int, pace time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		next := time.Now()
		for range events {
			if _, err := io.WriteString(w, wordy[agents.Anthropic]); err != nil {
				return
			}
			if pace > 0 {
				w.(http.Flusher).Flush()
				next = next.Add(pace)
				time.Sleep(time.Until(next))
			}
		}
		say(w, agents.Anthropic, true)
	}
}

// BenchmarkStreams compares 64 streams at once straight to the upstream, through
// a bare relay, and through the endpoint: at the pace of a fast model, and as
// fast as they go, where client, upstream and what is between them share the
// processors and the relay is the least that anything between can cost.
func BenchmarkStreams(tb *testing.B) {
	for name, upstream := range map[string]http.HandlerFunc{"200-events-a-second": paced(400, 5*time.Millisecond), "as-fast-as-it-goes": paced(20_000, 0)} {
		tb.Run(name, func(tb *testing.B) {
			const streams = 64
			b := newBench(tb, agents.Anthropic, upstream, func(_ *Options, s *httptest.Server) { s.EnableHTTP2 = false })
			far, bare := b.upstream.Client(), b.relayed(tb)
			far.Transport.(*http.Transport).MaxIdleConnsPerHost = streams
			bare.Transport.(*http.Transport).MaxIdleConnsPerHost = streams
			ways := []func() float64{
				func() float64 { return b.streams(tb, streams, far, b.direct) },
				func() float64 { return b.streams(tb, streams, bare, b.direct) },
				func() float64 { return b.streams(tb, streams, b.client, b.ask) },
			}
			for _, way := range ways { // connections
				way()
			}
			rates := make([][]float64, len(ways))
			var beside []float64 // of each round: what else this machine does changes from one to the next
			for tb.Loop() {
				for i, way := range ways {
					rates[i] = append(rates[i], way())
				}
				last := len(rates[0]) - 1
				beside = append(beside, rates[2][last]/rates[1][last])
			}
			straight, relay, through := median(rates[0]), median(rates[1]), median(rates[2])
			tb.ReportMetric(straight, "direct-MB/s")
			tb.ReportMetric(relay, "relay-MB/s")
			tb.ReportMetric(through, "endpoint-MB/s")
			tb.ReportMetric(100*(1-relay/straight), "relay-loss-%")
			tb.ReportMetric(100*(1-through/straight), "endpoint-loss-%")
			tb.ReportMetric(median(beside), "endpoint/relay")
		})
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// streams reads n answers at once and returns how many MB a second that makes.
func (b *bench) streams(tb testing.TB, n int, client *http.Client, ask func(testing.TB, string) *http.Request) float64 {
	var all sync.WaitGroup
	var bytes atomic.Int64
	began := time.Now()
	for range n {
		all.Go(func() { bytes.Add(b.read(tb, client, ask(tb, streamed))) })
	}
	all.Wait()
	return float64(bytes.Load()) / time.Since(began).Seconds() / 1e6
}
