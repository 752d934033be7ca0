package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// say sends what a peer says and returns all that it is told.
func say(t *testing.T, socket, request string) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(c, request) // the server may close before it has read all
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	b, _ := io.ReadAll(c)
	return string(b)
}

// What a lane does not read is answered as if there were only net/http.
func TestOtherRequestsAreAnsweredByNetHTTP(t *testing.T) {
	s := serve(t)
	socket := filepath.Join(t.TempDir(), "only")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	b := newFakeBoard()
	h := &handler{Server: &Server{Board: b, Doors: b.door, Version: "1.0"}, stopping: make(chan struct{})}
	only := &http.Server{Handler: h, MaxHeaderBytes: 16 << 10, ReadHeaderTimeout: headerTimeout,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, (&handler{Server: &Server{}}).find(c))
		}}
	done := make(chan error, 1)
	go func() { done <- only.Serve(l) }()
	for name, request := range otherRequests {
		want := say(t, socket, request)
		if got := say(t, s.socket, request); got != want {
			t.Errorf("%s: %s", name, cmp.Diff(want, got))
		}
		// The same after a plain one on the same connection.
		hello := "GET /v1/hello HTTP/1.1\r\nHost: h\r\n\r\n"
		first := answerTo(t, say(t, s.socket, hello))
		if got := say(t, s.socket, hello+request); !strings.HasSuffix(got, want) || answerTo(t, got) != first {
			t.Errorf("%s, second: got %q, want %q after the hello", name, got, want)
		}
	}
	if err := only.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

// answerTo returns the body of the first answer in s.
func answerTo(t *testing.T, s string) string {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(s)), nil)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// peerConn is a peer that speaks as it likes.
type peerConn struct {
	net.Conn
	r *bufio.Reader
}

func (s *served) peer(t *testing.T) *peerConn {
	c := s.raw(t)
	return &peerConn{c, bufio.NewReader(c)}
}

func (p *peerConn) send(t *testing.T, request string) {
	t.Helper()
	if _, err := io.WriteString(p, request); err != nil {
		t.Fatal(err)
	}
}

func (p *peerConn) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func (p *peerConn) ask(t *testing.T, request, want string) {
	t.Helper()
	p.send(t, request)
	if r, b := p.answer(t); r.StatusCode != http.StatusOK || !strings.Contains(b, want) || r.Header.Get(VersionHeader) != "1.0" ||
		r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Date") != "" {
		t.Errorf("%q: got %d %v %q, want %q in it", request, r.StatusCode, r.Header, b, want)
	}
}

const (
	askInfo  = "POST /v1/query/info HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
	askOddly = "POST /v1/query/info HTTP/1.1\r\nHost: h\r\nX-Odd: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
)

func TestConnectionMayTurnToOtherRequests(t *testing.T) {
	s := serve(t)
	s.board.add(events.Entry{Seq: 1, Record: []byte(`{"seq":1}`)})
	p := s.peer(t)
	for _, request := range []string{askInfo, askInfo, askOddly, askInfo, askOddly} {
		p.ask(t, request, `"acme"`)
	}
	p.send(t, "GET /v1/events?from=1 HTTP/1.1\r\nHost: h\r\n\r\n")
	r, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(r.Body).ReadString('\n'); line != "id: 1\n" {
		t.Errorf("got %q, %v, want the first id", line, err)
	}
}

func TestRequestsSentAhead(t *testing.T) {
	s := serve(t)
	p := s.peer(t)
	p.send(t, strings.Repeat(askInfo, 300)+askOddly+askInfo)
	for range 302 {
		if r, b := p.answer(t); r.StatusCode != http.StatusOK || !strings.Contains(b, `"acme"`) {
			t.Fatalf("got %d %q, want info", r.StatusCode, b)
		}
	}
}

func TestRequestsInPieces(t *testing.T) {
	s := serve(t)
	var got string
	s.board.do = func(_ context.Context, _ boards.Principal, _ events.CommandID, c boards.Command) (boards.Result, error) {
		got = c.(boards.CommentTask).Body
		return boards.Result{First: 1}, nil
	}
	for _, size := range []int{3, laneBuffer - 300, laneBuffer, 300 << 10, MaxRequestBytes - 200} {
		want := strings.Repeat("x", size)
		body := fmt.Sprintf(`{"by":{"kind":"human"},"id":%q,"command":"comment_task","data":{"task":"t7","body":%q}}`, ulid.Make(), want)
		head := fmt.Sprintf("POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body))
		for name, pieces := range map[string][]string{
			"head and body":  {head, body},
			"a split head":   {head[:20], head[20:] + body},
			"a split body":   {head + body[:40], body[40:41], body[41:]},
			"after a hello":  {"GET /v1/hello HTTP/1.1\r\nHost: h\r\n\r\n" + head, body},
			"before another": {head + body + askInfo},
		} {
			p := s.peer(t)
			for _, piece := range pieces {
				p.send(t, piece)
			}
			r, b := p.answer(t)
			if strings.HasPrefix(pieces[0], "GET") {
				r, b = p.answer(t)
			}
			if r.StatusCode != http.StatusOK || got != want {
				t.Errorf("%d bytes, %s: got %d %q and %d bytes", size, name, r.StatusCode, b, len(got))
			}
			got = ""
		}
	}
}

func TestPeerThatSpeaksDuringALongCall(t *testing.T) {
	s := serve(t)
	s.board.do = func(context.Context, boards.Principal, events.CommandID, boards.Command) (boards.Result, error) {
		<-time.After(2 * heedAfter)
		return boards.Result{First: 5}, nil
	}
	p := s.peer(t)
	do := fmt.Sprintf(`{"by":{"kind":"human"},"id":%q,"command":"resume_board","data":{}}`, ulid.Make())
	p.send(t, fmt.Sprintf("POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(do), do))
	p.ask(t, askInfo, `"first":5`)
	if r, b := p.answer(t); r.StatusCode != http.StatusOK || !strings.Contains(b, `"acme"`) {
		t.Errorf("got %d %q, want info", r.StatusCode, b)
	}
	p.ask(t, askInfo, `"acme"`)
}

func TestCallEndsWhenItsPeerGoesAway(t *testing.T) {
	s := serve(t)
	entered, left := make(chan struct{}), make(chan error, 1)
	s.board.do = func(ctx context.Context, _ boards.Principal, _ events.CommandID, _ boards.Command) (boards.Result, error) {
		close(entered)
		<-ctx.Done()
		left <- ctx.Err()
		return boards.Result{}, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	if _, err := s.dial(t).Do(ctx, kai, ulid.Make(), boards.ResumeBoard{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestOnlyAUnixSocketSaysWhoIsThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&Server{Board: newFakeBoard(), grace: time.Hour}).Serve(ctx, l) }()
	for _, request := range []string{askInfo, askOddly} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p := &peerConn{c, bufio.NewReader(c)}
		p.send(t, request)
		if r, b := p.answer(t); r.StatusCode != http.StatusForbidden || !r.Close {
			t.Errorf("got %d %q, close %v, want forbidden and closed", r.StatusCode, b, r.Close)
		}
		_ = c.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
