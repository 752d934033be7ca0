package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// served is a worker socket and what is behind it.
type served struct {
	server *worker.Server
	door   *agentstest.Door
	store  *agentstest.Store
	client *worker.Client
	socket string
	stop   func() error
	faults chan error
}

func own() (d projections.Detail) {
	d.ID, d.Status, d.Title, d.CreatedBy = 7, events.Running, "Compare quotes", events.Actor{Kind: events.Human, Name: "alice"}
	return d
}

func serve(t *testing.T, with ...func(*served)) *served {
	t.Helper()
	dir, err := os.MkdirTemp("", "w") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &served{door: &agentstest.Door{Detail: own()}, store: &agentstest.Store{}, socket: filepath.Join(dir, "sock"), faults: make(chan error, 1000)}
	s.server = &worker.Server{
		Door: s.door, Board: events.BoardID{1}, Run: events.RunID{Task: 7, N: 2}, Agent: "buyer", Role: events.RoleOrchestrator, Tenant: "acme", Store: s.store,
		Workspace: events.Workspace{Kind: events.Dir, Path: "/srv/quotes"},
		Verdict: func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
			return s.door.Do(ctx, id, c)
		},
		Context: func(d projections.Detail) string { return "about " + d.Title },
		Fault:   func(err error) { s.faults <- err },
	}
	for _, f := range with {
		f(s)
	}
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx, l) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	s.client = worker.Dial(s.socket)
	t.Cleanup(func() {
		s.client.Close()
		if err := s.stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func (s *served) call(t *testing.T, tool string, args any) *worker.Answer {
	t.Helper()
	a, err := s.client.Call(t.Context(), tool, args)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return a
}

func (s *served) put(t *testing.T, name, content string) worker.Artifact {
	t.Helper()
	a, err := s.client.Put(t.Context(), name, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantCode(t *testing.T, err error, code string) *worker.Error {
	t.Helper()
	var e *worker.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got error %v (%T), want code %s", err, err, code)
	}
	return e
}

// raw sends bytes and returns what comes back.
func (s *served) raw(t *testing.T, request string) string {
	t.Helper()
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	c.(*net.UnixConn).CloseWrite()
	b, _ := io.ReadAll(c)
	return string(b)
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func TestTools(t *testing.T) {
	s := serve(t)
	s.door.Cards = []projections.Card{{ID: 8, Status: events.Ready, Title: "other"}}
	if s.server.Spoken() {
		t.Error("got spoken before the first call")
	}
	if a := s.call(t, "show", worker.Show{}); a.Task == nil || a.Task.ID != 7 || a.Context != "about Compare quotes" || a.Status != events.Running {
		t.Errorf("show: got %+v", a)
	}
	if !s.server.Spoken() {
		t.Error("got not spoken after a call")
	}
	if a := s.call(t, "list", worker.List{Assignee: "x", Status: events.Ready, Limit: 1000}); len(a.Cards) != 1 {
		t.Errorf("list: got %+v", a)
	}
	tenant := "acme"
	if got, want := s.door.Queries()[0], (projections.ListQuery{Assignees: []string{"x"}, Statuses: []events.Status{events.Ready}, Limit: 200, Tenant: &tenant}); !reflect.DeepEqual(got, want) {
		t.Errorf("list: got query %+v, want %+v", got, want)
	}
	file := s.put(t, "out/a.txt", "hello")
	stored := events.Artifact{SHA256: file.SHA256, Size: 5}
	for _, tt := range []struct {
		tool string
		args any
		want boards.Command
	}{
		{"create", worker.Create{Tasks: []worker.Task{{Title: "a", Assignee: "b", Priority: 3}, {Title: "c", Parents: []string{"#1", "t7"}, Needs: "any", Workspace: "dir:/srv/quotes"}}},
			boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a", Assignee: "b", Priority: 3}, {Title: "c", Workspace: events.Workspace{Kind: events.Dir, Path: "/srv/quotes"},
				Parents: []boards.Parent{{New: 1, Needs: events.NeedsAny}, {Task: 7, Needs: events.NeedsAny}}}}}},
		{"link", worker.Link{Parent: 7, Child: 9}, boards.LinkTasks{Parent: 7, Child: 9}},
		{"comment", worker.Comment{Body: "hi"}, boards.CommentTask{Task: 7, Body: "hi"}},
		{"comment", worker.Comment{Task: 9, Body: "hi"}, boards.CommentTask{Task: 9, Body: "hi"}},
		{"heartbeat", worker.Heartbeat{Note: "n", Done: 1, Total: 2}, boards.Heartbeat{Task: 7, Note: "n", Done: 1, Total: 2}},
		{"attach", worker.Attach{Artifact: file}, boards.AttachFile{Task: 7, Name: "out/a.txt", Artifact: stored}},
		{"unblock", worker.Unblock{Task: 9, Answer: "yes"}, boards.UnblockTask{Task: 9, Answer: "yes"}},
	} {
		before := len(s.door.Commands())
		a := s.call(t, tt.tool, tt.args)
		if got := s.door.Commands()[before:]; len(got) != 1 || !reflect.DeepEqual(got[0], tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.tool, got, tt.want)
		}
		if tt.tool == "create" && !reflect.DeepEqual(a.Tasks, []events.TaskID{101, 102}) {
			t.Errorf("create: got %v", a.Tasks)
		}
	}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		tool   string
		args   func(worker.Artifact) any
		want   func(events.Artifact) boards.Command
		status events.Status
	}{
		{"complete", func(a worker.Artifact) any {
			return worker.Complete{Verdict: events.Fail, Summary: "s", Result: "r", Metadata: []byte(`{"a":1}`), Artifacts: []worker.Artifact{a}, Created: []events.TaskID{3}}
		}, func(a events.Artifact) boards.Command {
			return boards.CompleteTask{Task: 7, Verdict: events.Fail, Summary: "s", Result: "r", Metadata: []byte(`{"a":1}`), Artifacts: []events.Artifact{a}, Names: []string{"f"}, Created: []events.TaskID{3}}
		}, events.Done},
		{"request_review", func(a worker.Artifact) any {
			return worker.RequestReview{Summary: "s", Reviewer: "critic", Artifacts: []worker.Artifact{a}}
		}, func(a events.Artifact) boards.Command {
			return boards.RequestReview{Task: 7, Summary: "s", Reviewer: "critic", Artifacts: []events.Artifact{a}, Names: []string{"f"}}
		}, events.Review},
		{"approve", func(worker.Artifact) any { return worker.Approve{Summary: "s"} },
			func(events.Artifact) boards.Command { return boards.ApproveTask{Task: 7, Summary: "s"} }, events.Done},
		{"request_changes", func(worker.Artifact) any { return worker.RequestChanges{Reason: "r"} },
			func(events.Artifact) boards.Command { return boards.RequestChanges{Task: 7, Reason: "r"} }, events.Ready},
		{"block", func(worker.Artifact) any {
			return worker.Block{Kind: events.BlockCapability, Reason: "r", Options: []string{"a", "b"}}
		}, func(events.Artifact) boards.Command {
			return boards.BlockTask{Task: 7, Kind: events.BlockCapability, Reason: "r", Options: []string{"a", "b"}}
		}, events.Blocked},
	} {
		t.Run(tt.tool, func(t *testing.T) {
			s := serve(t)
			file := s.put(t, "f", "x")
			select {
			case <-s.server.Decided():
				t.Fatal("got decided before the verdict")
			default:
			}
			args := tt.args(file)
			if a := s.call(t, tt.tool, args); a.Status != tt.status {
				t.Errorf("got status %v, want %v", a.Status, tt.status)
			}
			<-s.server.Decided()
			if got, want := s.door.Commands(), []boards.Command{tt.want(events.Artifact{SHA256: file.SHA256, Size: 1})}; !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if a := s.call(t, tt.tool, args); a.Status != tt.status { // the answer was lost
				t.Errorf("again: got status %v, want %v", a.Status, tt.status)
			}
			_, err := s.client.Call(t.Context(), "block", worker.Block{Reason: "another"})
			if e := wantCode(t, err, "stale_run"); e.Retry {
				t.Error("got retry for a second verdict")
			}
			if n := len(s.door.Commands()); n != 1 {
				t.Errorf("got %d verdicts, want 1", n)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	s := serve(t, func(s *served) { s.server.Role = events.RoleWorker })
	for _, tt := range []struct{ name, request, code string }{
		{"unknown tool", post("/v1/delete", "{}"), "unknown_tool"},
		{"no tool", post("/v1/", "{}"), "unknown_tool"},
		{"no version", post("/show", "{}"), "unknown_tool"},
		{"path tricks", post("/v1/../v1/show", "{}"), "unknown_tool"},
		{"double slash", post("/v1//show", "{}"), "unknown_tool"},
		{"escaped slash", post("/v1/%2e%2e/show", "{}"), "unknown_tool"},
		{"method", "GET /v1/show HTTP/1.1\r\nHost: w\r\n\r\n", "unknown_tool"},
		{"not JSON", post("/v1/show", "hello"), "bad_command"},
		{"nothing", post("/v1/show", ""), "bad_command"},
		{"array", post("/v1/show", "[]"), "bad_command"},
		{"trailing", post("/v1/show", "{}{}"), "bad_command"},
		{"unknown member", post("/v1/comment", `{"body":"x","author":"alice"}`), "bad_command"},
		{"unknown board member", post("/v1/show", `{"board":"other"}`), "bad_command"},
		{"member twice", post("/v1/comment", `{"body":"x","body":"y"}`), "bad_command"},
		{"other case", post("/v1/comment", `{"Body":"x"}`), "bad_command"},
		{"wrong type", post("/v1/comment", `{"body":5}`), "bad_command"},
		{"bad id", post("/v1/show", `{"task_id":"t01"}`), "bad_command"},
		{"not UTF-8", post("/v1/comment", "{\"body\":\"\xff\"}"), "bad_command"},
		{"deep", post("/v1/complete", `{"metadata":`+strings.Repeat("[", 400_000)+strings.Repeat("]", 400_000)+`}`), "bad_command"},
		{"half a message", "POST /v1/comment HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\n{\"body\":", "bad_command"},
		{"list by a worker", post("/v1/list", "{}"), "not_yours"},
		{"workspace of the host", post("/v1/create", `{"tasks":[{"title":"x","workspace":"dir:/home/alice"}]}`), "not_yours"},
		{"workspace repo", post("/v1/create", `{"tasks":[{"title":"x","workspace":"repo:/srv/quotes"}]}`), "not_yours"},
		{"workspace word", post("/v1/create", `{"tasks":[{"title":"x","workspace":"moon"}]}`), "bad_command"},
		{"parent", post("/v1/create", `{"tasks":[{"title":"x","parents":["#0"]}]}`), "bad_command"},
		{"unknown task", post("/v1/show", `{"task_id":"t8"}`), "not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.raw(t, tt.request); !strings.Contains(got, `{"error":{"code":"`+tt.code+`"`) {
				t.Errorf("got %.300q, want code %s", got, tt.code)
			}
		})
	}
	if n := len(s.door.Commands()); n != 0 {
		t.Errorf("got %d commands, want none", n)
	}
	got := s.server.Refused()
	if got["unknown_tool"] != 7 || got["bad_command"] != 15 || got["not_yours"] != 3 || got["not_found"] != 1 || len(got) != 4 {
		t.Errorf("got refusals %v", got)
	}
	if got := s.server.Refused(); len(got) != 0 {
		t.Errorf("got refusals %v twice", got)
	}
	s.server.Unreported("not_yours", 3)
	if got := s.server.Refused(); got["not_yours"] != 3 {
		t.Errorf("got refusals %v, want those taken back", got)
	}
}

func TestHugeMessage(t *testing.T) {
	s := serve(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var body [1 << 20]byte
	for i := range body {
		body[i] = ' '
	}
	for what, head := range map[string]string{
		"announced": "POST /v1/comment HTTP/1.1\r\nHost: w\r\nContent-Length: 104857600\r\n\r\n",
		"chunked":   "POST /v1/comment HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		c, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, head)
		sent, took := 0, 0
		answer := make(chan string, 1)
		go func() { b, _ := io.ReadAll(c); answer <- string(b) }()
		for range 100 {
			if what == "chunked" {
				io.WriteString(c, "100000\r\n")
			}
			n, err := c.Write(body[:])
			sent += n
			if what == "chunked" {
				io.WriteString(c, "\r\n")
			}
			if err != nil {
				break
			}
			took++
		}
		if got := <-answer; !strings.Contains(got, `"code":"too_large"`) {
			t.Errorf("%s: got %.200q, want too_large", what, got)
		}
		if sent > 8<<20 {
			t.Errorf("%s: %d bytes were read before the refusal", what, sent)
		}
		c.Close()
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
		t.Errorf("got %d bytes allocated, want few", grown)
	}
	_, err := s.client.Call(t.Context(), "comment", worker.Comment{Body: strings.Repeat("x", 2<<20)})
	if e := wantCode(t, err, "too_large"); e.Hint == "" {
		t.Error("got no hint")
	}
	s.call(t, "comment", worker.Comment{Body: "still here"})
}

func TestTooFast(t *testing.T) {
	s := serve(t)
	other := serve(t)
	var fine, refused atomic.Int64
	started := time.Now()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 500 {
				_, err := s.client.Call(t.Context(), "comment", worker.Comment{Body: "x"})
				var e *worker.Error
				switch {
				case err == nil:
					fine.Add(1)
				case errors.As(err, &e) && e.Code == "too_fast" && e.Retry:
					refused.Add(1)
				default:
					t.Errorf("got %v", err)
					return
				}
			}
		})
	}
	for range 10 {
		other.call(t, "comment", worker.Comment{Body: "y"})
	}
	wg.Wait()
	took := time.Since(started)
	most := int64(worker.MaxCallsPerSec * (took.Seconds() + 1))
	if f := fine.Load(); f < worker.MaxCallsPerSec || f > most+1 || f+refused.Load() != 10_000 {
		t.Errorf("got %d carried out and %d refused in %v, want at most %d", f, refused.Load(), took, most)
	}
	if n := int64(len(s.door.Commands())); n != fine.Load() {
		t.Errorf("got %d commands, %d were answered", n, fine.Load())
	}
	if got := s.server.Refused(); got["too_fast"] != uint32(refused.Load()) || len(got) != 1 {
		t.Errorf("got refusals %v, want %d too_fast", got, refused.Load())
	}
	t.Logf("10,000 calls in %v", took)
}

