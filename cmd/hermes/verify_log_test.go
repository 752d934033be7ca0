package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// walked is a board that answers from a list of entries.
type walked struct {
	api.Board
	entries []events.Entry
	head    events.Head
	cards   []projections.Card
}

func (w *walked) Info(context.Context) (api.Info, error) {
	return api.Info{Slug: "acme", Head: w.head}, nil
}

func (w *walked) Read(_ context.Context, from uint64, _ int) ([]events.Entry, error) {
	i := slices.IndexFunc(w.entries, func(e events.Entry) bool { return e.Seq >= from })
	if i < 0 {
		return nil, nil
	}
	return w.entries[i:min(i+100, len(w.entries))], nil
}

func (w *walked) List(context.Context, projections.ListQuery) ([]projections.Card, error) {
	return w.cards, nil
}

// walk makes a board with a random valid history.
func walk(t *testing.T, seed uint64) *walked {
	t.Helper()
	walker := boardstest.NewWalker(seed)
	for range 400 {
		by, c := walker.Next()
		_, _ = walker.Do(by, c) // a refusal is part of the walk
	}
	w := &walked{}
	v := projections.NewView()
	var tree events.Frontier
	for _, r := range walker.Records {
		e := events.Entry{Seq: r.Seq}
		if fields := walker.Texts[r.Seq]; fields != nil {
			text, err := events.EncodeText(events.Text{Salt: events.Salt{1, byte(r.Seq)}, Fields: *fields})
			if err != nil {
				t.Fatal(err)
			}
			e.Text, r.Text = text, events.DigestOf(text)
		}
		record, err := events.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		e.Record = record
		w.entries = append(w.entries, e)
		tree.Append(events.LeafHash(record), nil)
		v.Apply(&r)
	}
	w.head = tree.Head()
	w.cards = v.List(projections.ListQuery{Archived: true, Sort: "created"}, nil)
	return w
}

func audited(t *testing.T, w *walked) verifyReport {
	t.Helper()
	r := verifyReport{Board: "acme"}
	a := newAuditor(&r, w.head, newSigned())
	if err := a.read(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if err := a.close(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuditFindsNothingInWhatTheRulesMade(t *testing.T) {
	starts := 0
	for seed := range uint64(8) {
		r := audited(t, walk(t, seed))
		if len(r.Problems) > 0 {
			t.Errorf("seed %d: got %v, want no problem", seed, r.Problems)
		}
		starts += r.Starts
	}
	if starts == 0 {
		t.Error("no walk started a run: nothing was checked")
	}
}

// A log that is perfect in its hashes is still judged by the rules.
func TestAuditFinds(t *testing.T) {
	// forge re-makes the hashes after a change, as somebody who owns the file can.
	forge := func(t *testing.T, w *walked) {
		var tree events.Frontier
		for _, e := range w.entries {
			tree.Append(events.LeafHash(e.Record), nil)
		}
		w.head = tree.Head()
	}
	rewrite := func(t *testing.T, w *walked, change func(r *events.Record) bool) {
		for i := range w.entries {
			r, err := events.Decode(w.entries[i].Record)
			if err != nil {
				t.Fatal(err)
			}
			if !change(&r) {
				continue
			}
			if w.entries[i].Record, err = events.Encode(r); err != nil {
				t.Fatal(err)
			}
			forge(t, w)
			return
		}
		t.Fatal("the walk has no event to change")
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, w *walked)
		want   string
	}{
		{"a changed byte", func(t *testing.T, w *walked) {
			e := &w.entries[9]
			e.Record = []byte(strings.Replace(string(e.Record), `"seq":10,`, `"seq":10, `, 1))
		}, "event 10: "},
		{"a missing event", func(t *testing.T, w *walked) { w.entries = slices.Delete(w.entries, 20, 21) }, "event 21: missing"},
		{"a missing end", func(t *testing.T, w *walked) { w.entries = w.entries[:len(w.entries)-1] }, "the log ends at"},
		{"a changed text", func(t *testing.T, w *walked) {
			i := slices.IndexFunc(w.entries, func(e events.Entry) bool { return e.Text != nil })
			w.entries[i].Text = slices.Clone(w.entries[i].Text)
			w.entries[i].Text[12] ^= 1
		}, "text hashes to"},
		{"a start that another agent was meant for", func(t *testing.T, w *walked) {
			rewrite(t, w, func(r *events.Record) bool {
				p, ok := r.Data.(events.RunClaimed)
				if ok && p.Token != (events.Digest{}) {
					p.Agent = "stranger"
					r.Data = p
					return true
				}
				return false
			})
		}, "was not allowed"},
		{"a start under another policy", func(t *testing.T, w *walked) {
			rewrite(t, w, func(r *events.Record) bool {
				p, ok := r.Data.(events.RunClaimed)
				p.Policy = 1
				r.Data = p
				return ok
			})
		}, "is not what the rules make of it"},
		{"an owner that says something else", func(t *testing.T, w *walked) { w.cards[0].Priority += 7 }, "by the log it is"},
		{"an owner that hides a task", func(t *testing.T, w *walked) { w.cards = w.cards[1:] }, "the board answers with"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := walk(t, 3)
			c.change(t, w)
			r := audited(t, w)
			if !slices.ContainsFunc(r.Problems, func(p problem) bool { return strings.Contains(p.String(), c.want) }) {
				t.Errorf("got %v, want a problem with %q", r.Problems, c.want)
			}
		})
	}
}
