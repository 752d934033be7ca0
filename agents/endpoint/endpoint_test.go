package endpoint

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

const (
	runToken = "run-token-worth-nothing"
	canary   = "sk-canary-0123456789abcdef-never-inside"
)

// ears keeps what an upstream was asked.
type ears struct {
	mu   sync.Mutex
	asks []*http.Request // guarded by mu
	said []string        // their bodies; guarded by mu
}

func (e *ears) hear(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		e.mu.Lock()
		e.asks, e.said = append(e.asks, r), append(e.said, string(b))
		e.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (e *ears) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.asks) == 0 {
		t.Fatal("the upstream was asked nothing")
	}
	return e.asks[len(e.asks)-1], e.said[len(e.said)-1]
}

func (e *ears) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.asks)
}

// bench is an endpoint between a client and an upstream, over real sockets.
type bench struct {
	*Endpoint
	ears
	upstream *httptest.Server
	url      string // of the endpoint
	client   *http.Client
}

type change func(*Options, *httptest.Server)

func set(up func(*Options)) change { return func(o *Options, _ *httptest.Server) { up(o) } }

func newBench(t testing.TB, kind string, upstream http.HandlerFunc, changes ...change) *bench {
	t.Helper()
	b := &bench{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}}
	b.upstream = httptest.NewUnstartedServer(b.hear(upstream))
	opts := Options{
		Config: agents.Endpoint{Kind: kind, Prices: []agents.Price{{Model: "m*", Input: 3_000_000, Output: 15_000_000, CacheRead: 300_000, CacheWrite: 3_750_000, AsOf: "2026-11-22"}}},
		Token:  profile.NewSecret(runToken), Credential: profile.NewSecret(canary),
	}
	b.upstream.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, c := range changes {
		c(&opts, b.upstream)
	}
	b.upstream.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(b.upstream.Certificate())
	opts.TLS = &tls.Config{RootCAs: roots}
	if opts.Config.Upstream == "" {
		opts.Config.Upstream = b.upstream.URL
	}
	var err error
	if b.Endpoint, err = New(opts); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, l) }()
	t.Cleanup(func() {
		b.client.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		b.Close()
		b.upstream.CloseClientConnections()
		b.upstream.Close()
	})
	return b
}

var paths = map[string]string{agents.Anthropic: "/v1/messages", agents.OpenAIResponses: "/v1/responses", agents.OpenAIChat: "/v1/chat/completions"}

func (b *bench) ask(t testing.TB, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+paths[b.opts.Config.Kind], strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", runToken)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// do asks and reads the whole answer.
func (b *bench) do(t testing.TB, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("the answer was broken off: %v", err)
	}
	return res, string(body)
}

func (b *bench) eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to it: %s; %+v", what, b.Report())
		}
		<-time.After(5 * time.Millisecond)
	}
}

const streamed, plain = `{"model":"m1","stream":true,"messages":[]}`, `{"model":"m1","messages":[]}`

// answers are what the three APIs answer, as a stream and not.
var answers = map[string][2]string{
	agents.Anthropic: {
		"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"x\",\"usage\":{\"input_tokens\":1000,\"cache_creation_input_tokens\":40,\"cache_read_input_tokens\":300,\"output_tokens\":1}}}\n\n" +
			"event: ping\ndata: {\"type\":\"ping\"}\n\n" +
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"say \\\"usage\\\": {\\\"output_tokens\\\": 99999}\"}}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":20}}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
		`{"id":"x","type":"message","content":[],"usage":{"input_tokens":1000,"cache_creation_input_tokens":40,"cache_read_input_tokens":300,"output_tokens":20}}`,
	},
	agents.OpenAIResponses: {
		"event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null,\"error\":null}}\r\n\r\n" +
			"event: response.output_text.delta\r\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\r\n\r\n" +
			"event: response.completed\r\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"error\":null,\"usage\":{\"input_tokens\":1340,\"input_tokens_details\":{\"cached_tokens\":300,\"cache_write_tokens\":40},\"output_tokens\":20,\"total_tokens\":1360}}}\r\n\r\n",
		`{"id":"x","object":"response","error":null,"usage":{"input_tokens":1340,"input_tokens_details":{"cached_tokens":300,"cache_write_tokens":40},"output_tokens":20}}`,
	},
	agents.OpenAIChat: {
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}],\"usage\":null}\n\n" +
			"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" +
			"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1340,\"prompt_tokens_details\":{\"cached_tokens\":300,\"cache_write_tokens\":40},\"completion_tokens\":20}}\n\n" +
			"data: [DONE]\n\n",
		`{"choices":[],"usage":{"prompt_tokens":1340,"prompt_tokens_details":{"cached_tokens":300,"cache_write_tokens":40},"completion_tokens":20}}`,
	},
}

