package boards_test

import (
	"encoding/binary"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

// BenchmarkLife decides and folds create, claim and complete, the commands of
// a task that goes well; one iteration is three commands and an end.
func BenchmarkLife(b *testing.B) {
	s := boards.NewState()
	env := boards.Env{Now: boardstest.Start, By: boardstest.Kai}
	var n uint64
	do := func(by boards.Principal, c boards.Command) {
		env.By = by
		drafts, err := boards.Decide(s, c, env)
		if err != nil {
			b.Fatal(err)
		}
		for i := range drafts {
			n++
			d := &drafts[i]
			r := events.Record{Seq: n, Time: env.Now, Task: d.Task, Run: d.Run, Tenant: d.Tenant, Actor: by.Actor, Cause: d.Cause, Data: d.Data}
			s.Evolve(&r)
		}
	}
	do(boardstest.Kai, boards.CreateBoard{Board: events.BoardID{1}, Slug: "bench", Policy: events.DefaultPolicy(4)})
	worker := boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: "coder"}, Role: events.RoleWorker}
	id := events.TaskID(0)
	b.ReportAllocs()
	for b.Loop() {
		id++
		do(boardstest.Kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a task", Body: "do it", Assignee: "coder"}}})
		var token events.Digest
		binary.BigEndian.PutUint64(token[:], uint64(id))
		do(boardstest.TheDispatcher, boards.ClaimTask{Task: id, Agent: "coder", Role: events.RoleWorker, Token: token})
		worker.Run, worker.Fence = events.RunID{Task: id, N: 1}, n
		do(worker, boards.CompleteTask{Task: id, Summary: "done"})
		do(boardstest.TheDispatcher, boards.EndRun{Run: worker.Run})
	}
	b.ReportMetric(4*float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

// BenchmarkEvolve folds a random history again and again.
func BenchmarkEvolve(b *testing.B) {
	records := boardstest.Walk(1, 5000)
	b.ReportAllocs()
	for b.Loop() {
		s := boards.NewState()
		for i := range records {
			s.Evolve(&records[i])
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(records))/b.Elapsed().Seconds(), "events/s")
}

// large returns the state of a board with so many tasks, each waiting for the one before.
func large(tb testing.TB, tasks int) *boards.State {
	tb.Helper()
	board := boardstest.New(tb)
	for i := 1; i <= tasks; i++ {
		p := events.TaskCreated{Status: events.Todo, Assignee: "coder", Workspace: events.Workspace{Kind: events.Scratch}}
		if i > 1 {
			p.Parents = []events.Edge{{Parent: events.TaskID(i - 1), Needs: events.NeedsPass}}
		}
		board.State.Evolve(&events.Record{Seq: uint64(i + 2), Task: events.TaskID(i), Tenant: "north", Time: boardstest.Start, Data: p})
	}
	return board.State
}

func BenchmarkLoadSnapshot(b *testing.B) {
	snapshot := large(b, 100_000).AppendSnapshot(nil)
	b.ReportMetric(float64(len(snapshot))/1e5, "bytes/task")
	for b.Loop() {
		if _, err := boards.LoadSnapshot(snapshot); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendSnapshot(b *testing.B) {
	s := large(b, 100_000)
	for b.Loop() {
		s.AppendSnapshot(nil)
	}
}

// BenchmarkCycle closes no circle at the end of a chain of 100,000.
func BenchmarkCycle(b *testing.B) {
	s := large(b, 100_000)
	env := boards.Env{Now: boardstest.Start, By: boardstest.Kai}
	for b.Loop() {
		if _, err := boards.Decide(s, boards.LinkTasks{Parent: 100_000, Child: 1}, env); err == nil {
			b.Fatal("a circle was allowed")
		}
	}
}
