package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/mcp"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/agents/runtime/runtimetest"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// attempt is a run of a board in memory with an agent of ours.
type attempt struct {
	t      *testing.T
	agent  *Agent
	door   *agentstest.Door
	out    bytes.Buffer
	waited []time.Duration
}

// newAttempt serves the worker socket and a model.
func newAttempt(t *testing.T, kind string, model http.Handler) *attempt {
	t.Helper()
	dir, err := os.MkdirTemp("", "m") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	x := &attempt{t: t, door: &agentstest.Door{}}
	run := events.RunID{Task: 7, N: 2}
	d := &x.door.Detail
	d.ID, d.Status, d.Title, d.CreatedBy = 7, events.Running, "Compare quotes", events.Actor{Kind: events.Human, Name: "alice"}
	d.Runs = []projections.RunRow{{Run: run, Agent: "buyer", Role: events.RoleWorker, Phase: events.Running}}
	srv := &worker.Server{
		Door: x.door, Board: events.BoardID{1}, Run: run, Agent: "buyer", Role: events.RoleWorker, Store: &agentstest.Store{},
		Verdict: func(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
			return x.door.Do(ctx, id, c)
		},
		Context: func(d projections.Detail) string { return "# Task t7: " + d.Title + "\n" },
	}
	socket := filepath.Join(dir, "sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	client := worker.Dial(socket)
	web := httptest.NewServer(model)
	t.Cleanup(func() {
		web.Close()
		client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve the socket: %v", err)
		}
	})
	f := Folders{Workspace: filepath.Join(dir, "ws"), Outputs: filepath.Join(dir, "out")}
	for _, d := range []string{f.Workspace, f.Outputs} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	x.agent = &Agent{
		Config: runtime.ModelConfig{API: kind, BaseURL: web.URL, Model: "m-1", Tools: []string{"read", "write", "list", "shell"}, Instructions: "You are frugal.",
			Transcript: filepath.Join(dir, "talk.jsonl")},
		Token: "worthless", Prompt: "Compare the quotes.", Folders: f, Out: &x.out,
		Board: (&mcp.Server{Client: client, Outputs: f.Outputs, Dir: f.Workspace, Version: "1"}).Tools(t.Context()),
		Wait:  func(_ context.Context, d time.Duration) error { x.waited = append(x.waited, d); return nil },
	}
	return x
}

// ends is the last line of the output.
func (x *attempt) ends() line {
	x.t.Helper()
	lines := strings.Split(strings.TrimSpace(x.out.String()), "\n")
	var last line
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Type != "end" {
		x.t.Fatalf("got %q at the end, %v", lines[len(lines)-1], err)
	}
	return last
}

