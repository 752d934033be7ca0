package deliver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hermesboard/hermes/events"
)

// fakeBoard is a log of entries and an offset.
type fakeBoard struct {
	mu      sync.Mutex
	entries []events.Entry
	offset  uint64
	deliver string
}

func (b *fakeBoard) Offset(context.Context, string) (uint64, error) { return b.offset, nil }

func (b *fakeBoard) SaveOffset(_ context.Context, _ string, seq uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offset = seq
	return nil
}

func (b *fakeBoard) Policy(context.Context) (events.Policy, uint64, error) {
	return events.Policy{Deliver: b.deliver}, 1, nil
}

var errEnd = errors.New("end of the log")

func (b *fakeBoard) Follow(_ context.Context, from uint64, yield func(events.Entry) error) error {
	for _, e := range b.entries[from-1:] {
		if err := yield(e); err != nil {
			return err
		}
	}
	return errEnd
}

func (b *fakeBoard) add(t *testing.T, verdict events.Verdict, name, content string) {
	t.Helper()
	text, err := events.EncodeText(events.Text{Salt: events.Salt{1}, Fields: events.Fields{Names: []string{name}}})
	if err != nil {
		t.Fatal(err)
	}
	seq := uint64(len(b.entries) + 1)
	rec, err := events.Encode(events.Record{Seq: seq, ID: events.ULID{1}, Time: 1, Task: events.TaskID(seq), Actor: events.Actor{Kind: events.Worker},
		Cmd: events.CommandID{1}, Text: events.DigestOf(text),
		Data: events.TaskCompleted{Verdict: verdict, Artifacts: []events.Artifact{{SHA256: events.DigestOf([]byte(content)), Size: int64(len(content))}}}})
	if err != nil {
		t.Fatal(err)
	}
	b.entries = append(b.entries, events.Entry{Seq: seq, Record: rec, Text: text})
}

func TestDeliver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	b := &fakeBoard{deliver: dir}
	b.add(t, events.Pass, "notes/brief.md", "good")
	b.add(t, events.Fail, "brief.md", "bad")
	b.add(t, events.Pass, "../../escaped", "evil")
	b.add(t, events.Pass, "last.md", "later")
	store := map[events.Digest]string{}
	for _, s := range []string{"good", "bad", "evil", "later"} {
		store[events.DigestOf([]byte(s))] = s
	}
	var warned []error
	d := &Deliverer{Board: b, Warn: func(err error) { warned = append(warned, err) }, Open: func(h events.Digest) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(store[h]))), nil
	}}
	if err := d.Run(t.Context()); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"t1/notes/brief.md": "good", "t4/last.md": "later"} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "t2")); err == nil {
		t.Error("the result of a failed task was delivered")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(dir), "escaped")); err == nil {
		t.Error("a name led out of the folder")
	}
	if len(warned) != tries {
		t.Errorf("got %d warnings, want %d for the bad name", len(warned), tries)
	}
	if b.offset != 4 {
		t.Errorf("the offset is %d, want 4", b.offset)
	}
	// A restart begins where it stopped.
	os.RemoveAll(dir)
	if err := d.Run(t.Context()); !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it was delivered again although the offset had moved")
	}
}
