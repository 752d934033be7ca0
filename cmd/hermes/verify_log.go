package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/audit"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/projections"
)

var longLived = boltlog.Options{LongLived: true}

// maxProblems ends a check: a board with so many is lost anyway.
const maxProblems = 1000

// auditor goes once through a log and checks each record, and all of them
// together.
type auditor struct {
	*verifyReport
	head    events.Head // where it ends
	signed  *signedHeads
	tree    events.Frontier
	decoder events.Decoder

	first, second folds // the second goes on from a snapshot of the first, made half way
}

// folds are the state of a board as the log gives it.
type folds struct {
	rules *boards.State
	view  *projections.View
}

func (f *folds) apply(r *events.Record) {
	f.rules.Evolve(r)
	f.view.Apply(r)
}

// again makes the folds anew from their own snapshots.
func (f *folds) again() (g folds, err error) {
	if g.rules, err = boards.LoadSnapshot(f.rules.AppendSnapshot(nil)); err != nil {
		return g, err
	}
	g.view, err = projections.LoadSnapshot(f.view.AppendSnapshot(nil))
	return g, err
}

func newAuditor(r *verifyReport, head events.Head, signed *signedHeads) *auditor {
	return &auditor{verifyReport: r, head: head, signed: signed, first: folds{boards.NewState(), projections.NewView()}}
}

func (a *auditor) problem(seq uint64, format string, args ...any) {
	if len(a.Problems) < maxProblems {
		a.Problems = append(a.Problems, problem{seq, fmt.Sprintf(format, args...)})
	}
}

// read goes through the log, and lets the second verifier read along.
func (a *auditor) read(ctx context.Context, b api.Board) error {
	var readErr error
	other := audit.Check(func(yield func(record, text []byte) bool) {
		readErr = readAll(ctx, readerOf(b), 1, a.head.Seq,
			func(e events.Entry) error {
				if !a.entry(e) || !yield(e.Record, e.Text) {
					return errEnough
				}
				return nil
			})
	}, a.signed.current()...)
	if readErr != nil && readErr != errEnough {
		return readErr
	}
	a.Events, a.Root, a.Erased = a.tree.Size(), a.tree.Root(), other.Erased
	a.agree(other)
	return nil
}

// agree takes over what only the second verifier found.
func (a *auditor) agree(other audit.Report) {
	known := make(map[uint64]bool)
	for _, p := range a.Problems {
		known[p.Seq] = true
	}
	for _, p := range other.Problems {
		if !known[p.Seq] || p.Seq == 0 {
			a.problem(p.Seq, "the second verifier says: %s", p.What)
		}
	}
	if other.Size != a.Events || other.Root != a.Root {
		a.problem(0, "the second verifier comes to %d events and root %x, the first to %d and %s", other.Size, other.Root, a.Events, a.Root)
	}
}

// entry checks one record; false = the rest cannot be checked.
func (a *auditor) entry(e events.Entry) bool {
	seq := a.tree.Size() + 1
	if e.Seq != seq {
		a.problem(seq, "missing; the rest of the log was not checked")
		return false
	}
	a.tree.Append(events.LeafHash(e.Record), nil)
	a.signed.compare(a, a.tree.Head())
	r, err := a.decoder.Decode(e.Record)
	if err == nil {
		err = events.CheckCanonical(e.Record)
	}
	if err != nil {
		a.problem(seq, "%v; the rest of the log was not checked", err)
		return false
	}
	if r.Seq != seq {
		a.problem(seq, "says that it is event %d", r.Seq)
	}
	a.text(r, e.Text)
	a.fold(&r)
	return true
}

func (a *auditor) text(r events.Record, text []byte) {
	if text == nil {
		return
	}
	if got := events.DigestOf(text); got != r.Text {
		a.problem(r.Seq, "its text hashes to %s, the record says %s", got, r.Text)
	} else if err := events.CheckCanonicalText(text); err != nil {
		a.problem(r.Seq, "%v", err)
	}
}

// fold applies a record to the state, and checks what the state must allow.
func (a *auditor) fold(r *events.Record) {
	switch p := r.Data.(type) {
	case events.BoardCreated:
		a.signed.named = p.Key
	case events.RunClaimed:
		a.start(r, p)
	case events.BoardAccepted:
		a.signed.accepted[r.Seq] = p
	}
	a.first.apply(r)
	if a.second.view != nil {
		a.second.apply(r)
		return
	}
	if r.Seq < (a.head.Seq+1)/2 {
		return
	}
	var err error
	if a.second, err = a.first.again(); err != nil {
		a.problem(r.Seq, "a snapshot of the state at this position cannot be read back: %v", err)
		a.second = folds{boards.NewState(), projections.NewView()}
	}
}

// start decides a claim again, in the state it was made in.
func (a *auditor) start(r *events.Record, p events.RunClaimed) {
	a.Starts++
	drafts, err := boards.Decide(a.first.rules, boards.ClaimTask{
		Task: r.Task, Agent: p.Agent, Role: p.Role, Token: p.Token, Facts: p.Facts, TermMS: p.ExpiresMS,
		Backend: p.Backend, Runtime: p.Runtime, Model: p.Model, Allowed: p.Allowed,
	}, boards.Env{Now: r.Time, By: boards.Principal{Actor: r.Actor}})
	switch {
	case err != nil:
		a.problem(r.Seq, "the start of %s was not allowed: %v", r.Run, err)
	case len(drafts) != 1 || drafts[0].Run != r.Run || drafts[0].Data != events.Payload(p):
		a.problem(r.Seq, "the start of %s is not what the rules make of it", r.Run)
	}
}

// close compares what the whole log came to.
func (a *auditor) close(ctx context.Context, b api.Board) error {
	if len(a.Problems) == 0 && a.tree.Head() != a.head {
		a.problem(0, "the log ends at %d with root %s, its owner says %d and %s", a.Events, a.Root, a.head.Seq, a.head.Root)
	}
	a.signed.close(a)
	if a.tree.Size() != a.head.Seq || a.second.view == nil {
		return nil
	}
	if err := a.first.rules.Check(); err != nil {
		a.problem(0, "the state contradicts itself: %v", err)
	}
	if !bytes.Equal(a.first.rules.AppendSnapshot(nil), a.second.rules.AppendSnapshot(nil)) ||
		!bytes.Equal(a.first.view.AppendSnapshot(nil), a.second.view.AppendSnapshot(nil)) {
		a.problem(0, "the state comes out differently when it is built again")
	}
	return a.asServed(ctx, b)
}

// asServed compares the state with what the owner answers, unless the board
// has moved on.
func (a *auditor) asServed(ctx context.Context, b api.Board) error {
	q := projections.ListQuery{Archived: true, Sort: "created"}
	served, err := b.List(ctx, q)
	if err != nil {
		return err
	}
	info, err := b.Info(ctx)
	if err != nil || info.Head != a.head {
		return err
	}
	built := a.first.view.List(q, nil)
	if len(built) != len(served) {
		a.problem(0, "the log has %d tasks, the board answers with %d", len(built), len(served))
		return nil
	}
	for i := range built {
		if got, want := rulesSay(served[i]), rulesSay(built[i]); got != want {
			a.problem(0, "%s is %s, by the log it is %s", served[i].ID, got, want)
		}
	}
	return nil
}

// rulesSay sums up a card without what people wrote.
func rulesSay(c projections.Card) string {
	return fmt.Sprintf("%s %s for %q of %q, priority %d, needs %v, verdict %q, since %s, attempt %d",
		c.ID, c.Status, c.Assignee, c.Tenant, c.Priority, c.Parents, c.Verdict, c.Since, c.Attempts)
}
