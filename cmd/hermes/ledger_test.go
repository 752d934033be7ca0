//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
)

// ledger is kept outside of the board: what clients were told had happened.
type ledger struct {
	mu   sync.Mutex
	acks map[events.CommandID]ack
}

// ack is the answer to a command.
type ack struct {
	what  string
	first uint64
	tasks []events.TaskID
}

func newLedger() *ledger { return &ledger{acks: make(map[events.CommandID]ack)} }

// size is how many commands were acknowledged.
func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

func (l *ledger) acknowledged(id events.CommandID, what string, res boards.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks[id] = ack{what, res.First, res.Tasks}
}

// audit compares what clients were told with what the log holds. Commands are
// found in it by their id, tasks made by the title that only their client gave.
func (l *ledger) audit(log []events.Record, titles map[string]int) (wrong []string) {
	first := make(map[events.CommandID]uint64)
	made := make(map[events.CommandID][]events.TaskID)
	for _, r := range log {
		if first[r.Cmd] == 0 {
			first[r.Cmd] = r.Seq
		}
		if _, ok := r.Data.(events.TaskCreated); ok {
			made[r.Cmd] = append(made[r.Cmd], r.Task)
		}
	}
	for id, a := range l.acks {
		switch {
		case first[id] == 0:
			wrong = append(wrong, fmt.Sprintf("lost: %s was acknowledged as event %d", a.what, a.first))
		case first[id] != a.first || !slices.Equal(made[id], a.tasks):
			wrong = append(wrong, fmt.Sprintf("changed: %s was acknowledged as event %d making %v, the log has event %d making %v", a.what, a.first, a.tasks, first[id], made[id]))
		}
	}
	for title, n := range titles {
		if n > 1 {
			wrong = append(wrong, fmt.Sprintf("doubled: %q exists %d times", title, n))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// wholeLog is the whole log, and how often each title was given.
func wholeLog(t testing.TB, b api.Board) (log []events.Record, titles map[string]int) {
	t.Helper()
	titles = make(map[string]int)
	for from := uint64(1); ; {
		entries, err := b.Read(t.Context(), from, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return log, titles
		}
		for _, e := range entries {
			r, err := events.Decode(e.Record)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := r.Data.(events.TaskCreated); ok {
				f, err := events.DecodeText(e.Text)
				if err != nil {
					t.Fatal(err)
				}
				titles[f.Fields.Title]++
			}
			log = append(log, r)
		}
		from = entries[len(entries)-1].Seq + 1
	}
}

// resolved puts the commands of the command line, known by their key alone,
// under the ids the log has for the tasks they said they had made.
func (l *ledger) resolved(board events.BoardID, log []events.Record) *ledger {
	made := make(map[events.TaskID]events.Record)
	for _, r := range log {
		if _, ok := r.Data.(events.TaskCreated); ok {
			made[r.Task] = r
		}
	}
	out := newLedger()
	for id, a := range l.acks {
		if a.first == 0 && len(a.tasks) == 1 {
			if r, ok := made[a.tasks[0]]; ok {
				id, a.first = r.Cmd, r.Seq
			} else {
				a.first = 1
			}
		}
		out.acks[id] = a
	}
	return out
}

// TestLedgerSeesWhatItMust feeds the audit with clients that lie.
func TestLedgerSeesWhatItMust(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	b := p.open()
	defer b.Close()
	by := personal(Env{User: "kai"})
	create := func(id events.CommandID, title string) boards.Result {
		res, err := b.Do(t.Context(), by, id, boards.CreateTasks{Tasks: []boards.NewTask{{Title: title}}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	l := newLedger()
	honest := owner.NewCommandID()
	l.acknowledged(honest, "honest", create(honest, "honest"))
	hasty := owner.NewCommandID() // acknowledges before it sends, and is killed in between
	l.acknowledged(hasty, "hasty", boards.Result{First: 9, Tasks: []events.TaskID{2}})
	create(owner.NewCommandID(), "forgetful") // does not keep its id, and sends again under another
	create(owner.NewCommandID(), "forgetful")
	wrong := owner.NewCommandID()
	res := create(wrong, "confused")
	res.Tasks = []events.TaskID{77}
	l.acknowledged(wrong, "confused", res)
	log, titles := wholeLog(t, b)
	var kinds []string
	for _, w := range l.audit(log, titles) {
		kind, _, _ := strings.Cut(w, ":")
		kinds = append(kinds, kind)
	}
	if want := []string{"changed", "doubled", "lost"}; !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
}
