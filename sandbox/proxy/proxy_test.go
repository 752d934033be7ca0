package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox/proxy"
)

const patience = 30 * time.Second

// world is a proxy on a unix socket, with names that lead where the test wants.
type world struct {
	*proxy.Proxy
	socket string

	mu        sync.Mutex
	decisions []proxy.Decision
	resolved  []string
}

var somewhere = netip.MustParseAddr("9.9.9.9")

// open starts a proxy whose every name resolves to somewhere, and whose every
// connection ends at sink, unless the options say otherwise.
func open(t *testing.T, sink string, opts proxy.Options) *world {
	t.Helper()
	w := &world{socket: filepath.Join(t.TempDir(), "p")}
	resolve := opts.Resolve
	opts.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		w.mu.Lock()
		w.resolved = append(w.resolved, host)
		w.mu.Unlock()
		if resolve != nil {
			return resolve(ctx, host)
		}
		return []netip.Addr{somewhere}, nil
	}
	if opts.Dial == nil {
		opts.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) { return net.Dial("tcp", sink) }
	}
	opts.Log = func(d proxy.Decision) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.decisions = append(w.decisions, d)
	}
	var err error
	if w.Proxy, err = proxy.New(opts); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: got %v, want nil", err)
			}
		case <-time.After(patience):
			t.Error("Serve did not return")
		}
	})
	return w
}

// client is an ordinary HTTP client that uses the proxy.
func (w *world) client() *http.Client {
	return &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:             func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "proxy"}, nil },
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", w.socket) },
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true,
		},
	}
}

// send writes raw bytes, ends its half of the connection, and returns the answer.
func (w *world) send(t *testing.T, raw string) string {
	t.Helper()
	conn, err := net.Dial("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, raw)
	conn.(*net.UnixConn).CloseWrite()
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("%.80q: %v", raw, err)
	}
	return string(b)
}

func (w *world) total(host string) proxy.HostTotals {
	for _, h := range w.Totals() {
		if h.Host == host {
			return h
		}
	}
	return proxy.HostTotals{}
}

func addrPort(t *testing.T, s *httptest.Server) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func loopback(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func dial(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", at.String())
}

func TestTunnelAndTotals(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	}))
	defer server.Close()
	at := addrPort(t, server)
	w := open(t, "", proxy.Options{
		Allow: []string{fmt.Sprintf("good.test:%d", at.Port())}, Resolve: loopback, Dial: dial, Exempt: []netip.AddrPort{at},
	})
	resp, err := w.client().Post(fmt.Sprintf("https://Good.test:%d/x", at.Port()), "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || len(body) != 100_000 {
		t.Fatalf("got %d bytes, %v; want 100000", len(body), err)
	}
	if _, err := w.client().Get(fmt.Sprintf("https://bad.test:%d/", at.Port())); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("got %v for a host that is not allowed, want Forbidden", err)
	}
	good, bad := w.total("good.test"), w.total("bad.test")
	for end := time.Now().Add(patience); good.BytesOut < 100_000 && time.Now().Before(end); good = w.total("good.test") {
		time.Sleep(time.Millisecond) // what was sent is counted when it has been
	}
	if good.Requests != 1 || good.Refused != 0 || good.BytesIn < 100_000 || good.BytesOut < 100_000 {
		t.Errorf("got %+v, want one request and 100000 bytes each way", good)
	}
	if bad != (proxy.HostTotals{Host: "bad.test", Requests: 1, Refused: 1}) {
		t.Errorf("got %+v, want one refusal", bad)
	}
	if !slices.Equal(w.resolved, []string{"good.test"}) {
		t.Errorf("got %q resolved, want what is allowed, once", w.resolved)
	}
	if d := w.decisions[0]; d.Method != "CONNECT" || d.Host != "good.test" || d.Address != at || d.Refused {
		t.Errorf("got decision %+v", d)
	}
}

