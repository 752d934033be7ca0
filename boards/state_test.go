package boards_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

// TestSize holds a state of 100,000 tasks to what a small host can carry.
func TestSize(t *testing.T) {
	before := heap()
	s := large(t, 100_000)
	if got := heap() - before; got > 40<<20 {
		t.Errorf("got %d MB for 100,000 tasks, want 40 at most", got>>20)
	}
	snapshot := s.AppendSnapshot(nil)
	if len(snapshot) > 8<<20 {
		t.Errorf("got a snapshot of %d MB, want 8 at most", len(snapshot)>>20)
	}
	start := time.Now()
	again, err := boards.LoadSnapshot(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes loaded in %v", len(snapshot), time.Since(start))
	if again.Tasks() != 100_000 || !bytes.Equal(again.AppendSnapshot(nil), snapshot) {
		t.Error("the snapshot loads as another state")
	}
	runtime.KeepAlive(s)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// FuzzLoadSnapshot: hostile bytes are refused or are a state that can be used.
func FuzzLoadSnapshot(f *testing.F) {
	for seed := range uint64(3) {
		s := boards.NewState()
		for _, r := range boardstest.Walk(seed, 60) {
			s.Evolve(&r)
		}
		f.Add(s.AppendSnapshot(nil))
	}
	records := boardstest.Walk(9, 120)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := boards.LoadSnapshot(b)
		if err != nil {
			return
		}
		if again := s.AppendSnapshot(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x loads and is written as %x", b, again)
		}
		_ = s.Check()
		for i := range records { // of another board: nothing fits, nothing may break
			s.Evolve(&records[i])
		}
	})
}

// TestEvolveIsTotal folds every record of a walk into states that know nothing
// of it, in disorder.
func TestEvolveIsTotal(t *testing.T) {
	records := boardstest.Walk(4, 1500)
	for stride := 1; stride < 40; stride += 3 {
		s := boards.NewState()
		for i := range records {
			s.Evolve(&records[i*stride%len(records)])
		}
		if _, err := boards.LoadSnapshot(s.AppendSnapshot(nil)); err != nil {
			t.Fatalf("stride %d: %v", stride, err)
		}
	}
}

func TestPrincipal(t *testing.T) {
	b := boardstest.New(t)
	b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a"}}})
	run := events.RunID{Task: 1, N: 1}
	token := boardstest.Token(run)
	claimed := b.Must(t, boardstest.TheDispatcher, boards.ClaimTask{Task: 1, Agent: "coder", Token: token, Role: events.RoleOrchestrator})
	p, live, ok := b.State.Principal(token)
	want := boards.Principal{
		Actor: events.Actor{Kind: events.Worker, Name: "coder"}, Run: run, Fence: claimed[0].Seq, Role: events.RoleOrchestrator,
	}
	if p != want || !live || !ok {
		t.Errorf("claimed: got %+v, %t, %t; want %+v", p, live, ok, want)
	}
	b.Must(t, p, boards.CompleteTask{Task: 1})
	if _, live, ok := b.State.Principal(token); live || !ok {
		t.Errorf("after the verdict: got %t, %t; want a known run that may not speak", live, ok)
	}
	b.Must(t, p, boards.EndRun{Run: run})
	if _, _, ok := b.State.Principal(token); ok {
		t.Error("after the end: the token still opens the door")
	}
	if _, _, ok := b.State.Principal(events.Digest{}); ok {
		t.Error("no token opens the door")
	}
}