func (x *attempt) run() {
	x.t.Helper()
	if err := x.agent.Run(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
}

// says makes a script of replies; what comes after them fails the test.
func says(t *testing.T, replies ...runtimetest.Reply) *runtimetest.Model {
	return &runtimetest.Model{Script: func(n int, r *runtimetest.Request) runtimetest.Reply {
		if n >= len(replies) {
			t.Errorf("request %d came, after %d replies", n, len(replies))
			return runtimetest.Reply{Status: 400, Type: "invalid_request_error"}
		}
		return replies[n]
	}}
}

func act(tool string, args object) runtimetest.Reply {
	return runtimetest.Reply{Tool: tool, Args: args}
}

var done = act("kanban_complete", object{"summary": "done"})

func eachAPI(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range []string{agents.Anthropic, agents.OpenAIChat} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

func TestWork(t *testing.T) {
	eachAPI(t, func(t *testing.T, kind string) {
		m := says(t, act("kanban_show", nil), act("write_file", object{"path": "$HERMES_OUTPUTS/quotes.md", "content": "two\n"}), act("shell", object{"command": "cat ../out/quotes.md"}),
			act("kanban_complete", object{"summary": "two quotes", "artifacts": []string{"quotes.md"}}))
		x := newAttempt(t, kind, m)
		x.run()
		got := x.door.Commands()
		if c, ok := got[len(got)-1].(boards.CompleteTask); !ok || c.Summary != "two quotes" || !slices.Equal(c.Names, []string{"quotes.md"}) {
			t.Errorf("got %+v, want the task completed with its file", got)
		}
		first, last := m.Requests()[0], m.Requests()[3]
		for _, tool := range []string{"kanban_show", "kanban_complete", "read_file", "write_file", "list_files", "shell"} {
			if !first.Has(tool) {
				t.Errorf("got tools %v, want %s among them", first.Tools, tool)
			}
		}
		for _, text := range []string{"You are frugal.", "End with exactly one of", "Compare the quotes."} {
			if !first.Heard(text) {
				t.Errorf("%q was not said in %q", text, first.Said)
			}
		}
		if first.Model != "m-1" || first.Header.Get("X-Api-Key")+first.Header.Get("Authorization") == "" {
			t.Errorf("got model %q, header %v", first.Model, first.Header)
		}
		if len(last.Results) != 3 || !strings.HasPrefix(last.Results[0], "# Task t7") || !strings.Contains(last.Results[2], "exit status 0\ntwo") {
			t.Errorf("got results %q", last.Results)
		}
		end := x.ends()
		want := agents.Tokens{Input: 4 * runtimetest.InputTokens, Output: 4 * runtimetest.OutputTokens, CacheRead: 4 * runtimetest.CacheTokens}
		if kind == agents.OpenAIChat {
			want.Input -= want.CacheRead
		}
		if end.Text != "verdict" || end.Class != "" || end.Turns != 4 || *end.Tokens != want {
			t.Errorf("got the end %+v, tokens %+v, want %+v", end, end.Tokens, want)
		}
	})
}

// TestGoesOn: after an answer the conversation continues, in another process.
func TestGoesOn(t *testing.T) {
	eachAPI(t, func(t *testing.T, kind string) {
		first := newAttempt(t, kind, says(t, runtimetest.Reply{Tool: "write_file", Args: object{"path": "found", "content": "the harbour"}}, act("kanban_block", object{"reason": "Which port?"})))
		first.run()
		m := says(t, done)
		second := newAttempt(t, kind, m)
		second.agent.Config.Transcript, second.agent.Config.Resume, second.agent.Prompt = first.agent.Config.Transcript, true, "The task goes on: Porto."
		second.run()
		r := m.Requests()[0]
		if !r.Heard("Compare the quotes.") || !r.Heard("The task goes on: Porto.") || !bytes.Contains(r.Body, []byte("Which port?")) || len(r.Results) != 2 {
			t.Errorf("got %s, want all of the conversation", r.Body)
		}
	})
}

// TestResumesElsewhere: a conversation does not depend on the API it began with.
func TestResumesElsewhere(t *testing.T) {
	first := newAttempt(t, agents.OpenAIChat, says(t, act("shell", object{"command": "true"}), act("kanban_block", object{"reason": "Which port?"})))
	first.run()
	m := says(t, done)
	second := newAttempt(t, agents.Anthropic, m)
	second.agent.Config.Transcript, second.agent.Config.Resume = first.agent.Config.Transcript, true
	second.run()
	if r := m.Requests()[0]; len(r.Results) != 2 || !bytes.Contains(r.Body, []byte("Which port?")) {
		t.Errorf("got %s", r.Body)
	}
}

func TestNoVerdict(t *testing.T) {
	eachAPI(t, func(t *testing.T, kind string) {
		m := says(t, act("kanban_show", nil), runtimetest.Reply{Text: "All done!"}, runtimetest.Reply{Text: "As I said."})
		x := newAttempt(t, kind, m)
		x.run()
		if got := x.door.Commands(); len(got) != 0 {
			t.Errorf("got %+v, want no verdict", got)
		}
		if !m.Requests()[2].Heard("call kanban_complete or kanban_block") || !strings.HasPrefix(x.ends().Text, "no verdict") {
			t.Errorf("got %q, want it asked for once", x.out.String())
		}
	})
}

// TestNudged: the one reminder is enough for some.
func TestNudged(t *testing.T) {
	x := newAttempt(t, agents.Anthropic, says(t, runtimetest.Reply{Text: "All done!"}, done))
	x.run()
	if got := x.door.Commands(); len(got) != 1 {
		t.Errorf("got %+v, want it completed", got)
	}
}

// TestEndless: a model that only ever calls tools comes to its limit, and a
// person is asked.
func TestEndless(t *testing.T) {
	eachAPI(t, func(t *testing.T, kind string) {
		m := &runtimetest.Model{Script: func(int, *runtimetest.Request) runtimetest.Reply { return act("list_files", object{}) }}
		x := newAttempt(t, kind, m)
		x.agent.Config.MaxTurns = 20
		x.run()
		got := x.door.Commands()
		if c, ok := got[len(got)-1].(boards.BlockTask); !ok || c.Kind != events.BlockNeedsInput || !strings.Contains(c.Reason, "limit of 20 answers") || len(got) != 1 {
			t.Errorf("got %+v, want the task blocked with the limit named", got)
		}
		if n := len(m.Requests()); n != 20 || !m.Requests()[19].Heard("18 of your 20 answers are used up") {
			t.Errorf("got %d requests, want 20, the last after a notice", n)
		}
	})
}

// TestHostileAnswers: whatever a model asks for, it is told and nothing breaks.
func TestHostileAnswers(t *testing.T) {
	eachAPI(t, func(t *testing.T, kind string) {
		hostile := []runtimetest.Reply{
			act("kanban_delete_board", object{}), act("sudo rm -rf /", object{}), {Tool: "read_file", Args: []string{"/etc/shadow"}}, {Tool: "shell", Args: 7},
			act("read_file", object{"path": "../../../../etc/shadow"}), act("write_file", object{"path": "/etc/cron.d/x", "content": "x"}),
			act("write_file", object{"path": "big", "content": strings.Repeat("x", 1<<20)}), act("kanban_complete", object{"summary": "x", "verdict": "maybe"}),
			act("kanban_complete", object{"summary": "x", "artifacts": []string{"../../etc/hostname-that-is-not-there"}}), act("kanban_complete", object{"task_id": "t8", "summary": "x"}), act("kanban_complete", object{}),
			act("kanban_comment", object{"body": strings.Repeat("y", 1<<20)}), act("kanban_list", object{}),
		}
		m := says(t, append(slices.Clone(hostile), done)...)
		x := newAttempt(t, kind, m)
		x.run()
		r := m.Requests()[len(hostile)]
		if len(r.Results) != len(hostile) {
			t.Fatalf("got %d results, want %d", len(r.Results), len(hostile))
		}
		for i, text := range r.Results {
			if text == "" || len(text) > 4096 || strings.Contains(text, "root:") {
				t.Errorf("%v: got %.300q", hostile[i].Tool, text)
			}
		}
		if got := x.door.Commands(); len(got) != 1 {
			t.Errorf("got %+v, want the verdict alone", got)
		}
		if len(r.Body) > 200<<10 {
			t.Errorf("got a conversation of %d bytes, want what was refused left out", len(r.Body))
		}
		if _, err := os.Stat("/etc/cron.d/x"); err == nil {
			t.Error("a file was written outside")
		}
	})
}

// TestSeveralCalls: those of one answer are carried out in their order, and
// none after the verdict.
func TestSeveralCalls(t *testing.T) {
	block := func(i int, name, args string) []string {
		return []string{fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":"same","name":%q,"input":{}}}`, i, name),
			fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":%q}}`, i, args)}
	}
	data := slices.Concat([]string{begun}, block(0, "write_file", `{"path":"a","content":"1"}`), block(1, "shell", `{"command":"cat a; echo 2 >> a`), block(2, "shell", `{"command":"cat a; echo 3 >> a"}`),
		block(3, "kanban_complete", `{"summary":"done"}`), block(4, "write_file", `{"path":"late","content":"x"}`), []string{ended, stops})
	x := newAttempt(t, agents.Anthropic, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sse(data...)) }))
	x.run()
	if b, err := os.ReadFile(filepath.Join(x.agent.Folders.Workspace, "a")); err != nil || string(b) != "13\n" {
		t.Errorf("got %q, %v, want the calls in order, without the malformed one", b, err)
	}
	if _, err := os.Stat(filepath.Join(x.agent.Folders.Workspace, "late")); err == nil {
		t.Error("got a call carried out after the verdict")
	}
	tr, err := openTranscript(x.agent.Config.Transcript, true)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.file.Close()
	if last := tr.messages[len(tr.messages)-1]; len(last.Results) != 5 || !last.Results[1].Refused || last.Results[3].Refused || !strings.Contains(last.Results[4].Text, "has its verdict") {
		t.Errorf("got %+v", last)
	}
}

