// Package boardstest drives the rules of a board in tests: a board in memory
// without log or clock, and random walks that reach every event type. It is
// deterministic: the same calls give the same records.
package boardstest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// Start is the time at which a new board's clock stands: 2026-01-05 09:00 UTC.
const Start = events.Time(1_767_603_600_000_000)

// Board is a board in memory. Not safe for concurrent use.
type Board struct {
	State   *boards.State
	Records []events.Record
	Texts   map[uint64]*events.Fields // by position
	Now     events.Time               // when the next command is decided; set freely
	After   func(r *events.Record)    // called after each record is folded; may be nil

	commands uint64
}

// Kai and Ann are people; TheDispatcher and TheSystem are what their names say.
var (
	Kai           = Person("kai")
	Ann           = Person("ann")
	TheDispatcher = boards.Principal{Actor: events.Actor{Kind: events.Dispatcher, Name: "dispatcher"}}
	TheSystem     = boards.Principal{Actor: events.Actor{Kind: events.System, Name: "system"}}
	TheGateway    = boards.Principal{Actor: events.Actor{Kind: events.Gateway, Name: "gateway", Via: "telegram"}}
)

// Person returns the principal of a person.
func Person(name string) boards.Principal {
	return boards.Principal{Actor: events.Actor{Kind: events.Human, Name: name, Via: "cli"}}
}

// New returns a board named acme with the default policy for four slots.
func New(tb testing.TB) *Board {
	tb.Helper()
	b, err := Create(events.DefaultPolicy(4))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Create returns a board named acme with a policy.
func Create(p events.Policy) (*Board, error) {
	b := &Board{State: boards.NewState(), Now: Start, Texts: make(map[uint64]*events.Fields)}
	_, err := b.Do(Kai, boards.CreateBoard{Board: number(1, Start), Slug: "acme", Title: "Acme", Policy: p})
	return b, err
}

// Do decides a command and folds its records, which it also returns. A refusal
// is a *boards.Rejection.
func (b *Board) Do(by boards.Principal, c boards.Command) ([]events.Record, error) {
	drafts, err := boards.Decide(b.State, c, boards.Env{Now: b.Now, By: by})
	if err != nil {
		return nil, err
	}
	b.commands++
	first := uint64(len(b.Records)) + 1
	for i := range drafts {
		r := stamp(&drafts[i], first, uint64(i), b.Now, by.Actor, b.commands)
		b.Records = append(b.Records, r)
		if drafts[i].Text != nil {
			b.Texts[r.Seq] = drafts[i].Text
		}
		b.State.Evolve(&r)
		if b.After != nil {
			b.After(&r)
		}
	}
	return b.Records[first-1:], nil
}

// Must is Do for commands that are accepted.
func (b *Board) Must(tb testing.TB, by boards.Principal, c boards.Command) []events.Record {
	tb.Helper()
	records, err := b.Do(by, c)
	if err != nil {
		tb.Fatalf("%s by %v: %v", c.CommandName(), by.Actor, err)
	}
	return records
}

// Worker returns the principal of a task's open run.
func (b *Board) Worker(task events.TaskID) (boards.Principal, bool) {
	r, ok := b.State.OpenRun(task)
	if !ok {
		return boards.Principal{}, false
	}
	return boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: r.Agent}, Run: r.Run, Fence: r.Fence, Role: r.Role}, true
}

// Token returns the digest of the token that a test gives to the n-th run of a task.
func Token(run events.RunID) events.Digest {
	return events.DigestOf([]byte("token of " + run.String()))
}

// stamp makes a draft a record as a writer does.
func stamp(d *events.Draft, first, i uint64, now events.Time, by events.Actor, command uint64) events.Record {
	r := events.Record{
		Seq: first + i, ID: number(first+i, now), Time: now, Task: d.Task, Run: d.Run, Tenant: d.Tenant,
		Actor: by, Cmd: number(command|1<<40, now), Cause: d.Cause, Data: d.Data,
	}
	if d.After > 0 {
		r.Cause = first + uint64(d.After) - 1
	}
	if d.Text != nil {
		text, err := events.EncodeText(events.Text{Salt: events.Salt{1}, Fields: *d.Text})
		if err != nil {
			panic(fmt.Sprintf("text of %s: %v", d.Data.Type(), err))
		}
		r.Text = events.DigestOf(text)
	}
	return r
}

// number makes a ULID of a time and a count.
func number(n uint64, now events.Time) (id events.ULID) {
	_ = id.SetTime(uint64(now) / 1000)
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}