func TestResultOf(t *testing.T) {
	b := boardstest.New(t)
	created := b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a"}, {Title: "b", Parents: []boards.Parent{{New: 1}}}, {Title: "c", Triage: true}}})
	r := boards.ResultOf(created)
	if r.First != 3 || r.Last != 5 || len(r.Tasks) != 3 || r.Tasks[1] != 2 || r.Status != events.Ready {
		t.Errorf("create: got %+v", r)
	}
	r = boards.ResultOf(b.Must(t, boardstest.TheDispatcher, boards.ClaimTask{Task: 1, Agent: "coder", Token: boardstest.Token(events.RunID{Task: 1, N: 1})}))
	if r.Run != (events.RunID{Task: 1, N: 1}) || r.Fence != 6 || r.Status != events.Running {
		t.Errorf("claim: got %+v", r)
	}
	b.Must(t, boardstest.TheDispatcher, boards.StopRun{Task: 1, Then: events.ThenRetry})
	b.Must(t, boardstest.TheDispatcher, boards.EndRun{Run: r.Run})
	r = boards.ResultOf(b.Must(t, boardstest.Kai, boards.CompleteTask{Task: 1}))
	if r.Status != events.Done { // and not where the child went
		t.Errorf("complete: got %+v", r)
	}
	r = boards.ResultOf(b.Must(t, boardstest.TheDispatcher, boards.DecomposeTask{Task: 3, Children: []boards.NewTask{{Title: "part"}}}))
	if r.Status != events.Todo || len(r.Tasks) != 1 || r.Tasks[0] != 4 {
		t.Errorf("decompose: got %+v", r)
	}
	if r := boards.ResultOf(nil); r.First != 0 || r.Status != 0 {
		t.Errorf("nothing: got %+v", r)
	}
}

