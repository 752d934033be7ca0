package logtest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/hermesboard/hermes/events"
)

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
