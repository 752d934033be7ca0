package endpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/events"
)

type testServer = httptest.Server

const anyReset = -1

func TestRefused(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) string { return now.Add(d).UTC().Format(time.RFC3339) }
	for name, c := range map[string]struct {
		api    string
		status int
		body   string
		header http.Header
		want   events.Outcome
		retry  time.Duration
	}{
		"wrong key":        {agents.Anthropic, 401, `{"type":"error","error":{"type":"authentication_error","message":"x"}}`, nil, events.OutcomeAuthFailed, 0},
		"not allowed":      {agents.Anthropic, 403, `no JSON`, nil, events.OutcomeAuthFailed, 0},
		"billing":          {agents.Anthropic, 402, `{"type":"error","error":{"type":"billing_error"}}`, nil, events.OutcomeNoCredit, 0},
		"type over status": {agents.Anthropic, 400, `{"type":"error","error":{"type":"billing_error"}}`, nil, events.OutcomeNoCredit, 0},
		"prose is nothing": {agents.Anthropic, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"your credit balance: rate_limit_error 429"}}`, nil, events.OutcomeInvalidRequest, 0},
		"no quota":         {agents.OpenAIChat, 429, `{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}`, http.Header{"X-Ratelimit-Reset-Requests": {"1s"}}, events.OutcomeNoCredit, anyReset},
		"spend limit":      {agents.OpenAIResponses, 429, `{"error":{"type":"insufficient_quota","code":"project_spend_limit_exceeded"}}`, nil, events.OutcomeNoCredit, 0},
		"a number as code": {agents.OpenAIChat, 402, `{"error":{"code":402,"message":"x"}}`, nil, events.OutcomeNoCredit, 0},
		"overloaded":       {agents.Anthropic, 529, `{"type":"error","error":{"type":"overloaded_error"}}`, nil, events.OutcomeOverloaded, 0},
		"unavailable":      {agents.OpenAIChat, 503, ``, http.Header{"Retry-After": {"30"}}, events.OutcomeOverloaded, 30 * time.Second},
		"broken":           {agents.OpenAIResponses, 500, `<html>`, nil, events.OutcomeOverloaded, 0},
		"request's fault":  {agents.OpenAIResponses, 400, `{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}`, nil, events.OutcomeInvalidRequest, 0},
		"too much said":    {agents.OpenAIResponses, 500, strings.Repeat("x", maxError+1), nil, events.OutcomeOverloaded, 0},

		"seconds":            {agents.Anthropic, 429, `{}`, http.Header{"Retry-After": {"90"}, "Anthropic-Ratelimit-Tokens-Reset": {in(5 * time.Minute)}}, events.OutcomeRateLimited, 90 * time.Second},
		"a date":             {agents.Anthropic, 429, `{}`, http.Header{"Retry-After": {now.Add(2 * time.Minute).UTC().Format(http.TimeFormat)}}, events.OutcomeRateLimited, 2 * time.Minute},
		"milliseconds":       {agents.OpenAIChat, 429, `{}`, http.Header{"Retry-After-Ms": {"4000"}, "Retry-After": {"7"}}, events.OutcomeRateLimited, 4 * time.Second},
		"what is used up":    {agents.Anthropic, 429, `{}`, http.Header{"Anthropic-Ratelimit-Requests-Reset": {in(time.Hour)}, "Anthropic-Ratelimit-Requests-Remaining": {"9"}, "Anthropic-Ratelimit-Tokens-Reset": {in(5 * time.Minute)}, "Anthropic-Ratelimit-Tokens-Remaining": {"0"}}, events.OutcomeRateLimited, 5 * time.Minute},
		"of a plan":          {agents.Anthropic, 429, `{}`, http.Header{"Anthropic-Ratelimit-Unified-Reset": {strconv.FormatInt(now.Add(3*time.Hour).Unix(), 10)}}, events.OutcomeRateLimited, 3 * time.Hour},
		"durations":          {agents.OpenAIChat, 429, `{}`, http.Header{"X-Ratelimit-Reset-Requests": {"120ms"}, "X-Ratelimit-Reset-Tokens": {"6m0s"}}, events.OutcomeRateLimited, 6 * time.Minute},
		"durations, used up": {agents.OpenAIChat, 429, `{}`, http.Header{"X-Ratelimit-Reset-Requests": {"9s"}, "X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Tokens": {"6m0s"}, "X-Ratelimit-Remaining-Tokens": {"7"}}, events.OutcomeRateLimited, 9 * time.Second},
		"said inside":        {agents.OpenAIResponses, 429, `{"error":{"type":"usage_limit_reached","resets_in_seconds":600}}`, nil, events.OutcomeRateLimited, 10 * time.Minute},
		"nonsense":           {agents.Anthropic, 429, `{}`, http.Header{"Retry-After": {"1e300"}, "X-Ratelimit-Reset-Tokens": {"-5s"}}, events.OutcomeRateLimited, 0},
		"not a number":       {agents.Anthropic, 429, `{}`, http.Header{"Retry-After": {"NaN"}}, events.OutcomeRateLimited, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.api, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range c.header {
					w.Header()[k] = v
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			res, body := b.do(t, b.ask(t, streamed))
			f := b.Failure()
			inside := c.status
			if c.want == events.OutcomeNoCredit || f.Retry > longWait {
				inside = http.StatusPaymentRequired
			}
			if res.StatusCode != inside || f.Outcome != c.want || f.Status != c.status && c.want != 0 {
				t.Errorf("got %d %s and %+v, want %d and %v", res.StatusCode, body, f, inside, c.want)
			}
			if d := f.Retry - c.retry; c.retry != anyReset && (d < -90*time.Second || d > 2*time.Second || (c.retry == 0) != (f.Retry == 0)) {
				t.Errorf("again after %v, want %v", f.Retry, c.retry)
			}
			if c.want == events.OutcomeAuthFailed && !strings.Contains(body, "the upstream refuses this agent's credential") {
				t.Errorf("got %s", body)
			}
			if r := b.Report(); r.CostMicros != 0 || r.Estimated != 0 {
				t.Errorf("a refusal costs: %+v", r)
			}
			if inside == http.StatusPaymentRequired && (res.Header.Get("X-Should-Retry") != "false" || res.Header.Get("Retry-After") != "") {
				t.Errorf("it will be waited for: %v", res.Header)
			}
		})
	}
}

// TestPatience: a program that asks for ever is told to end.
func TestPatience(t *testing.T) {
	fails := true
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
		if fails {
			w.WriteHeader(529)
			return
		}
		say(w, agents.Anthropic, false)
	})
	ask := func(n, want int) {
		t.Helper()
		for range n {
			if res, body := b.do(t, b.ask(t, plain)); res.StatusCode != want {
				t.Fatalf("got %d %s, want %d", res.StatusCode, body, want)
			}
		}
	}
	ask(patience-1, 529)
	fails = false
	ask(1, 200)
	fails = true
	ask(patience, 529)
	fails = false
	ask(3, 402)
	if f := b.Failure(); f.Outcome != events.OutcomeOverloaded || b.count() != 2*patience {
		t.Errorf("got %+v after %d requests", f, b.count())
	}
}

// TestInTheMiddle: a stream fails after it began well.
func TestInTheMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		api, body string
		want      events.Outcome
		broken    bool
	}{
		"overloaded":     {agents.Anthropic, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n", events.OutcomeOverloaded, false},
		"rate":           {agents.OpenAIResponses, "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\"}}}\n\n", events.OutcomeRateLimited, false},
		"error event":    {agents.OpenAIResponses, "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"\\\"error\\\"\",\"error\":null}\n\n", events.OutcomeOverloaded, false},
		"chat":           {agents.OpenAIChat, "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n", events.OutcomeNoCredit, false},
		"no end":         {agents.Anthropic, "data: {\"type\":\"ping\"}\n\n", events.OutcomeOverloaded, false},
		"no JSON":        {agents.Anthropic, "data: hello\n\ndata: {\"type\":\"message_stop\"}\n\n", events.OutcomeOverloaded, false},
		"bad JSON":       {agents.Anthropic, "data: {\"usage\":\"x\"\n\ndata: {\"type\":\"message_stop\"}\n\n", events.OutcomeOverloaded, false},
		"odd usage":      {agents.Anthropic, "data: {\"type\":\"message_delta\",\"usage\":[1]}\n\ndata: {\"type\":\"message_stop\"}\n\n", events.OutcomeOverloaded, false},
		"cut off":        {agents.Anthropic, "", events.OutcomeOverloaded, true},
		"fine after all": {agents.Anthropic, answers[agents.Anthropic][0], 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.api, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				io.WriteString(w, "data: {\"type\":\"ping\"}\n\n"+c.body)
				w.(http.Flusher).Flush()
				if c.broken {
					panic(http.ErrAbortHandler)
				}
			})
			b.books.failed(Failure{Outcome: events.OutcomeRateLimited}) // earlier
			res, err := b.client.Do(b.ask(t, streamed))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if (err != nil) != c.broken || string(body) != "data: {\"type\":\"ping\"}\n\n"+c.body {
				t.Errorf("got %q, %v", body, err)
			}
			b.eventually(t, "it is known", func() bool { return b.Failure().Outcome == c.want })
		})
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	b := newBench(t, agents.Anthropic, nil, set(func(o *Options) { o.Config.Upstream = "http://" + l.Addr().String() }))
	res, body := b.do(t, b.ask(t, plain))
	f := b.Failure()
	if res.StatusCode != http.StatusBadGateway || strings.Contains(body, "127.0.0.1") || f.Outcome != events.OutcomeOverloaded || !strings.Contains(f.Reason, "cannot be reached") {
		t.Errorf("got %d %s, %+v", res.StatusCode, body, f)
	}

	b = newBench(t, agents.Anthropic, nil)
	b.client = &http.Client{} // against an endpoint that does not know the upstream's certificate
	opts := b.opts
	opts.TLS = nil
	strict, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	req := b.ask(t, plain)
	req.URL.Scheme, req.URL.Host = "", ""
	strict.ServeHTTP(w, req)
	if f := strict.Failure(); w.Code != http.StatusBadGateway || b.count() != 0 || !strings.Contains(f.Reason, "certificate") {
		t.Errorf("got %d, %+v after %d requests", w.Code, f, b.count())
	}
}

// TestSilent: an upstream that never ends is given up when it says nothing.
func TestSilent(t *testing.T) {
	for name, body := range map[string]string{"before the head": "", "in the middle": "data: {\"type\":\"ping\"}\n\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gone := make(chan struct{})
			b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
				if body != "" {
					w.Header().Set("Content-Type", "text/event-stream")
					io.WriteString(w, body)
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
				close(gone)
			}, set(func(o *Options) { o.Idle = 2 * time.Second }))
			res, err := b.client.Do(b.ask(t, streamed))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			got, err := io.ReadAll(res.Body)
			if body == "" && res.StatusCode != http.StatusGatewayTimeout || body != "" && (err == nil || string(got) != body) {
				t.Errorf("got %d %q, %v", res.StatusCode, got, err)
			}
			<-gone
			b.eventually(t, "it is known", func() bool { return strings.HasSuffix(b.Failure().Reason, "says nothing for 2s") })
		})
	}
}

// TestEndless: an answer that goes on for ever is broken off, paid, and the last.
func TestEndless(t *testing.T) {
	gone := make(chan struct{})
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat(wordy[agents.Anthropic], 100)); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}, set(func(o *Options) { o.Longest = 500 * time.Millisecond }))
	res, err := b.client.Do(b.ask(t, streamed))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Errorf("an endless answer looks whole after %d bytes", n)
	}
	<-gone
	b.eventually(t, "it is known", func() bool { return strings.HasSuffix(b.Failure().Reason, "does not end its answer within 500ms") })
	if r := b.Report(); r.Failure.Outcome != events.OutcomeOverloaded || r.Estimated != 1 || r.Tokens.Output == 0 {
		t.Errorf("got %+v", r)
	}
	if res, said := b.do(t, b.ask(t, streamed)); res.StatusCode != http.StatusPaymentRequired || !strings.Contains(said, "not asked any more") || b.count() != 1 {
		t.Errorf("got %d %s after %d requests", res.StatusCode, said, b.count())
	}
}

// TestLongLine: a line of 200 MB goes through, in little memory; what comes
// after it is counted.
func TestLongLine(t *testing.T) {
	size := 200 << 20
	if testing.Short() {
		size = 20 << 20
	}
	block := bytes.Repeat([]byte("x"), 1<<20)
	for _, api := range []string{agents.Anthropic, agents.OpenAIChat} {
		b := newBench(t, api, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, `data: {"x":"`)
			for range size / len(block) {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
			io.WriteString(w, "\"}\n\n"+answers[api][0])
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := b.client.Do(b.ask(t, streamed))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		runtime.ReadMemStats(&after)
		if err != nil || n < int64(size) {
			t.Errorf("%s: got %d bytes, %v", api, n, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
			t.Errorf("%s: it took %d MiB", api, grown>>20)
		}
		if r := b.Report(); r.Tokens != answerTokens || r.Failure != (Failure{}) {
			t.Errorf("%s: got %+v", api, r)
		}
	}
}

// TestLongAnswer: an answer that is no stream and too long to be looked at is
// passed on, and estimated.
func TestLongAnswer(t *testing.T) {
	long := `{"x":"` + strings.Repeat("x", maxWhole) + `","usage":{"input_tokens":1}}`
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, long)
	})
	if _, body := b.do(t, b.ask(t, plain)); body != long {
		t.Errorf("got %d bytes, want %d", len(body), len(long))
	}
	b.eventually(t, "it is booked", func() bool {
		r := b.Report()
		return r.Estimated == 1 && r.Tokens.Output > maxWhole/5 && r.Tokens.Output <= maxWhole/3
	})
}

