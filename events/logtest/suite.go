package logtest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/hermesboard/hermes/events"
)

// Harness is one log to be tested.
type Harness struct {
	// Open opens the log: the same at each call, empty at the first. What was
	// opened before has been closed. Open fails the test rather than return nil.
	Open func(t testing.TB) events.Log
	// Check verifies the closed log as thoroughly as the driver can; nil = not at all.
	Check func(t testing.TB)
}

// Run runs the suite. It calls newHarness once for each test.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	for _, x := range []struct {
		name string
		test func(t *testing.T, s *subject)
	}{
		{"Empty", testEmpty},
		{"AppendAndRead", testAppendAndRead},
		{"Conflict", testConflict},
		{"AllOrNone", testAllOrNone},
		{"Commands", testCommands},
		{"Slices", testSlices},
		{"ReadTask", testReadTask},
		{"Texts", testTexts},
		{"Offsets", testOffsets},
		{"Limits", testLimits},
		{"LargeBatches", testLargeBatches},
		{"Cancelled", testCancelled},
		{"Copies", testCopies},
		{"Concurrent", testConcurrent},
		{"Reopen", testReopen},
		{"Unknown", testUnknown},
		{"Close", testClose},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := newHarness(t)
			s := &subject{harness: h, log: h.Open(t)}
			x.test(t, s)
			if err := s.log.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if h.Check != nil {
				h.Check(t)
			}
		})
	}
}

// subject is the log under test.
type subject struct {
	harness Harness
	log     events.Log
}

func (s *subject) reopen(t *testing.T) {
	t.Helper()
	if err := s.log.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	s.log = s.harness.Open(t)
}

// fill appends made-up commands of the given numbers of records in one batch.
func (s *subject) fill(t *testing.T, sizes ...int) events.Head {
	t.Helper()
	before := s.log.Head().Seq
	var batch []events.Commit
	next := before + 1
	for _, n := range sizes {
		batch = append(batch, Commit(next, n))
		next += uint64(n)
	}
	head, err := s.log.Append(t.Context(), before, batch)
	if err != nil {
		t.Fatalf("append %d commands at %d: %v", len(sizes), before, err)
	}
	if head.Seq != next-1 {
		t.Fatalf("append ended at %d, want %d", head.Seq, next-1)
	}
	return head
}

// all reads the log to its end.
func (s *subject) all(t *testing.T) (out []events.Entry) {
	t.Helper()
	for {
		part, err := s.log.Read(t.Context(), uint64(len(out))+1, 0, true)
		if err != nil {
			t.Fatalf("read from %d: %v", len(out)+1, err)
		}
		if len(part) == 0 {
			return out
		}
		out = append(out, part...)
	}
}

func made(seq uint64) events.Entry {
	e := encoded(seq, events.CommandID{1})
	return events.Entry{Seq: seq, Record: e.Record, Text: e.Text}
}

// wantEntries checks that the entries are those made up by commits of the given sizes from 1 on.
func wantEntries(t *testing.T, got []events.Entry, sizes ...int) {
	t.Helper()
	var want []events.Entry
	for _, n := range sizes {
		for _, r := range Commit(uint64(len(want))+1, n).Records {
			want = append(want, events.Entry{Seq: uint64(len(want)) + 1, Record: r.Record, Text: r.Text})
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("entry %d: got %d %s %q, want %s %q", i+1, got[i].Seq, got[i].Record, got[i].Text, want[i].Record, want[i].Text)
		}
	}
}

// wantHead checks the head against a tree grown from the entries.
func wantHead(t *testing.T, got events.Head, entries []events.Entry) {
	t.Helper()
	var f events.Frontier
	for _, e := range entries {
		f.Append(events.LeafHash(e.Record), nil)
	}
	if want := f.Head(); got != want {
		t.Errorf("head: got %v, want %v", got, want)
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
