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

func testEmpty(t *testing.T, s *subject) {
	wantHead(t, s.log.Head(), nil)
	if got := s.all(t); len(got) != 0 {
		t.Errorf("read of an empty log: got %d entries, want none", len(got))
	}
	if _, found, err := s.log.Command(CommandID(1)); found || err != nil {
		t.Errorf("command: got %v, %v, want false, nil", found, err)
	}
	if n, err := s.log.Offset("web"); n != 0 || err != nil {
		t.Errorf("offset: got %d, %v, want 0, nil", n, err)
	}
	if texts, err := s.log.Texts(t.Context(), []uint64{0, 1}); err != nil || len(texts) != 2 || texts[0] != nil || texts[1] != nil {
		t.Errorf("texts: got %q, %v, want two nil", texts, err)
	}
	head, err := s.log.Append(t.Context(), 0, nil)
	if err != nil || head != s.log.Head() {
		t.Errorf("append of nothing: got %v, %v", head, err)
	}
}

func testAppendAndRead(t *testing.T, s *subject) {
	s.fill(t, 1)
	s.fill(t, 3, 1, 2)
	head := s.fill(t, 5)
	got := s.all(t)
	wantEntries(t, got, 1, 3, 1, 2, 5)
	wantHead(t, head, got)
	wantHead(t, s.log.Head(), got)

	part, err := s.log.Read(t.Context(), 4, 3, false)
	if err != nil || len(part) != 3 {
		t.Fatalf("read 3 from 4: got %d entries, %v", len(part), err)
	}
	for i, e := range part {
		if want := got[3+i]; e.Seq != want.Seq || !bytes.Equal(e.Record, want.Record) || e.Text != nil {
			t.Errorf("entry %d without text: got %v", 4+i, e)
		}
	}
	for _, from := range []uint64{13, 14, 1 << 60} {
		if part, err := s.log.Read(t.Context(), from, 0, true); len(part) != 0 || err != nil {
			t.Errorf("read from %d: got %d entries, %v, want none", from, len(part), err)
		}
	}
	if part, err := s.log.Read(t.Context(), 0, 1, false); err != nil || len(part) != 1 || part[0].Seq != 1 {
		t.Errorf("read from 0: got %v, %v, want the first", part, err)
	}
}

func testConflict(t *testing.T, s *subject) {
	before := s.fill(t, 2)
	for _, at := range []uint64{0, 1, 3, 1 << 40} {
		head, err := s.log.Append(t.Context(), at, []events.Commit{Commit(at+1, 1)})
		wantError(t, "append at a wrong head", err, events.ErrConflict)
		if head != before || s.log.Head() != before {
			t.Errorf("head after a conflict: got %v and %v, want %v", head, s.log.Head(), before)
		}
	}
	s.fill(t, 1)
	wantEntries(t, s.all(t), 2, 1)
}

func testAllOrNone(t *testing.T, s *subject) {
	before := s.fill(t, 1)
	good := Commit(2, 2)
	good.Offsets = []events.Offset{{Subscriber: "web", Seq: 1}}
	bad := Commit(4, 2)
	bad.Records[1].Text = make([]byte, events.MaxTextBytes+1)
	_, err := s.log.Append(t.Context(), 1, []events.Commit{good, bad})
	wantError(t, "append with a text too large", err, events.ErrTooLarge)
	if s.log.Head() != before {
		t.Errorf("head: got %v, want %v", s.log.Head(), before)
	}
	wantEntries(t, s.all(t), 1)
	if _, found, _ := s.log.Command(good.ID); found {
		t.Error("the good command of a refused batch was found")
	}
	if n, _ := s.log.Offset("web"); n != 0 {
		t.Errorf("the offset of a refused batch: got %d, want 0", n)
	}
	s.fill(t, 2, 2)
	wantEntries(t, s.all(t), 1, 2, 2)
}

func testCommands(t *testing.T, s *subject) {
	sizes := []int{1, 3, 1, 7}
	s.fill(t, sizes...)
	nothing := events.Commit{ID: CommandID(99), Offsets: []events.Offset{{Subscriber: "web", Seq: 3}}}
	if head, err := s.log.Append(t.Context(), 12, []events.Commit{nothing}); err != nil || head.Seq != 12 {
		t.Fatalf("append of an offset: got %v, %v, want 12", head, err)
	}
	for range 2 {
		first := uint64(1)
		for _, n := range sizes {
			c := Commit(first, n)
			want := events.CommandEntry{First: first, Count: n, Check: c.Check}
			if got, found, err := s.log.Command(c.ID); !found || err != nil || got != want {
				t.Errorf("command at %d: got %v, %v, %v, want %v", first, got, found, err, want)
			}
			first += uint64(n)
		}
		for _, id := range []events.CommandID{{}, CommandID(3), nothing.ID} {
			if _, found, err := s.log.Command(id); found || err != nil {
				t.Errorf("command %s: got %v, %v, want false, nil", id, found, err)
			}
		}
		s.reopen(t)
	}
}