// what each of them consumes, and costs: 3000 + 300 + 90 + 150 millionths.
var (
	answerTokens = agents.Tokens{Input: 1000, Output: 20, CacheRead: 300, CacheWrite: 40}
	answerCost   = int64(1000*3 + 20*15 + 90 + 150)
)

// say answers as the API does.
func say(w http.ResponseWriter, api string, stream bool) {
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answers[api][1])
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for _, event := range strings.SplitAfter(answers[api][0], "\n\n") {
		io.WriteString(w, event)
		w.(http.Flusher).Flush()
	}
}

func TestMetering(t *testing.T) {
	for api := range answers {
		for _, how := range []string{"http1", "http2", "gzip"} {
			for _, stream := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/stream=%v", api, how, stream), func(t *testing.T) {
					t.Parallel()
					b := newBench(t, api, func(w http.ResponseWriter, r *http.Request) {
						if (how == "http2") != (r.ProtoMajor == 2) || r.Header.Get("Accept-Encoding") != "identity" {
							t.Errorf("got HTTP %d asking for encoding %q", r.ProtoMajor, r.Header.Get("Accept-Encoding"))
						}
						if how == "gzip" { // some do not care what they are asked for
							w.Header().Set("Content-Encoding", "gzip")
							z := gzip.NewWriter(w)
							defer z.Close()
							w = zipped{w, z}
						}
						say(w, api, stream)
					}, func(_ *Options, s *httptest.Server) { s.EnableHTTP2 = how == "http2" })
					body, want := plain, answers[api][1]
					if stream {
						body, want = streamed, answers[api][0]
						if api == agents.OpenAIChat {
							body = `{"stream_options":{"include_usage":true},` + streamed[1:]
						}
					}
					for n := range int64(3) {
						res, got := b.do(t, b.ask(t, body))
						if res.StatusCode != 200 || got != want {
							t.Fatalf("got %d %q, want %q", res.StatusCode, got, want)
						}
						r := b.Report()
						if wantCost := answerCost * (n + 1); r.CostMicros != wantCost || r.Tokens.Input != answerTokens.Input*(n+1) || r.Estimated != 0 {
							t.Errorf("got cost %d, tokens %+v, want %d", r.CostMicros, r.Tokens, wantCost)
						}
					}
					r := b.Report()
					want3 := agents.Tokens{Input: 3000, Output: 60, CacheRead: 900, CacheWrite: 120}
					if r.Tokens != want3 || r.Model != "m1" || r.Requests != 3 || r.Refused != 0 || r.Failure != (Failure{}) || r.BytesIn == 0 || r.BytesOut == 0 {
						t.Errorf("got %+v", r)
					}
					u := b.Spent()
					if u.TokensIn != 3120 || u.TokensOut != 60 || u.TokensCache != 900 || u.CostMicros != 3*answerCost || u.Source != "endpoint" || u.Model != "m1" {
						t.Errorf("got usage %+v", u)
					}
					if g := b.Egress(); len(g) != 1 || g[0].Host != "127.0.0.1" || g[0].Requests != 3 || g[0].BytesIn != r.BytesIn {
						t.Errorf("got egress %+v", g)
					}
				})
			}
		}
	}
}

type zipped struct {
	http.ResponseWriter
	z *gzip.Writer
}

func (z zipped) Write(b []byte) (int, error) { return z.z.Write(b) }
func (z zipped) Flush()                      { z.z.Flush(); z.ResponseWriter.(http.Flusher).Flush() }