func TestFailures(t *testing.T) {
	fails := func(status int, kind string, header http.Header) runtimetest.Reply {
		return runtimetest.Reply{Status: status, Type: kind, Say: "no", Header: header}
	}
	soon, late := http.Header{"Retry-After": {"7"}}, http.Header{"Retry-After": {"600"}}
	for name, c := range map[string]struct {
		replies []runtimetest.Reply
		class   runtime.Class // empty = it goes on
		retry   time.Duration
		waited  []time.Duration
	}{
		"no key":              {[]runtimetest.Reply{fails(401, "authentication_error", nil)}, runtime.Auth, 0, nil},
		"no credit":           {[]runtimetest.Reply{fails(402, "billing_error", nil)}, runtime.Credit, 0, nil},
		"too many for a time": {[]runtimetest.Reply{fails(429, "rate_limit_error", late)}, runtime.RateLimited, 10 * time.Minute, nil},
		"too many for now":    {[]runtimetest.Reply{fails(429, "rate_limit_error", soon), done}, "", 0, []time.Duration{7 * time.Second}},
		"overloaded":          {[]runtimetest.Reply{fails(529, "overloaded_error", nil), fails(500, "api_error", nil), done}, "", 0, []time.Duration{2 * time.Second, 4 * time.Second}},
		"for good": {slices.Repeat([]runtimetest.Reply{fails(529, "overloaded_error", nil)}, tries), runtime.Overloaded, 0,
			[]time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second}},
		"our fault": {[]runtimetest.Reply{fails(400, "invalid_request_error", nil)}, runtime.Invalid, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			x := newAttempt(t, agents.Anthropic, says(t, c.replies...))
			err := x.agent.Run(t.Context())
			var f *Failure
			if errors.As(err, &f) != (c.class != "") || c.class == "" && err != nil {
				t.Fatalf("got %v, want class %q", err, c.class)
			}
			if f != nil && (f.Class != c.class || f.Retry != c.retry) {
				t.Errorf("got %+v", f)
			}
			if !slices.Equal(x.waited, c.waited) {
				t.Errorf("got waits %v, want %v", x.waited, c.waited)
			}
			if end := x.ends(); end.Class != c.class || end.Retry != c.retry.Milliseconds() {
				t.Errorf("got the end %+v", end)
			}
		})
	}
}