// TestCanary: nothing that comes inside, or is reported, has the credential in
// it, whatever the upstream does with it.
func TestCanary(t *testing.T) {
	for _, api := range []string{agents.Anthropic, agents.OpenAIResponses, agents.OpenAIChat} {
		for _, status := range []int{200, 302, 400, 401, 403, 404, 429, 500, 529} {
			for _, stream := range []bool{true, false} {
				b := newBench(t, api, func(w http.ResponseWriter, r *http.Request) {
					key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + r.Header.Get("X-Api-Key")
					if key != canary {
						t.Errorf("got credential %q", key)
					}
					for _, h := range []string{"Request-Id", "Retry-After", "X-Ratelimit-Echo", "Anthropic-Ratelimit-X", "Set-Cookie", "Location", "X-Echo", "Cache-Control"} {
						w.Header().Set(h, "a"+key)
					}
					w.Header().Set("Trailer", "X-Trailer")
					kind, prefix := "application/json", ""
					if stream {
						kind, prefix = "text/event-stream", "data: "
					}
					w.Header().Set("Content-Type", kind+"; x="+key)
					w.WriteHeader(status)
					said := fmt.Sprintf(`%s{"type":%q,"error":{"type":%q,"code":%q,"message":%q},"usage":{}}`+"\n\n", prefix, key, key, key, "Incorrect API key provided: "+key)
					io.WriteString(w, said[:len(said)-40])
					w.(http.Flusher).Flush()
					io.WriteString(w, said[len(said)-40:]+"data: "+key[:11])
					w.(http.Flusher).Flush()
					io.WriteString(w, key[11:]+"\n\n")
					w.Header().Set("X-Trailer", key)
				})
				req := b.ask(t, streamed)
				req.Header.Set("User-Agent", "x")
				res, err := b.client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				report, err := json.Marshal(b.Report())
				if err != nil {
					t.Fatal(err)
				}
				all := fmt.Sprintf("%v %v %s %s %+v %+v %v %v %#v %v", res.Header, res.Trailer, body, report, b.Report(), b.Failure(), b.Spent(), b.Egress(), b.opts.Credential, b.opts)
				for _, part := range []string{canary, canary[8:], canary[:len(canary)-8]} {
					if strings.Contains(all, part) {
						t.Errorf("%s %d stream=%v: it shows in %s", api, status, stream, all)
					}
				}
			}
		}
	}
	if _, err := New(Options{Config: agents.Endpoint{Upstream: "https://" + canary + ":x@host:port"}, Token: profile.NewSecret("x")}); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("got %v", err)
	}
}