// TestAsItComes: each event is inside before the next is sent.
func TestAsItComes(t *testing.T) {
	for api := range answers {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			read := make(chan struct{})
			b := newBench(t, api, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for range 5 {
					io.WriteString(w, "data: {\"choices\":[{}]}\n\n")
					w.(http.Flusher).Flush()
					select {
					case <-read:
					case <-time.After(20 * time.Second):
						t.Error("the event did not come through")
						return
					}
				}
			})
			res, err := b.client.Do(b.ask(t, streamed))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			lines := bufio.NewReader(res.Body)
			for range 5 {
				if line, err := lines.ReadString('\n'); err != nil || line != "data: {\"choices\":[{}]}\n" {
					t.Fatalf("got %q, %v", line, err)
				}
				if _, err := lines.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				read <- struct{}{}
			}
		})
	}
}

// TestUsageOfChat: a stream's usage is always asked for, and kept from an agent
// that did not ask for it.
func TestUsageOfChat(t *testing.T) {
	all := answers[agents.OpenAIChat][0]
	events := strings.SplitAfter(all, "\n\n")
	without := events[0] + events[1] + events[3]
	for name, c := range map[string]struct{ body, sent, want string }{
		"nothing said": {streamed, `{"stream_options":{"include_usage":true},` + streamed[1:], without},
		"not wanted":   {`{"model":"m1","stream_options":{"include_usage":false,"x":1},"stream":true}`, `{"model":"m1","stream_options":{"include_usage":true,"x":1},"stream":true}`, without},
		"null":         {`{"model":"m1", "stream_options" : null ,"stream":true}`, `{"model":"m1", "stream_options" : {"include_usage":true} ,"stream":true}`, without},
		"wanted":       {`{"model":"m1","stream_options":{"include_usage":true},"stream":true}`, `{"model":"m1","stream_options":{"include_usage":true},"stream":true}`, all},
		"no stream":    {plain, plain, all},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, agents.OpenAIChat, func(w http.ResponseWriter, r *http.Request) { say(w, agents.OpenAIChat, true) })
			_, got := b.do(t, b.ask(t, c.body))
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if _, sent := b.last(t); sent != c.sent {
				t.Errorf("sent %s, want %s", sent, c.sent)
			}
			if r := b.Report(); r.Tokens != answerTokens || r.Failure != (Failure{}) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestWhatTheUpstreamSees(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("https_proxy", "http://127.0.0.1:1")
	for name, c := range map[string]struct {
		api, key string
		header   string // of the credential
		want     string
	}{
		"api key":    {agents.Anthropic, canary, "X-Api-Key", canary},
		"login":      {agents.Anthropic, "sk-ant-oat-xyz", "Authorization", "Bearer sk-ant-oat-xyz"},
		"openai":     {agents.OpenAIResponses, canary, "Authorization", "Bearer " + canary},
		"chat":       {agents.OpenAIChat, canary, "Authorization", "Bearer " + canary},
		"wants none": {agents.OpenAIChat, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.api, func(w http.ResponseWriter, r *http.Request) { say(w, c.api, false) },
				set(func(o *Options) { o.Credential = profile.NewSecret(c.key) }))
			req := b.ask(t, plain)
			req.URL.RawQuery = "beta=true"
			req.Header = http.Header{
				"Authorization": {"Bearer " + runToken}, "X-Api-Key": {"another"}, "Content-Type": {"application/json"}, "Accept": {"*/*"},
				"User-Agent": {"cli/1"}, "Anthropic-Version": {"2023-06-01"}, "Anthropic-Beta": {"a", "b"}, "Cookie": {"c=1"},
				"X-Forwarded-For": {"10.0.0.1"}, "Connection": {"X-Hop, keep-alive"}, "X-Hop": {"1"}, "Upgrade": {"websocket"}, "Te": {"trailers"},
				"Proxy-Authorization": {"Basic x"}, "X-Stainless-Os": {"Linux"}, "Openai-Organization": {"org"}, "Accept-Encoding": {"gzip, br"},
			}
			if res, got := b.do(t, req); res.StatusCode != 200 {
				t.Fatalf("got %d %s", res.StatusCode, got)
			}
			r, _ := b.last(t)
			want := http.Header{
				"Content-Type": {"application/json"}, "Accept": {"*/*"}, "User-Agent": {"cli/1"}, "Anthropic-Version": {"2023-06-01"},
				"Anthropic-Beta": {"a", "b"}, "Accept-Encoding": {"identity"}, "Content-Length": {fmt.Sprint(len(plain))},
			}
			if c.header != "" {
				want[c.header] = []string{c.want}
			}
			if !reflect.DeepEqual(r.Header, want) || r.URL.RequestURI() != paths[c.api]+"?beta=true" {
				t.Errorf("got %s %v, want %v", r.URL.RequestURI(), r.Header, want)
			}
			if u, _ := url.Parse(b.upstream.URL); r.Host != u.Host {
				t.Errorf("got Host %s", r.Host)
			}
		})
	}
}

