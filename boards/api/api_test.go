package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func TestEveryCallComesBackAsItWas(t *testing.T) {
	s := serve(t)
	s.board.add(events.Entry{Seq: 1, Record: []byte(`{"seq":1,"x":"\u003c\u2028"}`), Text: []byte(`{"salt":"a","fields":{}}`)},
		events.Entry{Seq: 2, Record: []byte(`{"seq":2}`)})
	c := s.dial(t)
	ctx := t.Context()
	tenant := "acme"
	for _, tc := range []struct {
		name string
		ask  func(Board) (any, error)
	}{
		{"info", func(b Board) (any, error) { return b.Info(ctx) }},
		{"do", func(b Board) (any, error) { return b.Do(ctx, kai, ulid.Make(), boards.CommentTask{Task: 7, Body: "x"}) }},
		{"list", func(b Board) (any, error) { return b.List(ctx, projections.ListQuery{Tenant: &tenant, Limit: 3}) }},
		{"show", func(b Board) (any, error) { return b.Show(ctx, 7) }},
		{"why", func(b Board) (any, error) { return b.Why(ctx, 7) }},
		{"inbox", func(b Board) (any, error) { return b.Inbox(ctx) }},
		{"stats", func(b Board) (any, error) { return b.Stats(ctx) }},
		{"read", func(b Board) (any, error) { return b.Read(ctx, 1, 0) }},
		{"read past the end", func(b Board) (any, error) { return b.Read(ctx, 9, 0) }},
		{"read task", func(b Board) (any, error) { return b.ReadTask(ctx, 7, 2, 0) }},
		{"notices", func(b Board) (any, error) { return b.Notices(ctx) }},
		{"sent", func(b Board) (any, error) { return b.FindSent(ctx, SentQuery{Token: "k"}) }},
		{"not sent", func(b Board) (any, error) { return b.FindSent(ctx, SentQuery{Token: "x"}) }},
		{"policy", func(b Board) (any, error) { p, seq, err := b.Policy(ctx); return policyResponse{p, seq}, err }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want, err := tc.ask(s.board)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tc.ask(c)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); d != "" && tc.name != "show" {
				t.Errorf("want -, got +:\n%s", d)
			}
		})
	}
	if d := cmp.Diff(s.board.asked[0], s.board.asked[1]); d != "" {
		t.Errorf("the query changed on its way:\n%s", d)
	}
}

func TestErrorsComeBackAsTheyWere(t *testing.T) {
	s := serve(t)
	c := s.dial(t)
	for code, status := range statuses {
		if code == CodeCancelled {
			continue
		}
		want := &Error{Code: code, Message: "m", Hint: "h"}
		s.board.do = func(context.Context, boards.Principal, events.CommandID, boards.Command) (boards.Result, error) {
			return boards.Result{}, fmt.Errorf("wrapped: %w", want)
		}
		_, err := c.Do(t.Context(), kai, ulid.Make(), boards.ResumeBoard{})
		var got *Error
		if !errors.As(err, &got) || *got != *want {
			t.Errorf("code %s (%d): got %#v, want %#v", code, status, err, want)
		}
	}
	want := &boards.Rejection{Code: boards.CodeInternal, Task: 7, Detail: "d", Hint: "h"}
	s.board.do = func(context.Context, boards.Principal, events.CommandID, boards.Command) (boards.Result, error) {
		return boards.Result{}, want
	}
	_, err := c.Do(t.Context(), kai, ulid.Make(), boards.ResumeBoard{})
	var got *boards.Rejection
	if !errors.As(err, &got) || *got != *want {
		t.Errorf("got %#v, want %#v", err, want)
	}
	s.board.do = func(context.Context, boards.Principal, events.CommandID, boards.Command) (boards.Result, error) {
		return boards.Result{}, errors.New("no code")
	}
	_, err = c.Do(t.Context(), kai, ulid.Make(), boards.ResumeBoard{})
	if code := codeOf(err); code != CodeInternal {
		t.Errorf("got %v, want code internal", err)
	}
	if err := <-s.faults; err.Error() != "no code" {
		t.Errorf("got fault %v, want no code", err)
	}
	s.board.do = func(context.Context, boards.Principal, events.CommandID, boards.Command) (boards.Result, error) {
		panic("broken")
	}
	_, err = c.Do(t.Context(), kai, ulid.Make(), boards.ResumeBoard{})
	if code := codeOf(err); code != CodeInternal {
		t.Errorf("after a panic: got %v, want code internal", err)
	}
}

