package projections_test

import (
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// The rules and the View fold the same log on their own. Where both keep
// something they must agree.
func TestAgreesWithTheRules(t *testing.T) {
	for seed := range uint64(12) {
		v, s := projections.NewView(), boards.NewState()
		for _, r := range boardstest.Walk(seed, 600) {
			s.Evolve(&r)
			v.Apply(&r)
			if r.Task == 0 {
				continue
			}
			task := v.Task(r.Task)
			if task == nil || task.Status != s.Status(r.Task) {
				t.Fatalf("seed %d, event %d %s: got %+v, want status %v", seed, r.Seq, r.Data.Type(), task, s.Status(r.Task))
			}
			run, open := s.OpenRun(r.Task)
			if open != (task.Run != nil) {
				t.Fatalf("seed %d, event %d %s: open run %v, want %v", seed, r.Seq, r.Data.Type(), task.Run, open)
			}
			if open && (run.Run != task.Run.ID || run.Fence != task.Run.Fence || run.Agent != task.Run.Agent || run.Phase != task.Run.Phase ||
				run.Stopping != task.Run.Stopping || (run.Verdict != 0) != (task.Run.Verdict != "") || run.Started != (task.Run.Started != 0)) {
				t.Fatalf("seed %d, event %d %s: got %+v, want %+v", seed, r.Seq, r.Data.Type(), task.Run, run)
			}
		}
		p, at := v.Policy()
		q, want := s.Policy()
		if at != want || p.BoardCap != q.BoardCap || s.Paused() != (v.Board().PausedAt != 0) || len(s.OpenRuns()) != len(v.OpenRuns()) {
			t.Errorf("seed %d: policy %d %d, paused %v", seed, at, want, s.Paused())
		}
		for _, r := range v.OpenRuns() {
			if _, _, ok := s.Principal(r.Token); ok != (v.RunByToken(r.Token) != nil) {
				t.Errorf("seed %d: token of %v", seed, r.ID)
			}
		}
		for id := events.TaskID(1); int(id) <= s.Tasks(); id++ {
			if task := v.Task(id); task.Status == events.Blocked && task.Block == nil || task.Status == events.Ready && len(v.Open(task)) > 0 {
				t.Errorf("seed %d: %v is %+v", seed, id, task)
			}
		}
	}
}

// Every event is said in words, with its text and without.
func TestWordsForEveryEvent(t *testing.T) {
	said := map[events.Type]string{}
	for seed := range uint64(6) {
		w := boardstest.NewWalker(seed)
		for range 700 {
			by, c := w.Next()
			_, _ = w.Do(by, c)
		}
		for _, r := range w.Records {
			line := projections.Words(projections.Entry{Record: r, Fields: w.Texts[r.Seq]})
			if line.What == "" || line.What == string(r.Data.Type()) || line.Who == "" {
				t.Fatalf("event %d %s: %+v", r.Seq, r.Data.Type(), line)
			}
			if line.What != projections.Words(projections.Entry{Record: r, Fields: w.Texts[r.Seq]}).What {
				t.Fatalf("event %d: not the same words twice", r.Seq)
			}
			projections.Words(projections.Entry{Record: r})
			said[r.Data.Type()] = line.What
		}
	}
	for _, k := range events.Catalog() {
		r := events.Record{Seq: 1, Task: 7, Run: events.RunID{Task: 7, N: 2}, Data: k.Zero, Text: events.Digest{1}}
		if line := projections.Words(projections.Entry{Record: r}); line.What == "" || line.What == string(k.Type) {
			t.Errorf("%s has no words", k.Type)
		}
	}
	if len(said) < 30 {
		t.Errorf("the walks reached %d types only", len(said))
	}
}