// TestWhatTheInsideSees: of an answer's headers only those that a program needs.
func TestWhatTheInsideSees(t *testing.T) {
	for _, status := range []int{200, 400} {
		for _, stream := range []bool{true, false} {
			b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = []string{map[bool]string{true: "text/event-stream", false: "application/json"}[stream]}
				for _, name := range []string{"Set-Cookie", "Anthropic-Organization-Id", "Server", "Via", "X-Any", "Alt-Svc", "Request-Id", "Anthropic-Ratelimit-Tokens-Limit"} {
					w.Header().Set(name, "x")
				}
				w.WriteHeader(status)
			})
			res, _ := b.do(t, b.ask(t, streamed))
			for _, standard := range []string{"Date", "Content-Length", "Transfer-Encoding"} {
				res.Header.Del(standard)
			}
			res.Header.Del("Content-Type")
			if want := (http.Header{"Request-Id": {"x"}, "Anthropic-Ratelimit-Tokens-Limit": {"x"}}); res.StatusCode != status || !reflect.DeepEqual(res.Header, want) {
				t.Errorf("%d stream=%v: got %d %v, want %v", status, stream, res.StatusCode, res.Header, want)
			}
		}
	}
}

func TestLetThrough(t *testing.T) {
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) { say(w, agents.Anthropic, false) },
		set(func(o *Options) {
			o.MaxRequestBytes = 2 << 20
			o.Config.Allow = []string{"POST /v1/messages", "POST /v1/messages/count_tokens", "HEAD /api/hello"}
		}))
	large := `{"model":"m1","x":"` + strings.Repeat("x", 2<<20) + `"}`
	for name, c := range map[string]struct {
		method, path, body string
		change             func(*http.Request)
		want               int
	}{
		"a message":            {"POST", "/v1/messages", plain, nil, 200},
		"with a query":         {"POST", "/v1/messages?beta=true", plain, nil, 200},
		"counting":             {"POST", "/v1/messages/count_tokens", `whatever`, nil, 200},
		"hello":                {"HEAD", "/api/hello", "", func(r *http.Request) { r.Header.Del("X-Api-Key") }, 200},
		"bearer":               {"POST", "/v1/messages", plain, func(r *http.Request) { r.Header = http.Header{"Authorization": {"Bearer " + runToken}} }, 200},
		"another method":       {"GET", "/v1/messages", "", nil, 404},
		"events":               {"POST", "/api/event_logging/v2/batch", "{}", nil, 404},
		"dots":                 {"POST", "/v1/messages/../messages", plain, nil, 400},
		"hidden dots":          {"POST", "/v1/x/%2e%2e/messages", plain, nil, 400},
		"encoded slash":        {"POST", "/v1%2fmessages", plain, nil, 400},
		"encoded letter":       {"POST", "/v1/message%73", plain, nil, 400},
		"two slashes":          {"POST", "/v1//messages", plain, nil, 400},
		"slash at the end":     {"POST", "/v1/messages/", plain, nil, 400},
		"backslash":            {"POST", "/v1\\messages", plain, nil, 400},
		"long query":           {"POST", "/v1/messages?" + strings.Repeat("x", 2000), plain, nil, 400},
		"no token":             {"POST", "/v1/messages", plain, func(r *http.Request) { r.Header.Del("X-Api-Key") }, 401},
		"wrong token":          {"POST", "/v1/messages", plain, func(r *http.Request) { r.Header.Set("X-Api-Key", runToken+"x") }, 401},
		"the credential":       {"POST", "/v1/messages", plain, func(r *http.Request) { r.Header.Set("X-Api-Key", canary) }, 401},
		"compressed":           {"POST", "/v1/messages", plain, func(r *http.Request) { r.Header.Set("Content-Encoding", "zstd") }, 415},
		"too large":            {"POST", "/v1/messages", large, nil, 413},
		"too large, chunked":   {"POST", "/v1/messages", large, func(r *http.Request) { r.ContentLength = -1 }, 413},
		"not JSON":             {"POST", "/v1/messages", "model", nil, 400},
		"a list":               {"POST", "/v1/messages", "[]", nil, 400},
		"empty":                {"POST", "/v1/messages", "", nil, 400},
		"no model":             {"POST", "/v1/messages", `{"Model":"m1"}`, nil, 400},
		"two models":           {"POST", "/v1/messages", `{"model":"m1","mod\u0065l":"m2"}`, nil, 400},
		"model that writes":    {"POST", "/v1/messages", `{"model":"m1\u001b[2J"}`, nil, 400},
		"something behind":     {"POST", "/v1/messages", plain + plain, nil, 400},
		"in the background":    {"POST", "/v1/messages", `{"model":"m1","background":true}`, nil, 400},
		"half an emoji inside": {"POST", "/v1/messages", `{"model":"m1","x":"\ud83d"}`, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			before := b.count()
			req := b.ask(t, c.body)
			req.Method = c.method
			path, query, _ := strings.Cut(c.path, "?")
			req.URL.Opaque, req.URL.RawQuery = path, query
			if c.change != nil {
				c.change(req)
			}
			res, body := b.do(t, req)
			if res.StatusCode != c.want {
				t.Errorf("got %d %s, want %d", res.StatusCode, body, c.want)
			}
			if sent := b.count() - before; (c.want == 200) != (sent == 1) {
				t.Errorf("the upstream was asked %d times", sent)
			}
			if c.want != 200 && (!strings.HasPrefix(body, `{"error":{"message":"hermes: `) || !strings.HasSuffix(body, `"type":"error"}`) || res.Header.Get("X-Should-Retry") != "false") {
				t.Errorf("got %s", body)
			}
			if c.method == "HEAD" {
				if r, _ := b.last(t); r.Method != "HEAD" || r.Header.Get("X-Api-Key") != "" {
					t.Errorf("got %s with %v, want no credential without the token", r.Method, r.Header)
				}
			}
		})
	}
	if r := b.Report(); r.Requests-r.Refused != int64(b.count()) || r.Failure != (Failure{}) {
		t.Errorf("got %+v after %d requests upstream", r, b.count())
	}
}