func TestPlainHTTP(t *testing.T) {
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		w.Header().Set("Proxy-Authenticate", "x")
		w.Header().Set("X-Keep", "1")
		w.Header().Set("Location", "http://10.0.0.1/")
		w.WriteHeader(http.StatusFound)
		fmt.Fprint(w, "moved")
	}))
	defer server.Close()
	w := open(t, server.Listener.Addr().String(), proxy.Options{Allow: []string{"good.test:80"}})
	req, _ := http.NewRequest("GET", "http://good.test/a%2Fb?q=1&r", nil)
	req.Header.Set("Proxy-Authorization", "secret")
	req.Header.Set("X-End", "1")
	resp, err := w.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 302 || string(body) != "moved" || resp.Header.Get("X-Keep") != "1" || resp.Header.Get("Proxy-Authenticate") != "" {
		t.Errorf("got %d %q %v, want the server's own redirect without hop-by-hop fields", resp.StatusCode, body, resp.Header)
	}
	if got.Host != "good.test" || got.RequestURI != "/a%2Fb?q=1&r" || got.Header.Get("X-End") != "1" || got.Header.Get("Proxy-Authorization") != "" {
		t.Errorf("the server got %s %q %v", got.Host, got.RequestURI, got.Header)
	}
	h := w.total("good.test")
	for end := time.Now().Add(patience); h.BytesOut == 0 && time.Now().Before(end); h = w.total("good.test") {
		time.Sleep(time.Millisecond) // what was sent is counted when it has been
	}
	if h.Requests != 1 || h.BytesIn == 0 || h.BytesOut == 0 {
		t.Errorf("got %+v, want one request with bytes", h)
	}
}

func TestMethodsAndBodies(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Got", fmt.Sprint(r.Method, len(b), r.ContentLength))
		if f, ok := w.(http.Flusher); ok && r.Method == "POST" {
			fmt.Fprint(w, "a")
			f.Flush()
			fmt.Fprint(w, "b")
		}
	}))
	defer server.Close()
	w := open(t, server.Listener.Addr().String(), proxy.Options{Allow: []string{"good.test:80"}})
	for raw, want := range map[string][]string{
		"HEAD http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n":                                                   {"200 OK", "X-Got: HEAD0 0"},
		"POST http://good.test HTTP/1.1\r\nHost: good.test:80\r\nContent-Length: 3\r\n\r\nabc":                         {"X-Got: POST3 3"},
		"POST http://good.test/ HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n": {"X-Got: POST2 -1"},
		"POST http://good.test/ HTTP/1.0\r\nContent-Length: 1\r\n\r\na":                                                {"X-Got: POST1 1", "\r\n\r\nab"},
		"PUT http://good.test/ HTTP/1.1\r\nHost: good.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na":      {"100 Continue", "X-Got: PUT1 1"},
	} {
		answer := w.send(t, raw)
		for _, part := range want {
			if !strings.Contains(answer, part) {
				t.Errorf("%q: got %q, want %q in it", raw, answer, part)
			}
		}
	}
}

// TestStreams has the host wait until the client has read what came so far.
func TestStreams(t *testing.T) {
	read := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "a")
		w.(http.Flusher).Flush()
		<-read
		fmt.Fprint(w, "b")
	}))
	defer server.Close()
	w := open(t, server.Listener.Addr().String(), proxy.Options{Allow: []string{"good.test:80"}})
	resp, err := w.client().Get("http://good.test/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil || first[0] != 'a' {
		t.Fatalf("got %q, %v", first, err)
	}
	close(read)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "b" {
		t.Errorf("got %q, %v; want b", rest, err)
	}
}

func TestFallback(t *testing.T) {
	w := open(t, "", proxy.Options{Fallback: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, r.Host)
	})})
	two := "GET /v1/a HTTP/1.1\r\nHost: 127.0.0.1:8787\r\n\r\nPOST http://127.0.0.1:8787/v1/b?c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n!"
	if got := w.send(t, two); !strings.Contains(got, "GET /v1/a 127.0.0.1:8787") || !strings.Contains(got, "!POST /v1/b?c") {
		t.Errorf("got %q, want both answers", got)
	}
	mixed := "GET /v1/a HTTP/1.1\r\nHost: a\r\n\r\nCONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n"
	if got := w.send(t, mixed); !strings.Contains(got, "400 Bad Request") {
		t.Errorf("got %q, want a tunnel after a request for us refused", got)
	}
	if len(w.Totals()) != 0 {
		t.Errorf("got %+v, want no traffic counted", w.Totals())
	}
	if got := open(t, "", proxy.Options{}).send(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.Contains(got, "404") {
		t.Errorf("without a fallback: got %q, want 404", got)
	}
}