func testSlices(t *testing.T, s *subject) {
	var sizes []int
	for range 7 {
		s.fill(t, 500)
		sizes = append(sizes, 500)
	}
	seen := 0
	for {
		part, err := s.log.Read(t.Context(), uint64(seen)+1, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 0 {
			break
		}
		if len(part) > 1000 {
			t.Fatalf("a slice of %d entries, want at most 1000", len(part))
		}
		for _, e := range part {
			if seen++; e.Seq != uint64(seen) {
				t.Fatalf("got record %d, want %d", e.Seq, seen)
			}
		}
	}
	if seen != 3500 {
		t.Errorf("read %d records, want 3500", seen)
	}
	wantEntries(t, s.all(t), sizes...)
}

func testReadTask(t *testing.T, s *subject) {
	for range 10 {
		s.fill(t, 1, 300, 2)
	}
	end := s.log.Head().Seq
	for _, from := range []uint64{0, 1, 100, end, end + 1} {
		var want, got []uint64
		for seq := max(from, 1); seq <= end; seq++ {
			if Task(seq) == 3 {
				want = append(want, seq)
			}
		}
		for next := from; ; next = got[len(got)-1] + 1 {
			part, err := s.log.ReadTask(t.Context(), 3, next, 100, true)
			if err != nil {
				t.Fatal(err)
			}
			if len(part) > 100 {
				t.Fatalf("a slice of %d entries, want at most 100", len(part))
			}
			if len(part) == 0 {
				break
			}
			for _, e := range part {
				got = append(got, e.Seq)
				r, err := events.Decode(e.Record)
				if err != nil || r.Seq != e.Seq || r.Task != 3 || (e.Text == nil) != (r.Text == events.Digest{}) {
					t.Fatalf("entry %d: got %s, %v", e.Seq, e.Record, err)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("task t3 from %d: got %d records, want %d", from, len(got), len(want))
		}
	}
	for _, task := range []events.TaskID{0, 8, 1 << 31} {
		if part, err := s.log.ReadTask(t.Context(), task, 1, 0, false); len(part) != 0 || err != nil {
			t.Errorf("records of task %d: got %d, %v, want none", task, len(part), err)
		}
	}
}

func testTexts(t *testing.T, s *subject) {
	s.fill(t, 900, 900)
	seqs := []uint64{5, 4, 5, 0, 1801, 1 << 50}
	for seq := range uint64(1800) {
		seqs = append(seqs, 1800-seq)
	}
	texts, err := s.log.Texts(t.Context(), seqs)
	if err != nil || len(texts) != len(seqs) {
		t.Fatalf("got %d texts, %v, want %d", len(texts), err, len(seqs))
	}
	for i, seq := range seqs {
		var want []byte
		if seq >= 1 && seq <= 1800 {
			want = made(seq).Text
		}
		if !bytes.Equal(texts[i], want) || (texts[i] == nil) != (want == nil) {
			t.Fatalf("text %d: got %q, want %q", seq, texts[i], want)
		}
	}
	if texts, err := s.log.Texts(t.Context(), nil); len(texts) != 0 || err != nil {
		t.Errorf("no texts: got %d, %v", len(texts), err)
	}
}

func testOffsets(t *testing.T, s *subject) {
	s.fill(t, 4)
	set := func(offsets ...events.Offset) {
		t.Helper()
		if _, err := s.log.Append(t.Context(), s.log.Head().Seq, []events.Commit{{Offsets: offsets}}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(subscriber string, want uint64) {
		t.Helper()
		if got, err := s.log.Offset(subscriber); got != want || err != nil {
			t.Errorf("offset of %q: got %d, %v, want %d", subscriber, got, err, want)
		}
	}
	before := s.log.Head()
	set(events.Offset{Subscriber: "chat/telegram", Seq: 2}, events.Offset{Subscriber: "web", Seq: 1})
	set(events.Offset{Subscriber: "web", Seq: 4})
	c := Commit(5, 1)
	c.Offsets = []events.Offset{{Subscriber: "mail", Seq: 5}}
	if s.log.Head() != before {
		t.Errorf("offsets moved the head to %v", s.log.Head())
	}
	if _, err := s.log.Append(t.Context(), 4, []events.Commit{c}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		want("chat/telegram", 2)
		want("web", 4)
		want("mail", 5)
		want("chat", 0)
		s.reopen(t)
	}
}

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