func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	b := newBench(t, agents.OpenAIChat, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/?x="+canary, http.StatusTemporaryRedirect)
	})
	res, body := b.do(t, b.ask(t, plain))
	if res.StatusCode != http.StatusBadGateway || res.Header.Get("Location") != "" || b.Failure().Status != 307 {
		t.Errorf("got %d %v %s, failure %+v", res.StatusCode, res.Header, body, b.Failure())
	}
}

func TestNew(t *testing.T) {
	good := Options{Config: agents.Endpoint{Kind: agents.Anthropic}, Token: profile.NewSecret("x"), Credential: profile.NewSecret(canary)}
	for name, c := range map[string]struct {
		change func(*Options)
		ok     bool
	}{
		"the maker's":          {func(*Options) {}, true},
		"this host":            {func(o *Options) { o.Config.Upstream = "http://127.0.0.1:9" }, true},
		"in the clear":         {func(o *Options) { o.Config.Upstream = "http://api.example.com" }, false},
		"another scheme":       {func(o *Options) { o.Config.Upstream = "ftp://127.0.0.1" }, false},
		"no token":             {func(o *Options) { o.Token = profile.Secret{} }, false},
		"a key of two lines":   {func(o *Options) { o.Credential = profile.NewSecret(canary + "\nX-Evil: 1") }, false},
		"a key that is no URL": {func(o *Options) { o.Config.Upstream = "https://" + canary + "@host" }, false},
	} {
		opts := good
		c.change(&opts)
		_, err := New(opts)
		if (err == nil) != c.ok || err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got %v, want ok: %v", name, err, c.ok)
		}
	}
}