// TestHalfClose has each end finish first.
func TestHalfClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // says hello, listens to the end, then answers
				defer conn.Close()
				io.WriteString(conn, "hello ")
				b, _ := io.ReadAll(conn)
				fmt.Fprintf(conn, "%d", len(b))
			}()
		}
	}()
	w := open(t, l.Addr().String(), proxy.Options{Allow: []string{"good.test"}})
	got := w.send(t, "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n"+strings.Repeat("x", 200_000))
	if !strings.HasSuffix(got, "\r\n\r\nhello 200000") {
		t.Errorf("got %q, want what was said before and after the client had finished", got)
	}
	relay, err := proxy.NewRelay("127.0.0.1:0", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			conn, err := net.Dial("tcp", relay.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n"+strings.Repeat("x", 5000))
			conn.(*net.TCPConn).CloseWrite()
			b, err := io.ReadAll(conn)
			if err != nil || !strings.HasSuffix(string(b), "hello 5000") {
				t.Errorf("relayed: got %q, %v", b, err)
			}
		})
	}
	group.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if h := w.total("good.test"); h.Requests != 201 {
		t.Errorf("got %d requests, want 201", h.Requests)
	}
}

func TestRelayListensOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "nonsense"} {
		if _, err := proxy.NewRelay(addr, "/x"); err == nil {
			t.Errorf("%s: got no error", addr)
		}
	}
}

func TestLimits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var served atomic.Int32
	go func() { // accepts and says nothing
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Add(1)
			go func() {
				io.Copy(io.Discard, conn)
				conn.Close()
			}()
		}
	}()
	connect := "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n"
	for name, opts := range map[string]proxy.Options{"idle": {Idle: 100 * time.Millisecond}, "total": {Total: 200 * time.Millisecond}} {
		opts.Allow = []string{"good.test"}
		w := open(t, l.Addr().String(), opts)
		conn, err := net.Dial("unix", w.socket)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, connect)
		if b, err := io.ReadAll(conn); err != nil || !strings.Contains(string(b), "200") {
			t.Errorf("%s: got %q, %v; want a tunnel that is ended", name, b, err)
		}
		conn.Close()
	}

	w := open(t, l.Addr().String(), proxy.Options{Allow: []string{"good.test"}, MaxConns: 2})
	var held []net.Conn
	for range 2 {
		conn, err := net.Dial("unix", w.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, connect)
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("got %q, %v", line, err)
		}
		held = append(held, conn)
	}
	if got := w.send(t, ""); !strings.Contains(got, "503") {
		t.Errorf("got %q for a third connection, want 503", got)
	}
	held[0].Close()
	for deadline := time.Now().Add(patience); ; {
		if got := w.send(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); strings.Contains(got, "404") {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("got %q after one was closed, want an answer", got)
		}
	}
	if served.Load() != 4 {
		t.Errorf("got %d connections at the host, want 4", served.Load())
	}
}

func TestTotalsAreBounded(t *testing.T) {
	w := open(t, "127.0.0.1:1", proxy.Options{Allow: []string{"*.good.test"}})
	for i := range 300 {
		w.send(t, fmt.Sprintf("CONNECT bad%d.test:443 HTTP/1.1\r\nHost: bad%d.test\r\n\r\n", i, i))
	}
	for i := range 60 { // there is room left for what is allowed
		w.send(t, fmt.Sprintf("CONNECT h%d.good.test:443 HTTP/1.1\r\nHost: h%d.good.test\r\n\r\n", i, i))
	}
	w.send(t, "CONNECT 1.2.3.4:443 HTTP/1.1\r\nHost: 1.2.3.4:443\r\n\r\n")
	var requests, refused int64
	for _, h := range w.Totals() {
		requests, refused = requests+h.Requests, refused+h.Refused
	}
	if n := len(w.Totals()); n > 102 || requests != 361 || refused != 301 {
		t.Errorf("got %d hosts, %d requests, %d refused; want at most 102, 361, 301", n, requests, refused)
	}
	if w.total(proxy.OtherHosts).Refused < 250 || w.total("h30.good.test").Requests != 1 || w.total(proxy.MalformedHosts).Refused != 1 {
		t.Errorf("got %+v", w.Totals())
	}
}

func TestAllow(t *testing.T) {
	for _, bad := range []string{"", "*", "*.", "http://a.test", "a.test:0", "a.test:65536", "a.test:x", "a.test:", "a..test", "127.0.0.1", "[::1]", "a.test/", "*a.test", "a.*.test", "*.*.test", "ü.test", "a_b.test", "a.test."} {
		if err := proxy.CheckAllow([]string{"ok.test", bad}); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	if err := proxy.CheckAllow([]string{"a.test", "a.test:80", "*.A.test:8443", "localhost:1", "xn--bcher-kva.test"}); err != nil {
		t.Error(err)
	}
}
