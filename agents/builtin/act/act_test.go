package act

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents/agentstest"
	"github.com/hermesboard/hermes/agents/builtin"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

const corpus = "../testdata/corpus"

type stage struct {
	door  *agentstest.Door
	store *agentstest.Store
	env   Env
}

// set makes a run of task t7 with a body, and the socket to it.
func set(t *testing.T, body string) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &stage{door: &agentstest.Door{}, store: &agentstest.Store{}}
	d := &s.door.Detail
	d.ID, d.Status, d.Title, d.Body, d.CreatedBy = 7, events.Running, "Who keeps the log?", body, events.Actor{Kind: events.Human, Name: "alice"}
	d.Runs = []projections.RunRow{{Run: events.RunID{Task: 7, N: 1}, Agent: "a", Role: events.RoleWorker, Phase: events.Ready}}
	server := &worker.Server{Door: s.door, Board: events.BoardID{1}, Run: events.RunID{Task: 7, N: 1}, Role: events.RoleWorker, Store: s.store, Verdict: s.door.Do}
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	s.env = Env{Client: worker.Dial(filepath.Join(dir, "sock")), Sources: corpus, Inputs: filepath.Join(dir, "in"), Outputs: filepath.Join(dir, "out")}
	for _, p := range []string{s.env.Inputs, s.env.Outputs} {
		if err := os.Mkdir(p, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.env.Client.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// play runs an agent and returns its verdict.
func (s *stage) play(t *testing.T, name string) boards.CompleteTask {
	t.Helper()
	if err := Run(t.Context(), name, s.env); err != nil {
		t.Fatal(err)
	}
	done := agentstest.Find[boards.CompleteTask](s.door)
	if len(done) != 1 {
		t.Fatalf("got %d verdicts, want 1", len(done))
	}
	if beats := len(agentstest.Find[boards.Heartbeat](s.door)); beats > 2 {
		t.Errorf("got %d heartbeats, want at most 2", beats)
	}
	return done[0]
}

func (s *stage) file(t *testing.T, done boards.CompleteTask, name string) []byte {
	t.Helper()
	for i, n := range done.Names {
		if n == name {
			r, err := s.store.Open(done.Artifacts[i].SHA256)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			onDisk, err := os.ReadFile(filepath.Join(s.env.Outputs, name))
			if err != nil || !bytes.Equal(onDisk, b) {
				t.Errorf("%s: the outputs folder has something else: %v", name, err)
			}
			return b
		}
	}
	t.Fatalf("%s was not handed over: %v", name, done.Names)
	return nil
}

// TestPipeline plays all three on the same documents, each as its own run, and
// checks the brief against the documents.
func TestPipeline(t *testing.T) {
	lead := set(t, "Who may write the log of a harbour, and how is a stale keeper fenced off?")
	plan := lead.play(t, "orchestrator")
	made := agentstest.Find[boards.CreateTasks](lead.door)
	if len(made) != 1 || plan.Verdict != events.Pass && plan.Verdict != 0 || len(plan.Created) != len(made[0].Tasks) {
		t.Fatalf("got %d creations and %+v", len(made), plan)
	}
	var inputs []projections.Handoff
	var notes [][]byte
	tasks := made[0].Tasks
	for i, task := range tasks[:len(tasks)-1] {
		r := set(t, task.Body)
		done := r.play(t, "researcher")
		if done.Verdict == events.Fail {
			t.Fatalf("researcher %d: %s", i, done.Summary)
		}
		b := r.file(t, done, "notes.json")
		r.file(t, done, "notes.md")
		notes = append(notes, b)
		inputs = append(inputs, projections.Handoff{Task: events.TaskID(i + 20), Verdict: events.Pass, Agent: "r", Time: 1, Artifacts: []projections.ArtifactRow{
			{Name: "notes.json", SHA256: r.store.Add(b).SHA256, Size: int64(len(b)), By: events.Actor{Kind: events.Worker, Name: "r"}, Kind: "result"}}})
	}
	last := tasks[len(tasks)-1]
	if len(last.Parents) != len(tasks)-1 {
		t.Errorf("got parents %v of the writer, want all researchers", last.Parents)
	}
	w := set(t, last.Body)
	w.door.Detail.Inputs = inputs
	for i, in := range inputs {
		dir := filepath.Join(w.env.Inputs, in.Task.String())
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "notes.json"), notes[i], 0o400); err != nil {
			t.Fatal(err)
		}
	}
	w.env.Sources = "" // it needs none
	brief := w.file(t, w.play(t, "writer"), "brief.md")
	if report := builtin.Check(brief, os.DirFS(corpus)); !report.OK() || report.Total == 0 {
		t.Errorf("got %s in\n%s", report, brief)
	}
}

