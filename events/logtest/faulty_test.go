package logtest

import (
	"context"
	"errors"
	"testing"

	"github.com/hermesboard/hermes/events"
)

// counting is a log that counts what reaches it.
type counting struct {
	events.Log
	head events.Head
}

func (c *counting) Head() events.Head { return c.head }

func (c *counting) Append(_ context.Context, head uint64, batch []events.Commit) (events.Head, error) {
	if head != c.head.Seq {
		return c.head, events.ErrConflict
	}
	for _, x := range batch {
		c.head.Seq += uint64(len(x.Records))
	}
	return c.head, nil
}

func TestFaulty(t *testing.T) {
	for _, x := range []struct {
		name   string
		fault  Fault
		err    error
		inside uint64 // where the log inside ends after the fault
		dead   bool
	}{
		{"Lost", Fault{Append: 2}, events.ErrUnknownCommit, 1, true},
		{"Kept", Fault{Append: 2, Persist: true}, events.ErrUnknownCommit, 2, true},
		{"Full", Fault{Append: 2, Err: events.ErrFull}, events.ErrFull, 1, false},
	} {
		inner := &counting{}
		f := Faulty(inner, x.fault)
		push := func() error {
			_, err := f.Append(t.Context(), f.Head().Seq, []events.Commit{Commit(f.Head().Seq+1, 1)})
			return err
		}
		if err := push(); err != nil {
			t.Fatalf("%s: first: %v", x.name, err)
		}
		if err := push(); !errors.Is(err, x.err) {
			t.Errorf("%s: second: got %v, want %v", x.name, err, x.err)
		}
		if inner.head.Seq != x.inside || f.Head().Seq != 1 {
			t.Errorf("%s: the log ends at %d and says %d, want %d and 1", x.name, inner.head.Seq, f.Head().Seq, x.inside)
		}
		if err := push(); (err != nil) != x.dead || x.dead && !errors.Is(err, events.ErrClosed) {
			t.Errorf("%s: third: got %v, want dead: %v", x.name, err, x.dead)
		}
	}
}

func TestCommitIsCanonical(t *testing.T) {
	for _, n := range []int{1, 8, 1000} {
		c := Commit(5, n)
		for i, r := range c.Records {
			if err := events.CheckCanonical(r.Record); err != nil {
				t.Fatal(err)
			}
			got, err := events.Decode(r.Record)
			if err != nil || got.Seq != 5+uint64(i) || got.Task != r.Task || got.Cmd != c.ID {
				t.Fatalf("record %d: got %+v, %v", i, got, err)
			}
		}
	}
}