// TestLimits sends what is just within a limit, and just over it.
func TestLimits(t *testing.T) {
	make := func(n boards.NewTask) boards.Command { return boards.CreateTasks{Tasks: []boards.NewTask{n}} }
	cases := []struct {
		name string
		with func(n int) boards.Command
		max  int
		hint string
	}{
		{"title", func(n int) boards.Command { return make(boards.NewTask{Title: strings.Repeat("x", n)}) }, 500, ""},
		{"body", func(n int) boards.Command { return make(boards.NewTask{Title: "x", Body: strings.Repeat("x", n)}) }, 200 << 10, "hermes kanban attach TASK FILE"},
		{"body of quotes", func(n int) boards.Command {
			return make(boards.NewTask{Title: "x", Body: strings.Repeat(`"`, n)})
		}, 130_000, "hermes kanban attach TASK FILE"},
		{"comment", func(n int) boards.Command { return boards.CommentTask{Task: 1, Body: strings.Repeat("x", n)} }, 32 << 10, "hermes kanban attach t1 FILE"},
		{"answer and note of control characters", func(n int) boards.Command {
			return boards.UnblockTask{Task: 1, Answer: strings.Repeat("\x01", n/2), Note: strings.Repeat("\x01", n/2)}
		}, 43_000, "hermes kanban attach t1 FILE"},
		{"tasks", func(n int) boards.Command {
			c := boards.CreateTasks{}
			for range n {
				c.Tasks = append(c.Tasks, boards.NewTask{Title: "x"})
			}
			return c
		}, 256, ""},
		{"option", func(n int) boards.Command {
			return boards.BlockTask{Task: 1, Options: []string{strings.Repeat("x", n)}}
		}, 100, ""},
		{"file name", func(n int) boards.Command {
			return boards.AttachFile{Task: 1, Name: strings.Repeat("x", n), Artifact: events.Artifact{SHA256: events.DigestOf(nil)}}
		}, 255, ""},
		{"agent", func(n int) boards.Command { return make(boards.NewTask{Title: "x", Assignee: strings.Repeat("x", n)}) }, 64, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, over := range []int{0, 1} {
				b := boardstest.New(t)
				b.Must(t, boardstest.Kai, make(boards.NewTask{Title: "x"}))
				n := c.max + over
				if over == 1 && n > 33_000 && c.name != "body" {
					n += 2_000 // the limit of a text is not sharp
				}
				if strings.HasPrefix(c.name, "answer") {
					b.Must(t, boardstest.Kai, boards.BlockTask{Task: 1})
				}
				records, err := b.Do(boardstest.Kai, c.with(n))
				var r *boards.Rejection
				switch {
				case over == 0 && err != nil:
					t.Errorf("%d: %v", n, err)
				case over == 1 && (!errors.As(err, &r) || r.Code != boards.CodeBadCommand && r.Code != boards.CodeTooMany || r.Hint != c.hint):
					t.Errorf("%d: got %+v, want a refusal with hint %q", n, r, c.hint)
				}
				for i := range records {
					if _, err := events.Encode(records[i]); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// TestManyChildren: a parent may have no more children than one command can release.
func TestManyChildren(t *testing.T) {
	b := boardstest.New(t)
	b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "parent"}}})
	children := func(n int) boards.Command {
		c := boards.CreateTasks{}
		for range n {
			c.Tasks = append(c.Tasks, boards.NewTask{Title: "child", Parents: []boards.Parent{{Task: 1}}})
		}
		return c
	}
	for n := 0; n < boards.MaxChildren; n += 100 {
		b.Must(t, boardstest.Kai, children(100))
	}
	if _, err := b.Do(boardstest.Kai, children(1)); !errors.Is(err, &boards.Rejection{Code: boards.CodeTooMany}) {
		t.Errorf("got %v, want %s", err, boards.CodeTooMany)
	}
	if got := len(b.Must(t, boardstest.Kai, boards.CompleteTask{Task: 1})); got != boards.MaxChildren+1 {
		t.Errorf("got %d events, want %d", got, boards.MaxChildren+1)
	}
	records := b.Must(t, boardstest.Kai, boards.ReopenTask{Task: 1})
	if len(records) != boards.MaxChildren+1 {
		t.Errorf("got %d events, want %d", len(records), boards.MaxChildren+1)
	}
}

// TestEndIsNeverRefusedForItsWords: a runner must be able to report the end,
// whatever the program under it printed.
func TestEndIsNeverRefusedForItsWords(t *testing.T) {
	b := boardstest.New(t)
	b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a"}}})
	run := events.RunID{Task: 1, N: 1}
	b.Must(t, boardstest.TheDispatcher, boards.ClaimTask{Task: 1, Agent: "coder", Token: boardstest.Token(run)})
	end := boards.EndRun{Run: run, Outcome: events.OutcomeCrashed, RanMS: -5, RetryAfter: 1 << 62,
		Evidence: strings.Repeat("\x00\xffé", 100_000) + strings.Repeat("\x01", 100_000), Reason: strings.Repeat("\x02", 100_000), Usage: events.Usage{Model: strings.Repeat("m", 9999), CostMicros: -1}}
	for range 500 {
		end.Egress = append(end.Egress, events.Egress{Host: strings.Repeat("h", 999), Requests: 1})
	}
	records := b.Must(t, boardstest.TheDispatcher, end)
	if _, err := events.Encode(records[0]); err != nil {
		t.Error(err)
	}
	p := records[0].Data.(events.RunEnded)
	if n := len(p.Egress); n != boards.MaxHosts+1 || p.Egress[n-1].Requests != 400 {
		t.Errorf("got %d hosts, the last with %d requests; want %d and 400", n, p.Egress[n-1].Requests, boards.MaxHosts+1)
	}
	if text, err := events.EncodeText(events.Text{Salt: events.Salt{1}, Fields: *b.Texts[records[0].Seq]}); err != nil {
		t.Errorf("text of %d bytes: %v", len(text), err)
	}
	if e := b.Texts[records[0].Seq].Evidence; len(e) > boards.MaxEvidence || strings.ContainsRune(e, 0) {
		t.Errorf("evidence of %d bytes", len(e))
	}
}

func TestIsIntake(t *testing.T) {
	in := []boards.Command{boards.CreateTasks{}, boards.DecomposeTask{}, boards.SpecifyTask{}, boards.CommentTask{}, boards.AttachFile{}, boards.EditTask{}}
	for _, c := range in {
		if !boards.IsIntake(c) {
			t.Errorf("%s is intake", c.CommandName())
		}
	}
	for _, c := range []boards.Command{boards.EndRun{}, boards.CompleteTask{}, boards.SetPolicy{}, boards.UnblockTask{}, boards.ClaimTask{}} {
		if boards.IsIntake(c) {
			t.Errorf("%s is no intake", c.CommandName())
		}
	}
}
