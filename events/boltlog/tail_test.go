package boltlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// A long-lived log, whose indexes lag behind, tells the same as one that
// indexes with every commit: while it is open, when it was not closed, and
// when it was.
func TestTail(t *testing.T) {
	const seed = 3
	random := rand.New(rand.NewPCG(seed, seed))
	path, plainPath := newPath(t), newPath(t)
	l, plain := create(t, path, &boltlog.Options{LongLived: true}), create(t, plainPath, nil)
	defer plain.Close()
	same := func(what string, l *boltlog.Log) {
		t.Helper()
		if !reflect.DeepEqual(read(t, l), read(t, plain)) {
			t.Fatalf("%s, at %d: the log tells something else (seed %d)", what, l.Head().Seq, seed)
		}
		for range 4 {
			task, from := events.TaskID(random.IntN(9)), random.Uint64N(l.Head().Seq+2)
			if got, want := readTask(t, l, task, from), readTask(t, plain, task, from); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: t%d from %d: got %d records, want %d (seed %d)", what, task, from, len(got), len(want), seed)
			}
		}
	}
	for range 6 {
		for range 1 + random.IntN(40) {
			var sizes []int
			for range 1 + random.IntN(8) {
				sizes = append(sizes, 1+random.IntN(30))
			}
			fill(t, l, sizes...)
			fill(t, plain, sizes...)
		}
		same("open", l)
		for p := range l.Verify(t.Context()) {
			t.Errorf("verify: %s", p)
		}
		crashed := newPath(t)
		copyFile(t, path, crashed)
		verify(t, crashed)
		for _, o := range []boltlog.Options{{ReadOnly: true}, {}, {LongLived: true}} {
			again := open(t, crashed, &o)
			same("after a crash", again)
			again.Close()
		}
		verify(t, crashed)
		if random.IntN(3) == 0 {
			l.Close()
			verify(t, path)
			l = open(t, path, &boltlog.Options{LongLived: true})
			same("opened again", l)
		}
	}
	if l.Head().Seq < 6000 {
		t.Errorf("%d records are too few for indexing in between", l.Head().Seq)
	}
	l.Close()
	verify(t, path)
}

// An entry of the task index that is about several records is held against each.
func TestPostings(t *testing.T) {
	for name, change := range map[string]func(k, v []byte) (key, value []byte){
		"flipped": func(k, v []byte) ([]byte, []byte) { v[1] ^= 1; return k, v },
		"short":   func(k, v []byte) ([]byte, []byte) { return k, nil },
		"moved":   func(k, v []byte) ([]byte, []byte) { k[11]++; return k, v },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			l := create(t, path, &boltlog.Options{LongLived: true})
			fill(t, l, 20, 20)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			verify(t, path)
			err := edit("task", func(b *bbolt.Bucket) error {
				k, v := b.Cursor().First()
				if len(v) < 6 {
					return fmt.Errorf("the first entry has %d bytes", len(v))
				}
				key, value := change(bytes.Clone(k), bytes.Clone(v))
				return errors.Join(b.Delete(bytes.Clone(k)), b.Put(key, value))
			})(path)
			if err != nil {
				t.Fatal(err)
			}
			for p := range boltlog.Verify(t.Context(), path) {
				if strings.Contains(p.What, "is not in the index of task") {
					return
				}
			}
			t.Error("nothing was found")
		})
	}
}

// A command is refused the second time, whether or not it is indexed.
func TestCommandTwice(t *testing.T) {
	l := create(t, newPath(t), &boltlog.Options{LongLived: true})
	defer l.Close()
	for range 3 {
		head := fill(t, l, 1, 2)
		for _, first := range []uint64{1, 2, head.Seq - 2, head.Seq - 1} {
			c := logtest.Commit(head.Seq+1, 1)
			c.ID = logtest.CommandID(first)
			if _, err := l.Append(t.Context(), head.Seq, []events.Commit{c}); err == nil {
				t.Fatalf("the command of record %d was taken again", first)
			}
		}
		c := logtest.Commit(head.Seq+1, 1)
		if _, err := l.Append(t.Context(), head.Seq, []events.Commit{c, c}); err == nil {
			t.Fatal("a command was taken twice in one batch")
		}
		if l.Head() != head {
			t.Fatalf("head: got %v, want %v", l.Head(), head)
		}
		fill(t, l, 1000, 1000, 1000)
	}
}

// Erasing a text and rebuilding the indexes go together with records that are
// not indexed.
func TestTailChanges(t *testing.T) {
	path := newPath(t)
	l := create(t, path, &boltlog.Options{LongLived: true})
	fill(t, l, 3, 3)
	if err := l.EraseText(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	want := read(t, l)
	if want.Entries[4].Text != nil || want.Entries[2].Text == nil {
		t.Error("another text was erased than was asked for")
	}
	if err := l.RebuildIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read(t, l), want) {
		t.Error("the log tells something else after rebuilding")
	}
	fill(t, l, 2)
	l.Close()
	verify(t, path)
}

// readTask returns all records of a task from position from on; a slow machine
// needs more slices for them.
func readTask(t *testing.T, l *boltlog.Log, task events.TaskID, from uint64) (all []events.Entry) {
	t.Helper()
	for {
		slice, err := l.ReadTask(t.Context(), task, from, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		if len(slice) == 0 {
			return all
		}
		all = append(all, slice...)
		from = slice[len(slice)-1].Seq + 1
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