func TestFailsPlainly(t *testing.T) {
	for _, tt := range []struct {
		name, agent string
		with        func(*stage)
		word        string
	}{
		{"no sources", "orchestrator", func(s *stage) { s.env.Sources = "" }, "runtime.sources"},
		{"no sources", "researcher", func(s *stage) { s.env.Sources = "" }, "runtime.sources"},
		{"sources gone", "researcher", func(s *stage) { s.env.Sources = "/no/such/folder" }, "cannot be read"},
		{"sources a file", "orchestrator", func(s *stage) { s.env.Sources = "act.go" }, "cannot be read"},
		{"no notes", "writer", func(*stage) {}, "no parent handed over notes"},
		{"notes gone", "writer", func(s *stage) { s.notes(nil) }, "notes of t3"},
		{"notes no JSON", "writer", func(s *stage) { s.notes([]byte("<html>")) }, "notes of t3"},
		{"notes huge", "writer", func(s *stage) { s.notes(make([]byte, maxNotesBytes+1)) }, "more than"},
		{"task of the future", "researcher", func(s *stage) { s.door.Detail.Body = block([]byte(`{"version":99,"topic":"x"}`)) }, "version"},
	} {
		t.Run(tt.agent+" "+tt.name, func(t *testing.T) {
			s := set(t, "topic")
			tt.with(s)
			done := s.play(t, tt.agent)
			if done.Verdict != events.Fail || !strings.Contains(done.Summary, tt.word) || strings.Contains(done.Summary, "\n") || len(done.Summary) > 1100 {
				t.Errorf("got %v: %q, want a failure that says %q", done.Verdict, done.Summary, tt.word)
			}
			if n := len(agentstest.Find[boards.CreateTasks](s.door)); n != 0 {
				t.Errorf("got %d creations", n)
			}
		})
	}
}

func (s *stage) notes(b []byte) {
	s.door.Detail.Inputs = []projections.Handoff{{Task: 3, Verdict: events.Pass, Time: 1, Artifacts: []projections.ArtifactRow{
		{Name: "notes.json", By: events.Actor{Kind: events.Worker, Name: "r"}, Kind: "result"}}}}
	if b != nil {
		dir := filepath.Join(s.env.Inputs, "t3")
		os.Mkdir(dir, 0o700)
		os.WriteFile(filepath.Join(dir, "notes.json"), b, 0o600)
	}
}

func TestEmptyCorpus(t *testing.T) {
	s := set(t, "topic")
	s.env.Sources = t.TempDir()
	if done := s.play(t, "orchestrator"); done.Verdict == events.Fail || !strings.Contains(done.Summary, "0 documents divided over 1 researcher;") {
		t.Errorf("got %+v", done)
	}
	r := set(t, agentstest.Find[boards.CreateTasks](s.door)[0].Tasks[0].Body)
	r.env.Sources = s.env.Sources
	if done := r.play(t, "researcher"); done.Verdict == events.Fail || !strings.Contains(done.Summary, "0 notes") {
		t.Errorf("got %+v", done)
	}
}

