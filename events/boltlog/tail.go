package boltlog

import (
	"fmt"
	"iter"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
)

// maxTail is how many records a long-lived log lets gather before it indexes
// them: one commit then writes the pages of the indexes that each would have
// written, and opening after a crash has no more than so many to look at.
const maxTail = 4096

// tail is what the buckets cmd and task would say of the last records, those
// after position after, which they do not have yet.
type tail struct {
	after    uint64
	commands []command // by id
	tasks    []posting // by position
}

type command struct {
	id    events.CommandID
	entry events.CommandEntry
}

func (t *tail) command(id events.CommandID) (c events.CommandEntry, found bool) {
	n := len(t.commands)
	if n == 0 || id.Compare(t.commands[n-1].id) > 0 {
		return c, false
	}
	at, found := slices.BinarySearchFunc(t.commands, id, func(c command, id events.CommandID) int { return c.id.Compare(id) })
	if found {
		c = t.commands[at].entry
	}
	return c, found
}

// ofTask returns the records of a task from position from on.
func (t *tail) ofTask(task events.TaskID, from uint64) (seqs []uint64) {
	for _, p := range t.tasks {
		if p.task == task && p.seq >= from {
			seqs = append(seqs, p.seq)
		}
	}
	return seqs
}

// sort puts the commands in order and reports whether all ids are different.
func (t *tail) sort() bool {
	slices.SortFunc(t.commands, byID)
	for i := 1; i < len(t.commands); i++ {
		if t.commands[i].id == t.commands[i-1].id {
			return false
		}
	}
	return true
}

// merge adds what a later tail has. Ids begin with the time, so that only the
// last ones have to be put in order.
func (t *tail) merge(later *tail) {
	t.tasks = append(t.tasks, later.tasks...)
	if len(later.commands) == 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(t.commands, later.commands[0], byID)
	t.commands = append(t.commands, later.commands...)
	slices.SortFunc(t.commands[at:], byID)
}

func byID(a, b command) int { return a.id.Compare(b.id) }

// reset empties the tail of a log that is indexed up to a position.
func (t *tail) reset(indexed uint64) {
	t.after, t.commands, t.tasks = indexed, t.commands[:0], t.tasks[:0]
}

// put writes what the tail has into the indexes, in the order of their keys.
func (t *tail) put(tx *bbolt.Tx) error {
	cmd := dense(tx, bucketCmd)
	for i := range t.commands {
		c := &t.commands[i]
		if err := cmd.Put(c.id[:], encodeCommand(c.id[:], c.entry)); err != nil {
			return err
		}
	}
	return putPostings(tx, t.tasks)
}

// putIndexed notes up to which position there are indexes.
func putIndexed(tx *bbolt.Tx, seq uint64) error {
	return tx.Bucket(bucketMeta).Put(keyIndexed, encodeOffset(keyIndexed, seq))
}

// loadTail makes the tail of a log that ends at head from its records.
func loadTail(tx *bbolt.Tx, head uint64) (t tail, err error) {
	indexed, ok := decodeOffset(keyIndexed, tx.Bucket(bucketMeta).Get(keyIndexed))
	if !ok || indexed > head {
		return t, damaged("meta does not say up to where the records are indexed")
	}
	t.after = indexed
	for later, err := range derive(tx, indexed+1) {
		if err != nil {
			return t, err
		}
		t.commands = append(t.commands, later.commands...)
		t.tasks = append(t.tasks, later.tasks...)
	}
	if !t.sort() {
		return t, damaged("a command is in the log twice")
	}
	return t, nil
}

// derive makes from the records from position from on what belongs into the
// indexes, one command at a time.
func derive(tx *bbolt.Tx, from uint64) iter.Seq2[*tail, error] {
	return func(yield func(*tail, error) bool) {
		var decoder events.Decoder
		var t tail
		c := tx.Bucket(bucketLog).Cursor()
		for k, v := c.Seek(seqKey(from)); k != nil; k, v = c.Next() {
			seq, _ := parseSeq(k)
			stored, ok := parseRow(seq, v)
			if !ok {
				yield(nil, damaged("the row of record %d is damaged", seq))
				return
			}
			r, err := decoder.Decode(stored.record)
			if err != nil {
				yield(nil, fmt.Errorf("record %d: %w", seq, err))
				return
			}
			if len(t.commands) == 0 || t.commands[0].id != r.Cmd {
				if len(t.commands) > 0 && !yield(&t, nil) {
					return
				}
				t = tail{commands: []command{{r.Cmd, events.CommandEntry{First: seq, Check: stored.check}}}}
			}
			t.commands[0].entry.Count++
			if r.Task != 0 {
				t.tasks = append(t.tasks, posting{r.Task, seq})
			}
		}
		if len(t.commands) > 0 {
			yield(&t, nil)
		}
	}
}
