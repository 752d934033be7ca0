package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// What was signed must hold, except where a person accepted that it does not.
func TestSignedHeads(t *testing.T) {
	root := func(n byte) events.Digest { return events.Digest{n} }
	sign := func(size uint64, n byte, reset bool) registry.Checkpoint {
		return registry.Checkpoint{Head: events.Head{Seq: size, Root: root(n)}, Reset: reset}
	}
	rolledBack := events.BoardAccepted{Problem: string(registry.RolledBack)}
	other := events.BoardAccepted{Problem: string(registry.RootMismatch)}
	for _, c := range []struct {
		name     string
		lines    []any // checkpoints, or errors for lines that do not hold
		accepted map[uint64]events.BoardAccepted
		want     []string // the log has 6 events, each with the root of its number
	}{
		{"all hold", []any{sign(2, 2, false), sign(6, 6, false)}, nil, nil},
		{"another root", []any{sign(2, 9, false), sign(6, 6, false)}, nil, []string{"event 2: the log up to here has root"}},
		{"too long", []any{sign(2, 2, false), sign(8, 8, false)}, nil, []string{"the log ends at 6, a checkpoint was signed at 8"}},
		{"a bad line", []any{sign(2, 2, false), errors.New("line 2 is bad")}, nil, []string{"line 2 is bad"}},
		{"two roots", []any{sign(2, 2, false), sign(2, 3, false)}, nil, []string{"position 2 was signed with two roots", "event 2: the log up to here has root"}},
		{"rolled back and accepted", []any{sign(3, 3, false), sign(5, 9, false), sign(8, 9, false), sign(4, 4, true), sign(6, 6, false)},
			map[uint64]events.BoardAccepted{4: rolledBack}, nil},
		{"rolled back, but not as far", []any{sign(3, 9, false), sign(4, 4, true)}, map[uint64]events.BoardAccepted{4: rolledBack},
			[]string{"event 3: the log up to here has root"}},
		{"another history accepted", []any{sign(3, 9, false), errors.New("bad"), sign(4, 4, true)}, map[uint64]events.BoardAccepted{4: other}, nil},
		{"nobody accepted", []any{sign(3, 9, false), sign(4, 4, true)}, nil,
			[]string{"event 4: checkpoints begin anew here, but nobody accepted the board", "event 3: the log up to here has root"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSigned()
			for _, l := range c.lines {
				switch l := l.(type) {
				case registry.Checkpoint:
					s.add(l, nil)
				case error:
					s.add(registry.Checkpoint{}, l)
				}
			}
			s.index()
			for at, a := range c.accepted {
				s.accepted[at] = a
			}
			var r verifyReport
			a := newAuditor(&r, events.Head{Seq: 6, Root: root(6)}, s)
			for n := byte(1); n <= 6; n++ {
				s.compare(a, events.Head{Seq: uint64(n), Root: root(n)})
			}
			s.close(a)
			var got []string
			for _, p := range r.Problems {
				got = append(got, p.String())
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// The key is that which the board names, unless a person went on without it.
func TestSignedKey(t *testing.T) {
	for _, c := range []struct {
		named, text, problem string
		want                 int
	}{
		{"", "b", "", 0},
		{"b", "b", "", 0},
		{"a", "b", "", 1},
		{"a", "b", "rolled_back", 1},
		{"a", "b", "key_missing", 0},
	} {
		s := newSigned()
		s.named, s.text = c.named, c.text
		if c.problem != "" {
			s.accepted[3] = events.BoardAccepted{Problem: c.problem}
		}
		var r verifyReport
		s.close(newAuditor(&r, events.Head{}, s))
		if len(r.Problems) != c.want {
			t.Errorf("%+v: got %v, want %d problems", c, r.Problems, c.want)
		}
	}
}