func TestKeys(t *testing.T) {
	s := serve(t)
	for range 3 {
		s.call(t, "comment", worker.Comment{Key: "k", Body: "x"})
	}
	_, err := s.client.Call(t.Context(), "comment", worker.Comment{Key: "k", Body: "other"})
	wantCode(t, err, "idempotency_mismatch")
	s.call(t, "comment", worker.Comment{Body: "x"})
	s.call(t, "comment", worker.Comment{Body: "x"})
	if n := len(s.door.Commands()); n != 3 {
		t.Errorf("got %d comments, want 3: one for the key, two without", n)
	}
	a := s.call(t, "create", worker.Create{Key: "plan", Tasks: []worker.Task{{Title: "a"}}})
	b := s.call(t, "create", worker.Create{Key: "plan", Tasks: []worker.Task{{Title: "a"}}})
	if !reflect.DeepEqual(a.Tasks, b.Tasks) {
		t.Errorf("got %v and %v for one key", a.Tasks, b.Tasks)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := serve(t)
	var wg sync.WaitGroup
	for i := range 150 { // more than there are connections
		wg.Go(func() {
			if i%2 == 0 {
				if _, err := s.client.Call(t.Context(), "show", worker.Show{}); err != nil {
					t.Error(err)
				}
				return
			}
			if _, err := s.client.Put(t.Context(), fmt.Sprint(i), strings.NewReader(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestNoticesWithAFile: what came with the answer to a file is not lost.
func TestNoticesWithAFile(t *testing.T) {
	s := serve(t)
	alice := events.Actor{Kind: events.Human, Name: "alice"}
	s.door.Say(alice, "look at the second page")
	if _, err := s.client.Put(t.Context(), "a.txt", strings.NewReader("a")); err != nil { // its answer is the first to carry news
		t.Fatal(err)
	}
	if a := s.call(t, "heartbeat", worker.Heartbeat{}); len(a.Notices) != 1 || a.Notices[0].Text != "look at the second page" {
		t.Errorf("got %+v, want the comment", a.Notices)
	}
	if a := s.call(t, "heartbeat", worker.Heartbeat{}); len(a.Notices) != 0 {
		t.Errorf("got %+v again", a.Notices)
	}
}

func TestNotices(t *testing.T) {
	s := serve(t, func(s *served) {
		s.server.Fence = 5
		s.door.Say(events.Actor{Kind: events.Human, Name: "alice"}, "before the claim") // at 10
		s.server.Fence = 10
	})
	var got []worker.Notice
	// News is looked for once a second at most: ask until it is there.
	ask := func(n int) {
		t.Helper()
		got = nil
		for deadline := time.Now().Add(10 * time.Second); len(got) < n && time.Now().Before(deadline); {
			got = append(got, s.call(t, "heartbeat", worker.Heartbeat{}).Notices...)
			<-time.After(100 * time.Millisecond) // under the limit of calls
		}
	}
	s.door.Say(events.Actor{Kind: events.Human, Name: "alice"}, "hurry")
	s.door.Say(events.Actor{Kind: events.Worker, Name: "buyer"}, "my own words")
	s.door.Say(events.Actor{Kind: events.Worker, Name: "mailer"}, strings.Repeat("x", 10_000))
	ask(2)
	if len(got) != 2 || got[0].Text != "hurry" || got[0].By != "alice" || got[0].What != "comment" || got[1].By != "mailer" || len(got[1].Text) > 2100 {
		t.Fatalf("got %+v, want the two others said since the claim", got)
	}
	s.door.Say(events.Actor{Kind: events.Human, Name: "bob"}, "new")
	if a := s.call(t, "show", worker.Show{}); len(a.Notices) != 1 || a.Notices[0].Text != "new" {
		t.Errorf("show: got %+v, want the new one at once", a.Notices)
	}
	s.door.Stop()
	if a := s.call(t, "list", worker.List{}); len(a.Notices) != 1 || a.Notices[0].What != "stopping" {
		t.Errorf("got %+v, want that the run is being stopped", a.Notices)
	}
	if a := s.call(t, "list", worker.List{}); len(a.Notices) != 0 {
		t.Errorf("got %+v again", a.Notices)
	}
}

func TestNoInnerWords(t *testing.T) {
	secret := "/home/alice/.hermes/boards/acme/board.db"
	for what, err := range map[string]error{
		"path":     &os.PathError{Op: "open", Path: secret, Err: os.ErrPermission},
		"wrapped":  fmt.Errorf("hold %s: %w", secret, io.ErrUnexpectedEOF),
		"internal": &api.Error{Code: api.CodeInternal, Message: secret},
		"damaged":  &api.Error{Code: api.CodeDamaged, Message: secret},
		"busy":     &api.Error{Code: api.CodeBusy, Message: secret},
		"frozen":   &api.Error{Code: api.CodeFrozen, Message: secret},
	} {
		t.Run(what, func(t *testing.T) {
			s := serve(t, func(s *served) { s.door.Before = func(context.Context, string) error { return err } })
			for _, tool := range []string{"show", "list", "heartbeat", "complete"} {
				got := s.raw(t, post("/v1/"+tool, "{}"))
				if strings.Contains(got, "alice") || !strings.Contains(got, `"retry":true`) {
					t.Errorf("%s: got %q", tool, got)
				}
			}
			if wantFault := what != "busy" && what != "frozen"; (len(s.faults) == 4) != wantFault {
				t.Errorf("got %d faults told to the operator", len(s.faults))
			}
			if got := s.server.Refused(); len(got) != 0 {
				t.Errorf("got %v counted as refusals", got)
			}
		})
	}
	t.Run("store", func(t *testing.T) {
		s := serve(t, func(s *served) { s.store.Err = &os.PathError{Op: "create", Path: secret, Err: os.ErrPermission} })
		_, err := s.client.Put(t.Context(), "a", strings.NewReader("x"))
		if e := wantCode(t, err, "internal"); strings.Contains(e.Message, "alice") {
			t.Errorf("got %q", e.Message)
		}
		if fault := <-s.faults; !strings.Contains(fault.Error(), secret) {
			t.Errorf("got fault %v, want the whole of it", fault)
		}
	})
	t.Run("panic", func(t *testing.T) {
		s := serve(t, func(s *served) { s.door.Before = func(context.Context, string) error { panic(secret) } })
		if got := s.raw(t, post("/v1/show", "{}")); strings.Contains(got, "alice") || !strings.Contains(got, `"error"`) {
			t.Errorf("got %q", got)
		}
	})
}

func TestArtifactNames(t *testing.T) {
	s := serve(t)
	good := s.put(t, "fine", "x")
	for _, name := range []string{"", ".", "..", "../x", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\x00b", "a\nb", `a\b`, "\xff", strings.Repeat("x", 256), "\x1b[31m"} {
		_, err := s.client.Put(t.Context(), name, strings.NewReader("x"))
		wantCode(t, err, "bad_command")
		if strings.Contains(name, "\xff") {
			continue // no JSON
		}
		_, err = s.client.Call(t.Context(), "complete", worker.Complete{Artifacts: []worker.Artifact{{Name: name, SHA256: good.SHA256, Size: 1}}})
		wantCode(t, err, "bad_command")
	}
	for _, name := range []string{"a", "a/b c.txt", "-rf", "$(x)", "ü", "..a", "a..", strings.Repeat("x", 255)} {
		if a := s.put(t, name, "y"); a.Name != name {
			t.Errorf("got name %q, want %q", a.Name, name)
		}
	}
}

func TestForeignDigest(t *testing.T) {
	s := serve(t)
	theirs := s.store.Add([]byte("another client's"))
	mine := s.put(t, "a", "mine")
	for _, a := range []worker.Artifact{
		{Name: "a", SHA256: theirs.SHA256, Size: theirs.Size},
		{Name: "a", SHA256: mine.SHA256, Size: mine.Size + 1},
		{Name: "a"},
	} {
		_, err := s.client.Call(t.Context(), "complete", worker.Complete{Artifacts: []worker.Artifact{mine, a}})
		wantCode(t, err, "artifact_missing")
		_, err = s.client.Call(t.Context(), "attach", worker.Attach{Artifact: a})
		wantCode(t, err, "artifact_missing")
	}
	if n := len(s.door.Commands()); n != 0 {
		t.Errorf("got %d commands, want none", n)
	}
	s.put(t, "b", "another client's") // whoever has the bytes may hand them over
	s.call(t, "complete", worker.Complete{Artifacts: []worker.Artifact{{Name: "b", SHA256: theirs.SHA256, Size: theirs.Size}}})
}

func TestPutCutOff(t *testing.T) {
	s := serve(t)
	got := s.raw(t, "POST /v1/put?name=a HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nhalf")
	if !strings.Contains(got, "cut off") {
		t.Errorf("got %q, want that it was cut off", got)
	}
	got = s.raw(t, "POST /v1/put?name=a HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
	if !strings.Contains(got, "cut off") {
		t.Errorf("chunked: got %q, want that it was cut off", got)
	}
	got = s.raw(t, fmt.Sprintf("POST /v1/put?name=a HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n", int64(worker.MaxArtifactBytes)+1))
	if !strings.Contains(got, "too_large") {
		t.Errorf("got %q, want it refused by its length alone", got)
	}
	if a := s.put(t, "a", ""); a.Size != 0 {
		t.Errorf("got %+v for an empty file", a)
	}
}

// TestVerdictOutlivesCaller: an agent that hangs up has given its verdict all
// the same, and Serve waits for it.
func TestVerdictOutlivesCaller(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, func(s *served) {
		s.door.Before = func(ctx context.Context, what string) error {
			if what == "complete_task" {
				close(entered)
				<-leave
			}
			return nil
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { _, err := s.client.Call(ctx, "complete", worker.Complete{}); failed <- err }()
	<-entered
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("serve ended (%v) with a call under way", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	<-s.server.Decided()
	if n := len(agentstest.Find[boards.CompleteTask](s.door)); n != 1 {
		t.Errorf("got %d verdicts, want 1", n)
	}
}

func TestServeEnds(t *testing.T) {
	s := serve(t)
	idle, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	slow, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	io.WriteString(slow, "POST /v1/put?name=a HTTP/1.1\r\nHost: w\r\nContent-Length: 10\r\n\r\nhalf")
	s.call(t, "show", worker.Show{})
	started := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("serve took %v to end", took)
	}
	if _, err := s.client.Call(t.Context(), "show", worker.Show{}); err == nil {
		t.Error("got an answer after the end")
	}
}

func TestShowBounded(t *testing.T) {
	s := serve(t)
	d := &s.door.Detail
	for i := range 500 {
		d.Events = append(d.Events, projections.EventRow{Seq: uint64(i + 1), Time: 1, Type: "task.edited", Actor: events.Actor{Kind: events.Human, Name: "a"}})
		d.Inputs = append(d.Inputs, projections.Handoff{Task: events.TaskID(i + 100), Verdict: events.Pass, Summary: strings.Repeat("é", 8<<10), Result: strings.Repeat("r", 100<<10)})
	}
	a := s.call(t, "show", worker.Show{})
	var size int
	for _, in := range a.Task.Inputs {
		size += len(in.Summary) + len(in.Result)
	}
	if len(a.Task.Events) != 50 || a.Task.Events[49].Seq != 500 || len(a.Task.Inputs) != 500 || size > 5<<20 {
		t.Errorf("got %d events, %d inputs of %d bytes", len(a.Task.Events), len(a.Task.Inputs), size)
	}
}

func TestConnectionsBounded(t *testing.T) {
	s := serve(t)
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range 64 {
		c, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		io.WriteString(c, post("/v1/show", "{}"))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	open = append(open, c)
	io.WriteString(c, post("/v1/show", "{}"))
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, _ := c.Read(make([]byte, 1)); n != 0 {
		t.Error("got an answer on the 65th connection")
	}
	open[0].Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 1 {
		t.Errorf("got no answer after another connection was closed: %v", err)
	}
}

func TestClientErrors(t *testing.T) {
	c := worker.Dial(filepath.Join(t.TempDir(), "none"))
	defer c.Close()
	if _, err := c.Own(t.Context()); err == nil || !strings.Contains(err.Error(), "worker socket") {
		t.Errorf("got %v, want that the socket is not there", err)
	}
	s := serve(t)
	if _, err := s.client.Call(t.Context(), "show", func() {}); err == nil {
		t.Error("got no error for arguments that are no JSON")
	}
	if err := s.client.Beat(t.Context(), "n", 1, 2); err != nil {
		t.Error(err)
	}
	if ids, err := s.client.Make(t.Context(), "k", worker.Task{Title: "x"}); err != nil || len(ids) != 1 {
		t.Errorf("got %v, %v", ids, err)
	}
	if _, err := s.client.Put(t.Context(), "a", io.MultiReader(bytes.NewReader(make([]byte, 100)), &failing{})); err == nil {
		t.Error("got a file stored whose reader failed")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

// TestSlowBodies: a peer that goes silent in the middle is cut off; one that
// is slow but goes on is not.
func TestSlowBodies(t *testing.T) {
	t.Cleanup(worker.SetBodyTime(2 * time.Second)) // after the server has ended
	s := serve(t)
	var slow []net.Conn
	for _, request := range []string{
		"POST /v1/comment HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\n{",
		"POST /v1/put?name=a HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nhalf",
		"POST /v1/cut%20off HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nhalf",
	} {
		c, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, request)
		slow = append(slow, c)
	}
	r, w := io.Pipe()
	go func() { // longer than a body may rest, with no rest as long
		for range 5 {
			<-time.After(500 * time.Millisecond)
			io.WriteString(w, "x")
		}
		w.Close()
	}()
	if a, err := s.client.Put(t.Context(), "slow", r); err != nil || a.Size != 5 {
		t.Errorf("got %+v, %v, want the slow file stored", a, err)
	}
	for _, c := range slow {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), "cut off") {
			t.Errorf("got %q, %v, want it cut off", b, err)
		}
	}
}