// TestBehindTheProxy: as the fallback of a sandbox's proxy, on its socket.
func TestBehindTheProxy(t *testing.T) {
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) { say(w, agents.Anthropic, true) })
	p, err := proxy.New(proxy.Options{Fallback: b.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "proxy")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, l) }()
	b.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for range 3 {
		if res, body := b.do(t, b.ask(t, streamed)); res.StatusCode != 200 || body != answers[agents.Anthropic][0] {
			t.Errorf("got %d %q", res.StatusCode, body)
		}
	}
	if r := b.Report(); r.CostMicros != 3*answerCost {
		t.Errorf("got %+v", r)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestServeEnds: no request outlives Serve.
func TestServeEnds(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	b := newBench(t, agents.Anthropic, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		close(asked)
		<-r.Context().Done()
		close(gone)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, l) }()
	res, err := b.client.Do(b.ask(t, streamed))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	<-asked
	cancel()
	if err := <-served; err != nil {
		t.Errorf("got %v", err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("a cut answer looks whole")
	}
	<-gone
	if l2, err := net.Dial("tcp", l.Addr().String()); err == nil {
		l2.Close()
		t.Error("it still listens")
	}
	if err := b.Serve(t.Context(), l); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("on a closed listener got %v", err)
	}
}

// wordy are events of which most of a stream consists.
var wordy = map[string]string{
	agents.Anthropic:       "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" and so on\"}}\n\n",
	agents.OpenAIResponses: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":7,\"delta\":\" and so on\"}\n\n",
	agents.OpenAIChat:      "data: {\"id\":\"c-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" and so on\"}}],\"usage\":null}\n\n",
}

// TestPieces: however a stream is cut, the same is passed on and counted.
func TestPieces(t *testing.T) {
	for api, c := range answers {
		said := strings.Repeat(wordy[api], 5) + c[0] + wordy[api]
		events := strings.Count(said, "data: {")
		want := said + "data: ***" + canary[:9]
		if api == agents.OpenAIChat { // without the chunk that only has the usage
			want = strings.Replace(want, strings.SplitAfter(c[0], "\n\n")[2], "", 1)
		}
		for size := 1; size < 1500; size += 1 + size/60 {
			a, s := &answer{api: api, counts: true, hidden: api == agents.OpenAIChat}, &scrubber{secret: []byte(canary)}
			var got bytes.Buffer
			rest := []byte(said + "data: " + canary + canary[:9])
			for len(rest) > 0 {
				n := min(size, len(rest))
				got.Write(s.next(a.next(bytes.Clone(rest[:n])), false))
				rest = rest[n:]
			}
			words := a.words
			got.Write(s.next(a.rest(), true))
			if got.String() != want || a.got != answerTokens || !a.ended || words != int64(events) {
				t.Fatalf("%s in pieces of %d: got %q, %+v, %d events; want %q, %d", api, size, got.String(), a.got, words, want, events)
			}
		}
	}
}

// TestWordsAreCheap: nothing is allocated for the words of a stream.
func TestWordsAreCheap(t *testing.T) {
	for api, event := range wordy {
		a := &answer{api: api, counts: true, hidden: api == agents.OpenAIChat}
		piece := []byte(strings.Repeat(event, 100))
		a.next(piece)
		if n := testing.AllocsPerRun(20, func() { a.next(piece) }); n != 0 {
			t.Errorf("%s: got %v allocations for 100 events, want 0", api, n)
		}
		if a.broken || a.told || a.words < 2000 {
			t.Errorf("%s: got %+v", api, a)
		}
	}
}