func codeOf(err error) string {
	var coded *Error
	if errors.As(err, &coded) {
		return coded.Code
	}
	return fmt.Sprintf("no code: %v", err)
}

func TestBoardDoorEstablishesThePrincipal(t *testing.T) {
	s := serve(t)
	c := s.dial(t)
	var got boards.Principal
	s.board.do = func(_ context.Context, by boards.Principal, _ events.CommandID, _ boards.Command) (boards.Result, error) {
		got = by
		return boards.Result{}, nil
	}
	liar := kai
	liar.Run, liar.Fence, liar.Role = events.RunID{Task: 7, N: 1}, 12, events.RoleOrchestrator
	if _, err := c.Do(t.Context(), liar, ulid.Make(), boards.ResumeBoard{}); err != nil {
		t.Fatal(err)
	}
	want := boards.Principal{Actor: events.Actor{Kind: events.Human, Name: "kai", Via: fmt.Sprintf("cli uid=%d pid=%d", os.Getuid(), os.Getpid())}}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, kind := range []events.ActorKind{events.Worker, events.Dispatcher, events.System, 0} {
		_, err := c.Do(t.Context(), boards.Principal{Actor: events.Actor{Kind: kind, Name: "x"}}, ulid.Make(), boards.ResumeBoard{})
		if err == nil || kind != 0 && codeOf(err) != CodeForbidden {
			t.Errorf("kind %v: got %v, want forbidden", kind, err)
		}
	}
	for _, name := range []string{"a\nb", strings.Repeat("x", 201)} {
		_, err := c.Do(t.Context(), boards.Principal{Actor: events.Actor{Kind: events.Human, Name: name}}, ulid.Make(), boards.ResumeBoard{})
		if codeOf(err) != CodeBadRequest {
			t.Errorf("name %q: got %v, want bad_request", name, err)
		}
	}
}

func TestPeersOfOtherUsersAreRefused(t *testing.T) {
	for _, tc := range []struct {
		peer peer
		want bool
	}{{peer{UID: 1000}, true}, {peer{UID: 0}, true}, {peer{UID: 1001}, false}, {peer{UID: -1}, false}} {
		if got := tc.peer.mayEnter(1000); got != tc.want {
			t.Errorf("uid %d: got %v, want %v", tc.peer.UID, got, tc.want)
		}
	}
	h := &handler{Server: &Server{Board: newFakeBoard()}, uid: 1000}
	for _, found := range []peerFound{{peer: peer{UID: 1001}}, {err: errors.New("unknown")}} {
		c := &call{h: h, ctx: t.Context(), peer: found, method: http.MethodPost, path: "/v1/query/info"}
		if _, err := c.run(nil); codeOf(err) != CodeForbidden || !c.closing {
			t.Errorf("%+v: got %v, closing %v, want forbidden and closed", found, err, c.closing)
		}
	}
}

