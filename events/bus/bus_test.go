package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/bus"
	"github.com/hermesboard/hermes/events/logtest"
)

// memory is a log whose offsets can be lost, as those of a killed owner are.
type memory struct {
	mu      sync.Mutex
	entries []events.Entry
	more    chan struct{}
	saved   map[string]uint64
	saves   int
}

func newMemory() *memory {
	return &memory{more: make(chan struct{}), saved: map[string]uint64{}}
}

func (m *memory) add(t *testing.T, task events.TaskID, p events.Payload) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	seq := uint64(len(m.entries) + 1)
	r := events.Record{Seq: seq, ID: events.ULID{14: byte(seq >> 8), 15: byte(seq)}, Time: 1, Task: task, Cmd: events.CommandID{1}, Actor: events.Actor{Kind: events.System}, Data: p}
	text, err := events.EncodeText(events.Text{Salt: events.Salt{1}, Fields: events.Fields{Comment: fmt.Sprint("comment ", seq)}})
	if err != nil {
		t.Fatal(err)
	}
	r.Text = events.DigestOf(text)
	b, err := events.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	m.entries = append(m.entries, events.Entry{Seq: seq, Record: b, Text: text})
	close(m.more)
	m.more = make(chan struct{})
}

func (m *memory) Follow(ctx context.Context, from uint64, yield func(events.Entry) error) error {
	return logtest.Follow(ctx, from, func() ([]events.Entry, <-chan struct{}) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.entries, m.more
	}, yield)
}

func (m *memory) Offset(_ context.Context, name string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.saved[name], nil
}

func (m *memory) SaveOffset(_ context.Context, name string, seq uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved[name], m.saves = seq, m.saves+1
	return nil
}

// collect acknowledges n messages and returns their positions.
func collect(t *testing.T, in <-chan *message.Message, n int) (seqs []string) {
	t.Helper()
	for range n {
		m, ok := <-in
		if !ok {
			t.Fatal("the subscription ended")
		}
		seqs = append(seqs, m.Metadata[bus.Seq])
		m.Ack()
	}
	return seqs
}

func TestEveryEventOnceAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		log.add(t, 1, events.TaskCommented{})
		log.add(t, 0, events.BoardRenamed{})
		s := bus.NewSubscriber(log, bus.Options{Name: "a", Board: "acme"})
		in, err := s.Subscribe(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Subscribe(t.Context(), ""); !errors.Is(err, bus.ErrBusy) {
			t.Errorf("got %v for a second subscription", err)
		}
		m := <-in
		var ev bus.Event
		if err := json.Unmarshal(m.Payload, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Type != "board.hermes.task.commented" || ev.Subject != "t1" || ev.Sequence != 1 || ev.Data.Text.Comment != "comment 1" || m.Metadata[bus.Task] != "t1" || m.Metadata[bus.Try] != "1" {
			t.Errorf("got %s with %v", m.Payload, m.Metadata)
		}
		m.Ack()
		log.add(t, 1, events.TaskCommented{})
		if got := collect(t, in, 2); !slices.Equal(got, []string{"2", "3"}) {
			t.Errorf("got %v", got)
		}
		synctest.Wait()
		s.Close()
		if _, ok := <-in; ok {
			t.Error("a message after Close")
		}
		if s.Err() != nil || log.saved["a"] != 3 {
			t.Errorf("got %v, offset %d", s.Err(), log.saved["a"])
		}
		if _, err := s.Subscribe(t.Context(), ""); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("got %v after Close", err)
		}
		log.add(t, 1, events.TaskCommented{})
		next := bus.NewSubscriber(log, bus.Options{Name: "a"})
		defer next.Close()
		if in, err = next.Subscribe(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if got := collect(t, in, 1); got[0] != "4" {
			t.Errorf("got %v from a second life, want 4", got)
		}
	})
}

// TestNackWaits: a refused event comes again, after waits that grow, before
// the one behind it; the offset stays.
func TestNackWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		log.add(t, 1, events.TaskCommented{})
		log.add(t, 1, events.TaskCommented{})
		s := bus.NewSubscriber(log, bus.Options{Name: "a"})
		defer s.Close()
		in, err := s.Subscribe(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for want := 1; want <= 4; want++ {
			m := <-in
			if m.Metadata[bus.Seq] != "1" || m.Metadata[bus.Try] != fmt.Sprint(want) {
				t.Fatalf("got %v, want event 1, try %d", m.Metadata, want)
			}
			m.Nack()
		}
		m := <-in
		if got, want := time.Since(start), (1+2+4+8)*time.Second; got != want {
			t.Errorf("got %v of waiting, want %v", got, want)
		}
		if log.saved["a"] != 0 {
			t.Errorf("the offset moved to %d", log.saved["a"])
		}
		m.Ack()
		if m = <-in; m.Metadata[bus.Seq] != "2" || m.Metadata[bus.Try] != "1" {
			t.Errorf("got %v, want event 2", m.Metadata)
		}
	})
}

// TestCrashRepeatsOnly: an end between handling and acknowledging repeats the
// event in flight and no other.
func TestCrashRepeatsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		for range 20 {
			log.add(t, 1, events.TaskCommented{})
		}
		var got []string
		for range 5 {
			ctx, crash := context.WithCancel(t.Context())
			s := bus.NewSubscriber(log, bus.Options{Name: "a"})
			in, err := s.Subscribe(ctx, "")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, collect(t, in, 2)...)
			synctest.Wait()
			m := <-in
			got = append(got, m.Metadata[bus.Seq]+"?")
			crash()
			s.Close()
		}
		if want := []string{"1", "2", "3?", "3", "4", "5?", "5", "6", "7?", "7", "8", "9?"}; !slices.Equal(got[:12], want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestUnwantedEventsMoveTheOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		for range 1000 {
			log.add(t, 0, events.BoardRenamed{})
		}
		log.add(t, 1, events.TaskCommented{})
		s := bus.NewSubscriber(log, bus.Options{Name: "a", From: 500, Wants: func(r *events.Record) bool { return r.Task != 0 }})
		in, err := s.Subscribe(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := collect(t, in, 1); got[0] != "1001" {
			t.Errorf("got %v", got)
		}
		synctest.Wait()
		if log.saves > 4 || log.saved["a"] != 1001 {
			t.Errorf("got %d saves, offset %d", log.saves, log.saved["a"])
		}
		s.Close()
	})
}

// TestTypes: what is of another type is passed over, whatever its words are.
func TestTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		log.add(t, 1, events.TaskAssigned{Assignee: "task.commented"})
		log.add(t, 1, events.NotifySent{Of: 1, To: events.Destination{Platform: "p", Chat: `"type":"task.commented"`}})
		log.add(t, 1, events.TaskCommented{})
		log.add(t, 2, events.TaskCommented{})
		s := bus.NewSubscriber(log, bus.Options{Name: "a", Types: func(typ events.Type) bool { return typ == events.TaskCommented{}.Type() },
			Wants: func(r *events.Record) bool { return r.Task == 2 }})
		defer s.Close()
		in, err := s.Subscribe(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := collect(t, in, 1); got[0] != "4" {
			t.Errorf("got %v, want 4", got)
		}
	})
}