func TestHostileBodies(t *testing.T) {
	evil := []string{
		"", "```", "```json hermes", "```json hermes\n", "```json hermes\n{", "```json hermes\nnull\n```", "```json hermes\n[]\n```", "```json hermes\n{\"topic\":5}\n```",
		block([]byte(`{"version":1,"topic":"x","files":["../../../etc/passwd","/etc/passwd","",".."],"notes":-5}`)),
		block([]byte(`{"version":1,"topic":"x","notes":1000000000,"terms":[{"word":"","weight":1e308},{"word":"x","weight":-1e308}]}`)),
		"\x1b[31m\u202e" + strings.Repeat("`", 100_000), strings.Repeat("word ", 40_000),
		"```json hermes\n{\"topic\":\"first\"}\n```\n" + block([]byte(`{"version":1,"topic":"last"}`)),
	}
	for _, agent := range []string{"orchestrator", "researcher", "writer"} {
		for i, body := range evil {
			s := set(t, body)
			s.notes([]byte(`{"version":1,"topic":"` + "```\\n# Evil" + `","notes":[{"claim":"x","quote":"y\n` + "```" + `\nz","file":"../../x","first":-1,"last":1000000000}]}`))
			done := s.play(t, agent)
			if len(done.Summary) == 0 {
				t.Errorf("%s %d: got no summary", agent, i)
			}
			if b, err := os.ReadFile(filepath.Join(s.env.Outputs, "notes.json")); err == nil && bytes.Contains(b, []byte("root:")) {
				t.Errorf("%s %d: read a file from outside", agent, i)
			}
		}
	}
}

func TestFenced(t *testing.T) {
	type params struct{ A, B string }
	for body, want := range map[string]struct {
		p    params
		rest string
	}{
		"words": {params{"old", "old"}, "words"},
		"before\n" + block([]byte(`{"A":"1"}`)) + "\nafter":                    {params{"1", "old"}, "before\n\nafter"},
		"before\n" + block([]byte(`{"A":"1","B":5}`)):                          {params{"old", "old"}, "before\n" + block([]byte(`{"A":"1","B":5}`))},
		block([]byte(`{"A":"quoted"}`)) + "\n" + block([]byte(`{"A":"real"}`)): {params{"real", "old"}, block([]byte(`{"A":"quoted"}`))},
		block(mustJSON(params{A: "x\n" + block([]byte(`{"A":"inner"}`))})):     {params{"x\n" + block([]byte(`{"A":"inner"}`)), ""}, ""},
	} {
		p := params{"old", "old"}
		if rest := fenced(body, &p); p != want.p || rest != want.rest {
			t.Errorf("%q: got %+v, %q, want %+v, %q", body, p, rest, want.p, want.rest)
		}
	}
}

func mustJSON(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return b
}

// TestPlanOnce: an attempt that was cut off after its plan is not followed by
// a second plan.
func TestPlanOnce(t *testing.T) {
	s := set(t, "topic")
	d := &s.door.Detail
	d.Children = []events.TaskID{8, 9}
	d.Runs = append([]projections.RunRow{{Run: events.RunID{Task: 7, N: 1}, Agent: "a", Role: events.RoleWorker, Phase: events.Ready, Outcome: events.OutcomeCrashed}}, d.Runs...)
	if done := s.play(t, "orchestrator"); done.Verdict == events.Fail {
		t.Errorf("got %+v", done)
	}
	if n := len(agentstest.Find[boards.CreateTasks](s.door)); n != 0 {
		t.Errorf("got %d plans more", n)
	}
}

func TestBusyBoard(t *testing.T) {
	s := set(t, "topic")
	left := map[string]int{"show": 1, "create_tasks": 1, "complete_task": 1}
	s.door.Before = func(_ context.Context, what string) error { // one call at a time
		if left[what] > 0 {
			left[what]--
			return &api.Error{Code: api.CodeBusy}
		}
		return nil
	}
	if done := s.play(t, "orchestrator"); done.Verdict == events.Fail {
		t.Errorf("got %+v", done)
	}
	if n := len(agentstest.Find[boards.CreateTasks](s.door)); n != 1 {
		t.Errorf("got %d plans, want 1", n)
	}
}

func TestToldToStop(t *testing.T) {
	s := set(t, "topic")
	ctx, cancel := context.WithCancel(t.Context())
	s.door.Before = func(_ context.Context, what string) error {
		if what == "heartbeat" {
			cancel()
		}
		return nil
	}
	if err := Run(ctx, "researcher", s.env); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if n := len(agentstest.Find[boards.CompleteTask](s.door)); n != 0 {
		t.Errorf("got %d verdicts from an agent that was told to stop", n)
	}
	if err := Run(t.Context(), "cook", s.env); err == nil {
		t.Error("got an unknown agent played")
	}
}