func TestRunDoor(t *testing.T) {
	s := serve(t)
	ctx := t.Context()
	var got boards.Principal
	s.board.do = func(_ context.Context, by boards.Principal, _ events.CommandID, _ boards.Command) (boards.Result, error) {
		got = by
		return boards.Result{First: 3, Last: 3}, nil
	}
	run := DialRun(s.socket, "secret", "1.0")
	defer run.Close()
	if res, err := run.Do(ctx, ulid.Make(), boards.CompleteTask{Task: 7}); err != nil || res.First != 3 {
		t.Fatalf("got %+v, %v, want first 3", res, err)
	}
	if got.Actor.Kind != events.Worker || got.Actor.Name != "writer" {
		t.Errorf("got %+v, want the run's own principal", got)
	}
	if st, err := run.Renew(ctx); err != nil || !st.Open || st.Head != 9 {
		t.Errorf("got %+v, %v, want open at 9", st, err)
	}
	if cards, err := run.List(ctx, projections.ListQuery{}); err != nil || len(cards) != 1 {
		t.Errorf("got %v, %v, want one card", cards, err)
	}
	if d, err := run.Show(ctx, 7); err != nil || d.ID != 7 {
		t.Errorf("got %v, %v, want t7", d.ID, err)
	}
	wrong := DialRun(s.socket, "guess", "1.0")
	defer wrong.Close()
	if _, err := wrong.Renew(ctx); codeOf(err) != CodeForbidden {
		t.Errorf("wrong token: got %v, want forbidden", err)
	}
	if _, err := s.dial(t).d.exchange(ctx, http.MethodPost, "/v1/run/renew", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*dialer{newDialer(s.socket, "1.0", ""), newDialer(s.socket, "1.0", "Bearer secret")} {
		if err := d.call(ctx, "/v1/run/renew", nil, nil); codeOf(err) != CodeForbidden {
			t.Errorf("run door without a token: got %v, want forbidden", err)
		}
	}
	if err := run.d.call(ctx, "/v1/query/list", nil, nil); codeOf(err) != CodeForbidden {
		t.Errorf("board door with a token: got %v, want forbidden", err)
	}
}

func TestRequestsThatAreWrong(t *testing.T) {
	s := serve(t)
	big := strings.Repeat("x", MaxRequestBytes+1)
	for _, tc := range []struct{ name, request, want string }{
		{"garbage", "\x16\x03\x01\x02\x00\r\n\r\n", "400 "},
		{"unknown path", "POST /v1/nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", `"code":"unknown_path"`},
		{"unknown path, newer client", "POST /v1/nothing HTTP/1.1\r\nHost: h\r\nHermes-Version: 2.0\r\nContent-Length: 2\r\n\r\n{}", `"code":"owner_too_old"`},
		{"wrong method", "GET /v1/do HTTP/1.1\r\nHost: h\r\n\r\n", `"code":"unknown_path"`},
		{"not JSON", post("/v1/do", "{x}"), `"code":"bad_request"`},
		{"no principal", post("/v1/do", `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","command":"resume_board"}`), `"code":"forbidden"`},
		{"no id", post("/v1/do", `{"by":{"kind":"human"},"command":"resume_board"}`), `"code":"bad_request"`},
		{"unknown command", post("/v1/do", `{"by":{"kind":"human"},"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","command":"fly"}`), `"code":"unknown_command"`},
		{"bad command", post("/v1/do", `{"by":{"kind":"human"},"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","command":"resume_board","data":{"x":1}}`), `"code":"bad_command"`},
		{"announced too large", "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n", `"code":"too_large"`},
		{"chunked too large", fmt.Sprintf("POST /v1/do HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(big), big), `"code":"too_large"`},
		{"too many headers", "GET /v1/hello HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("y", 40<<10) + "\r\n\r\n", "431 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := s.raw(t)
			go func() { _, _ = io.WriteString(c, tc.request) }() // the server may close before it has read all
			b, _ := io.ReadAll(io.LimitReader(c, 400))
			if !strings.Contains(string(b), tc.want) {
				t.Errorf("got %q, want %q in it", b, tc.want)
			}
		})
	}
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func TestHalfARequestDoesNotHoldUpTheRest(t *testing.T) {
	s := serve(t)
	half := s.raw(t)
	if _, err := io.WriteString(half, "POST /v1/do HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"id\""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.dial(t).Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := half.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(half)
	if err != nil || !strings.Contains(string(b), CodeBadRequest) {
		t.Errorf("got %q, %v, want bad_request", b, err)
	}
}

func TestNewerClientIsToldThatTheOwnerIsTooOld(t *testing.T) {
	s := serve(t)
	body := []byte(`{"by":{"kind":"human"},"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","command":"fly","data":{}}`)
	d := newDialer(s.socket, "2.0", "")
	a, err := d.exchange(t.Context(), http.MethodPost, "/v1/do", body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := a.whole()
	a.done()
	got := decodeError(a.status, b)
	if err != nil || codeOf(got) != CodeTooOld || !strings.Contains(got.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v, %v, want owner_too_old with the pid", got, err)
	}
	d.close()
}

func TestFollowStreams(t *testing.T) {
	s := serve(t)
	long := events.Entry{Seq: 2, Record: []byte(`{"seq":2,"long":"` + strings.Repeat("y", 200<<10) + `"}`)}
	s.board.add(events.Entry{Seq: 1, Record: []byte(`{"seq":1}`), Text: []byte(`{"t":"<é>"}`)}, long)
	c := s.dial(t)
	enough := errors.New("enough")
	var got []events.Entry
	err := c.Follow(t.Context(), 1, func(e events.Entry) error {
		got = append(got, events.Entry{Seq: e.Seq, Record: append([]byte{}, e.Record...), Text: append([]byte(nil), e.Text...)})
		if e.Seq == 2 {
			s.board.add(events.Entry{Seq: 3, Record: []byte(`{"seq":3}`)})
		}
		if e.Seq == 3 {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Fatalf("got %v, want the error of yield", err)
	}
	if d := cmp.Diff(s.board.entries, got); d != "" {
		t.Error(d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Follow(ctx, 3, func(events.Entry) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestFollowGoesOnWithTheNextOwner(t *testing.T) {
	first := serve(t)
	first.board.add(events.Entry{Seq: 1, Record: []byte(`{"seq":1}`)})
	c := first.dial(t)
	seen := make(chan uint64, 10)
	done := make(chan error, 1)
	go func() {
		done <- c.Follow(t.Context(), 1, func(e events.Entry) error { seen <- e.Seq; return nil })
	}()
	if got := <-seen; got != 1 {
		t.Fatalf("got %d, want 1", got)
	}
	// The next owner serves the same socket before the first stream is cut.
	if err := os.Remove(first.socket); err != nil {
		t.Fatal(err)
	}
	second := serveAt(t, first.socket, newFakeBoard())
	second.board.add(events.Entry{Seq: 1, Record: []byte(`{"seq":1}`)}, events.Entry{Seq: 2, Record: []byte(`{"seq":2}`)})
	first.stop()
	if got := <-seen; got != 2 {
		t.Fatalf("got %d, want 2", got)
	}
	second.stop()
	if err := <-done; !errors.Is(err, ErrNoOwner) {
		t.Errorf("got %v, want no owner", err)
	}
}

func TestDeadConnectionIsReplaced(t *testing.T) {
	s := serve(t)
	c := s.dial(t)
	if _, err := c.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if _, err := c.Info(t.Context()); !errors.Is(err, ErrNoOwner) {
		t.Fatalf("got %v, want no owner", err)
	}
	if _, err := c.Info(t.Context()); !errors.Is(err, ErrNoOwner) {
		t.Fatalf("got %v, want no owner", err)
	}
	serveAt(t, s.socket, newFakeBoard())
	if _, err := c.Info(t.Context()); err != nil {
		t.Errorf("got %v, want the next owner's answer", err)
	}
}

func TestHungOwnerIsNamed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "run", "s")
	l, err := Listen(socket) // listens, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := newDialer(socket, "1.0", "")
	d.patience = 50 * time.Millisecond
	_, err = d.exchange(t.Context(), http.MethodPost, "/v1/do", []byte("{}"))
	if codeOf(err) != CodeBusy || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v, want board_busy with the pid", err)
	}
}

func TestCancelledCall(t *testing.T) {
	s := serve(t)
	c := s.dial(t)
	entered := make(chan struct{})
	s.board.do = func(ctx context.Context, _ boards.Principal, _ events.CommandID, _ boards.Command) (boards.Result, error) {
		close(entered)
		<-ctx.Done()
		return boards.Result{}, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	if _, err := c.Do(ctx, kai, ulid.Make(), boards.ResumeBoard{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestStopLetsRequestsFinish(t *testing.T) {
	s := serve(t)
	c := s.dial(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	s.board.do = func(context.Context, boards.Principal, events.CommandID, boards.Command) (boards.Result, error) {
		close(entered)
		<-leave
		return boards.Result{First: 5}, nil
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-entered
		go func() { close(leave) }()
		s.stop()
	}()
	res, err := c.Do(t.Context(), kai, ulid.Make(), boards.ResumeBoard{})
	if err != nil || res.First != 5 {
		t.Errorf("got %+v, %v, want the answer", res, err)
	}
	<-stopped
	if _, err := os.Lstat(s.socket); !os.IsNotExist(err) {
		t.Errorf("got %v, want the socket gone", err)
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run", "s.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if fi, err := os.Stat(p); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", p, fi.Mode(), err, want)
		}
	}
	if _, err := Listen(path); codeOf(err) != CodeBusy || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second owner: got %v, want board_busy with the pid", err)
	}
	// A socket whose owner died stays behind; the next one replaces it.
	dead := filepath.Join(dir, "run", "dead.sock")
	d, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	d.SetUnlinkOnClose(false)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), dead, "1.0"); !errors.Is(err, ErrNoOwner) {
		t.Errorf("dead socket: got %v, want no owner", err)
	}
	next, err := Listen(dead)
	if err != nil {
		t.Fatal(err)
	}
	// Closing the former listener must not remove the successor's socket.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	successor, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("got %v, want the successor's socket still there", err)
	}
	for _, l := range []net.Listener{next, successor} {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	file := filepath.Join(dir, "run", "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil {
		t.Error("got a listener in place of a file, want an error")
	}
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("got a listener in a folder open to others, want an error")
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	s := serve(t)
	c := s.dial(t)
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			for range 50 {
				if _, err := c.Do(t.Context(), kai, ulid.Make(), boards.CommentTask{Task: 7, Body: "x"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestPings(t *testing.T) {
	stopping := make(chan struct{})
	close(stopping)
	var b strings.Builder
	w := &plainWriter{head: http.Header{}, w: &b}
	s := &stream{w: w, control: http.NewResponseController(w)}
	s.pump(t.Context(), nil, stopping) // returns because the server stops
	if w.flushed == 0 {
		t.Error("got no flush, want the head sent at once")
	}
	r := bufio.NewReader(strings.NewReader(": ping\n\ndata: x\r\n"))
	for _, want := range []string{": ping", "", "data: x"} {
		if got, err := readLine(r); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

type plainWriter struct {
	head    http.Header
	w       io.Writer
	flushed int
}

func (w *plainWriter) Header() http.Header         { return w.head }
func (w *plainWriter) Write(b []byte) (int, error) { return w.w.Write(b) }
func (w *plainWriter) WriteHeader(int)             {}
func (w *plainWriter) Flush()                      { w.flushed++ }

func TestOffsets(t *testing.T) {
	c := serve(t).dial(t)
	if err := c.SaveOffset(t.Context(), "telegram", 7); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Offset(t.Context(), "telegram"); got != 7 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	var bad *Error
	if err := c.SaveOffset(t.Context(), "", 7); !errors.As(err, &bad) || bad.Code != CodeBadRequest {
		t.Errorf("no name: got %v", err)
	}
}
