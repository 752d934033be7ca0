package logtest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/hermesboard/hermes/events"
)

func testLimits(t *testing.T, s *subject) {
	over := func(what string, change func(*events.Commit)) {
		t.Helper()
		c := Commit(1, 2)
		change(&c)
		_, err := s.log.Append(t.Context(), 0, []events.Commit{c})
		wantError(t, what, err, events.ErrTooLarge)
	}
	over("record", func(c *events.Commit) { c.Records[1].Record = make([]byte, events.MaxRecordBytes+1) })
	over("text", func(c *events.Commit) { c.Records[0].Text = make([]byte, events.MaxTextBytes+1) })
	over("records", func(c *events.Commit) { *c = Commit(1, events.MaxCommandRecords+1) })
	if _, err := s.log.Append(t.Context(), 0, []events.Commit{{ID: CommandID(1), Records: []events.Encoded{{}}}}); err == nil {
		t.Error("an empty record was taken")
	}
	if got := s.log.Head().Seq; got != 0 {
		t.Errorf("head after refusals: got %d, want 0", got)
	}
	c := commitOfLargest(t)
	if _, err := s.log.Append(t.Context(), 0, []events.Commit{c}); err != nil {
		t.Fatalf("the largest: %v", err)
	}
	got := s.all(t)
	if len(got) != 1 || !bytes.Equal(got[0].Record, c.Records[0].Record) || !bytes.Equal(got[0].Text, c.Records[0].Text) {
		t.Errorf("the largest record and text did not come back")
	}
}

// commitOfLargest makes a record and a text that just fit.
func commitOfLargest(t *testing.T) events.Commit {
	t.Helper()
	text := events.Text{Salt: events.Salt{1}}
	b := must(events.EncodeText(events.Text{Salt: text.Salt, Fields: events.Fields{Body: "x"}}))
	text.Fields.Body = string(bytes.Repeat([]byte("x"), events.MaxTextBytes-len(b)+1))
	b = must(events.EncodeText(text))
	r := events.Record{Seq: 1, ID: events.ULID{1}, Time: Start, Task: 1, Cmd: CommandID(1), Text: events.DigestOf(b),
		Actor: events.Actor{Kind: events.Human}, Data: events.TaskAssigned{Assignee: "x"}}
	room := events.MaxRecordBytes - len(must(events.Encode(r)))
	r.Data = events.TaskAssigned{Assignee: string(bytes.Repeat([]byte("x"), room+1))}
	record := must(events.Encode(r))
	if len(record) != events.MaxRecordBytes || len(b) != events.MaxTextBytes {
		t.Fatalf("made a record of %d bytes and a text of %d", len(record), len(b))
	}
	return events.Commit{ID: CommandID(1), Records: []events.Encoded{{Task: 1, Record: record, Text: b}}}
}

func testLargeBatches(t *testing.T, s *subject) {
	s.fill(t, 1000)
	ones := slices.Repeat([]int{1}, 1000)
	s.fill(t, ones...)
	head := s.fill(t, 1000, 1000)
	got := s.all(t)
	wantEntries(t, got, slices.Concat([]int{1000}, ones, []int{1000, 1000})...)
	wantHead(t, head, got)
}

