package endpoint

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
)

// TestBudget: the answer with which a budget is crossed is finished, and the
// next request never leaves the house.
func TestBudget(t *testing.T) {
	for api := range answers {
		for name, budget := range map[string]Budget{
			"money":  {CostMicros: 2 * answerCost, What: "a run"},
			"tokens": {Tokens: 2 * 1060, What: "a run"},
		} {
			t.Run(api+"/"+name, func(t *testing.T) {
				t.Parallel()
				var warned atomic.Int32
				b := newBench(t, api, func(w http.ResponseWriter, r *http.Request) { say(w, api, true) }, set(func(o *Options) {
					o.Budgets = func() []Budget { return []Budget{{}, budget} }
					o.Warn = func(of Budget, r Report) {
						if of != budget || r.CostMicros == 0 {
							t.Errorf("warned of %+v at %+v", of, r)
						}
						warned.Add(1)
					}
				}))
				for n := range 2 {
					if res, body := b.do(t, b.ask(t, streamed)); res.StatusCode != 200 || !strings.Contains(body, "data: ") {
						t.Fatalf("got %d %s", res.StatusCode, body)
					}
					if n == 0 && b.Failure() != (Failure{}) {
						t.Errorf("got %+v within the budget", b.Failure())
					}
				}
				for range 3 {
					res, body := b.do(t, b.ask(t, streamed))
					if res.StatusCode != http.StatusPaymentRequired || !strings.Contains(body, "the budget of a run is spent") || res.Header.Get("X-Should-Retry") != "false" {
						t.Errorf("got %d %s", res.StatusCode, body)
					}
				}
				if b.count() != 2 || warned.Load() != 1 {
					t.Errorf("the upstream was asked %d times, with %d warnings", b.count(), warned.Load())
				}
				if r := b.Report(); r.Failure.Outcome != events.OutcomeOverBudget || r.Failure.Reason != "the budget of a run is spent" || r.Refused != 3 {
					t.Errorf("got %+v", r)
				}
			})
		}
	}
}

// TestBudgetOfOthers: what others have spent counts as it stands.
func TestBudgetOfOthers(t *testing.T) {
	var left atomic.Int64
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) { say(w, agents.Anthropic, false) }, set(func(o *Options) {
		o.Budgets = func() []Budget { return []Budget{{CostMicros: left.Load(), What: "the day"}} }
	}))
	for _, c := range []struct {
		left int64
		want int
	}{{-1, 402}, {1, 200}, {1, 402}, {0, 200}, {-1, 402}, {10 * answerCost, 200}} {
		left.Store(c.left)
		if res, body := b.do(t, b.ask(t, plain)); res.StatusCode != c.want {
			t.Errorf("with %d left got %d %s, want %d", c.left, res.StatusCode, body, c.want)
		}
	}
}

// TestOthersAreCut: an answer under way gets no byte more when another one
// crosses the budget; that one is finished.
func TestOthersAreCut(t *testing.T) {
	began := make(chan struct{}, 2)
	goOn, cut := make(chan struct{}), make(chan struct{})
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: {\"type\":\"ping\"}\n\n")
		w.(http.Flusher).Flush()
		began <- struct{}{}
		if r.Header.Get("Idempotency-Key") == "slow" {
			<-r.Context().Done()
			close(cut)
			return
		}
		<-goOn
		say(w, agents.Anthropic, true)
	}, set(func(o *Options) { o.Budgets = func() []Budget { return []Budget{{Tokens: 1}} } }))
	slow := b.ask(t, streamed)
	slow.Header.Set("Idempotency-Key", "slow")
	res, err := b.client.Do(slow)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-began
	const ping = "data: {\"type\":\"ping\"}\n\n"
	first := make([]byte, len(ping))
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != ping {
		t.Fatalf("got %q, %v", first, err)
	}
	go func() { <-began; close(goOn) }()
	if _, body := b.do(t, b.ask(t, streamed)); !strings.HasSuffix(body, "message_stop\"}\n\n") {
		t.Errorf("the answer that crossed it ends with %q", body)
	}
	rest, err := io.ReadAll(res.Body)
	if err == nil || len(rest) > 0 {
		t.Errorf("got %q and %v, want it cut off", rest, err)
	}
	<-cut
	b.eventually(t, "the other is booked", func() bool { return b.Report().Estimated == 1 })
	if f := b.Failure(); f.Outcome != events.OutcomeOverBudget {
		t.Errorf("got %+v", f)
	}
}