// TestSilence: a model that says nothing any more is given up, one that says
// little is not.
func TestSilence(t *testing.T) {
	x := newAttempt(t, agents.Anthropic, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, sse(begun))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	x.agent.Idle = 50 * time.Millisecond
	var f *Failure
	if err := x.agent.Run(t.Context()); !errors.As(err, &f) || f.Class != runtime.Overloaded || !strings.Contains(f.Detail, "silent") || len(x.waited) != tries-1 {
		t.Errorf("got %v after %d waits", err, len(x.waited))
	}
}

// TestCutOff: what a stopped attempt had begun is told to the next one.
func TestCutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	first := newAttempt(t, agents.OpenAIChat, says(t, act("shell", object{"command": "echo begun > pipe; sleep 300"})))
	pipe := filepath.Join(first.agent.Folders.Workspace, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	begun, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer begun.Close()
	go func() {
		defer cancel()
		begun.Read(make([]byte, 1)) // until the command runs
	}()
	if err := first.agent.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	m := says(t, done)
	second := newAttempt(t, agents.OpenAIChat, m)
	second.agent.Config.Transcript, second.agent.Config.Resume = first.agent.Config.Transcript, true
	second.run()
	if r := m.Requests()[0]; len(r.Results) != 1 || !strings.Contains(r.Results[0], "cut off") {
		t.Errorf("got results %q", r.Results)
	}
}