func testCancelled(t *testing.T, s *subject) {
	before := s.fill(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.log.Append(ctx, 1, []events.Commit{Commit(2, 1)})
	wantError(t, "append", err, context.Canceled)
	_, err = s.log.Read(ctx, 1, 0, false)
	wantError(t, "read", err, context.Canceled)
	_, err = s.log.ReadTask(ctx, 1, 1, 0, false)
	wantError(t, "read task", err, context.Canceled)
	_, err = s.log.Texts(ctx, []uint64{1})
	wantError(t, "texts", err, context.Canceled)
	if s.log.Head() != before {
		t.Errorf("head: got %v, want %v", s.log.Head(), before)
	}
	s.fill(t, 1)
}

func testCopies(t *testing.T, s *subject) {
	c := Commit(1, 8)
	if _, err := s.log.Append(t.Context(), 0, []events.Commit{c}); err != nil {
		t.Fatal(err)
	}
	spoil := func(b []byte) {
		for i := range b {
			b[i] ^= 0xff
		}
	}
	for _, r := range c.Records { // a caller may reuse its buffers
		spoil(r.Record)
		spoil(r.Text)
	}
	for range 2 {
		got := s.all(t)
		wantEntries(t, got, 8)
		task, err := s.log.ReadTask(t.Context(), 3, 1, 0, true)
		if err != nil || len(task) != 1 {
			t.Fatalf("task t3: got %d entries, %v", len(task), err)
		}
		texts, err := s.log.Texts(t.Context(), []uint64{1})
		if err != nil {
			t.Fatal(err)
		}
		spoil(texts[0])
		for _, e := range append(got, task...) {
			spoil(e.Record)
			spoil(e.Text)
			_ = append(e.Record, "overrun"...)
		}
	}
}

func testConcurrent(t *testing.T, s *subject) {
	const commits, each = 150, 5
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for turn := uint64(0); ctx.Err() == nil; turn++ {
				if err := observe(t.Context(), s.log, turn); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var sizes []int
	for range commits {
		head := s.fill(t, each)
		if s.log.Head() != head {
			t.Errorf("head: got %v, want %v", s.log.Head(), head)
		}
		sizes = append(sizes, each)
	}
	stop()
	readers.Wait()
	wantEntries(t, s.all(t), sizes...)
}

// observe checks that what a reader sees hangs together.
func observe(ctx context.Context, log events.Log, turn uint64) error {
	head := log.Head().Seq
	from := 1 + turn*7%(head+1)
	got, err := log.Read(ctx, from, 50, true)
	if err != nil {
		return err
	}
	if want := min(50, int(head+1-from)); len(got) < want {
		return errors.New("a reader does not get as far as the head it was told")
	}
	for i, e := range got {
		r, err := events.Decode(e.Record)
		if err != nil {
			return err
		}
		if e.Seq != from+uint64(i) || r.Seq != e.Seq || (e.Text == nil) != (r.Text == events.Digest{}) {
			return errors.New("a reader got a wrong record")
		}
		c, found, err := log.Command(r.Cmd)
		if err != nil || !found || c.First > e.Seq || c.First+uint64(c.Count) <= e.Seq {
			return errors.New("a reader sees a record but not its command")
		}
	}
	return nil
}

func testReopen(t *testing.T, s *subject) {
	s.fill(t, 1, 2, 3)
	s.reopen(t)
	wantEntries(t, s.all(t), 1, 2, 3)
	head := s.fill(t, 4, 5)
	before := s.all(t)
	s.reopen(t)
	if s.log.Head() != head {
		t.Errorf("head: got %v, want %v", s.log.Head(), head)
	}
	if !reflect.DeepEqual(s.all(t), before) {
		t.Error("the entries differ after opening again")
	}
	wantHead(t, head, before)
	for range 20 { // opening costs no record
		s.fill(t, 1)
		s.reopen(t)
	}
	if got := s.log.Head().Seq; got != 35 {
		t.Errorf("head: got %d, want 35", got)
	}
}

func testUnknown(t *testing.T, s *subject) {
	for _, persist := range []bool{false, true} {
		before := s.fill(t, 2)
		s.log = Faulty(s.log, Fault{Append: 1, Persist: persist})
		c := Commit(before.Seq+1, 3)
		head, err := s.log.Append(t.Context(), before.Seq, []events.Commit{c})
		wantError(t, "append", err, events.ErrUnknownCommit)
		if head != before || s.log.Head() != before {
			t.Errorf("head: got %v and %v, want %v", head, s.log.Head(), before)
		}
		_, err = s.log.Append(t.Context(), before.Seq, []events.Commit{c})
		wantError(t, "append again", err, events.ErrClosed)
		_, err = s.log.Read(t.Context(), 1, 0, false)
		wantError(t, "read", err, events.ErrClosed)

		s.reopen(t)
		entry, found, err := s.log.Command(c.ID)
		if err != nil || found != persist {
			t.Errorf("persisted %v: command found: %v, %v", persist, found, err)
		}
		if found && (entry.First != before.Seq+1 || entry.Count != 3 || s.log.Head().Seq != before.Seq+3) {
			t.Errorf("got %v and head %v", entry, s.log.Head())
		}
		if !found && s.log.Head() != before {
			t.Errorf("head: got %v, want %v", s.log.Head(), before)
		}
	}
	s.fill(t, 1)
}

func testClose(t *testing.T, s *subject) {
	head := s.fill(t, 2)
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	if s.log.Head() != head {
		t.Errorf("head: got %v, want %v", s.log.Head(), head)
	}
	_, err := s.log.Append(t.Context(), 2, []events.Commit{Commit(3, 1)})
	wantError(t, "append", err, events.ErrClosed)
	_, err = s.log.Read(t.Context(), 1, 0, false)
	wantError(t, "read", err, events.ErrClosed)
	_, err = s.log.ReadTask(t.Context(), 1, 1, 0, false)
	wantError(t, "read task", err, events.ErrClosed)
	_, err = s.log.Texts(t.Context(), []uint64{1})
	wantError(t, "texts", err, events.ErrClosed)
	_, _, err = s.log.Command(CommandID(1))
	wantError(t, "command", err, events.ErrClosed)
	_, err = s.log.Offset("web")
	wantError(t, "offset", err, events.ErrClosed)
	if err := s.log.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	s.reopen(t)
	s.fill(t, 1)
}