// TestPriceless: where prices are given and money is bounded, no model goes by
// without one.
func TestPriceless(t *testing.T) {
	for name, c := range map[string]struct {
		prices []agents.Price
		budget Budget
		want   int
	}{
		"money bounded":  {[]agents.Price{{Model: "opus"}}, Budget{CostMicros: 5}, 400},
		"tokens bounded": {[]agents.Price{{Model: "opus"}}, Budget{Tokens: 5}, 200},
		"no prices":      {nil, Budget{CostMicros: 5}, 200},
	} {
		b := newBench(t, agents.OpenAIChat, func(w http.ResponseWriter, r *http.Request) { say(w, agents.OpenAIChat, false) },
			set(func(o *Options) { o.Config.Prices, o.Budgets = c.prices, func() []Budget { return []Budget{c.budget} } }))
		res, body := b.do(t, b.ask(t, plain))
		if res.StatusCode != c.want {
			t.Errorf("%s: got %d %s, want %d", name, res.StatusCode, body, c.want)
		}
		if r := b.Report(); c.want == 200 && (len(r.Models) != 1 || r.Models[0].Priced || r.CostMicros != 0) {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// TestHungUp: an agent that does not wait for the end pays all the same, and
// the upstream is told to stop.
func TestHungUp(t *testing.T) {
	for api, want := range map[string]agents.Tokens{
		agents.Anthropic:       {Input: 700, Output: 2},
		agents.OpenAIResponses: {Input: 100, Output: 2},
		agents.OpenAIChat:      {Input: 100, Output: 2},
	} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			stopped := make(chan struct{})
			b := newBench(t, api, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				if api == agents.Anthropic {
					io.WriteString(w, "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":700,\"output_tokens\":1}}}\n\ndata: {}\n\n")
				} else {
					io.WriteString(w, "data: {}\n\ndata: {}\n\n")
				}
				w.(http.Flusher).Flush()
				<-r.Context().Done()
				close(stopped)
			})
			body := `{"model":"m1","stream":true,"stream_options":{"include_usage":true},"x":"`
			body += strings.Repeat("x", 400-len(body)-2) + `"}`
			res, err := b.client.Do(b.ask(t, body))
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(res.Body)
			for range 4 {
				if _, err := lines.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			res.Body.Close()
			select {
			case <-stopped:
			case <-time.After(20 * time.Second):
				t.Fatal("the upstream goes on")
			}
			b.eventually(t, "it is booked", func() bool { return b.Report().Estimated == 1 })
			if r := b.Report(); r.Tokens != want || r.CostMicros == 0 || r.Failure != (Failure{}) {
				t.Errorf("got %+v, want %+v", r, want)
			}
		})
	}
}

// TestManyStreams: sums are right whatever runs at once.
func TestManyStreams(t *testing.T) {
	const streams, each = 64, 4
	for _, http2 := range []bool{false, true} {
		var all sync.WaitGroup
		arrived := make(chan struct{}, streams)
		b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			say(w, agents.Anthropic, true)
		}, func(o *Options, s *testServer) { s.EnableHTTP2 = http2 })
		go func() {
			for range streams * each {
				<-arrived
			}
		}()
		for range streams {
			all.Go(func() {
				for range each {
					res, err := b.client.Do(b.ask(t, streamed))
					if err != nil {
						t.Error(err)
						return
					}
					body, err := io.ReadAll(res.Body)
					res.Body.Close()
					if err != nil || string(body) != answers[agents.Anthropic][0] {
						t.Errorf("got %q, %v", body, err)
					}
				}
			})
		}
		all.Wait()
		if r := b.Report(); r.CostMicros != streams*each*answerCost || r.Tokens.Output != streams*each*answerTokens.Output || r.Requests != streams*each || r.Estimated != 0 {
			t.Errorf("got %+v", r)
		}
	}
}
