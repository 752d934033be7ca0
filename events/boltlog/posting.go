package boltlog

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
)

// posting says that a record is about a task.
type posting struct {
	task events.TaskID
	seq  uint64
}

// putPostings writes postings into the index: one entry for those of a task,
// under the first of them.
func putPostings(tx *bbolt.Tx, list []posting) error {
	index := dense(tx, bucketTask)
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b posting) int { return cmp.Or(cmp.Compare(a.task, b.task), cmp.Compare(a.seq, b.seq)) })
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].task == list[0].task {
			n++
		}
		key := taskKey(list[0].task, list[0].seq)
		if err := index.Put(key, encodeLater(key, list[:n])); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func taskKey(task events.TaskID, seq uint64) []byte {
	k := binary.BigEndian.AppendUint32(make([]byte, 0, 12), uint32(task))
	return binary.BigEndian.AppendUint64(k, seq)
}

// encodeLater writes the distances of all postings but the first from the one
// before; nothing if there are none.
func encodeLater(key []byte, list []posting) []byte {
	if len(list) == 1 {
		return nil
	}
	b := make([]byte, 0, 2*len(list)+4)
	for i := 1; i < len(list); i++ {
		b = binary.AppendUvarint(b, list[i].seq-list[i-1].seq)
	}
	return seal(key, b)
}

// entryOf reads an entry of the index: its task, and the positions in order.
func entryOf(key, value []byte, room []uint64) (task events.TaskID, seqs []uint64, ok bool) {
	if len(key) != 12 {
		return 0, nil, false
	}
	seqs = append(room[:0], binary.BigEndian.Uint64(key[4:]))
	task = events.TaskID(binary.BigEndian.Uint32(key))
	if len(value) == 0 {
		return task, seqs, true
	}
	b, ok := unseal(key, value)
	for ok && len(b) > 0 {
		d, n := binary.Uvarint(b)
		if ok = n > 0 && d > 0; ok {
			seqs, b = append(seqs, seqs[len(seqs)-1]+d), b[n:]
		}
	}
	return task, seqs, ok
}

// counted returns the positions of an entry, and position 0 for one that
// cannot be read.
func counted(_ events.TaskID, seqs []uint64, ok bool) []uint64 {
	if !ok {
		return []uint64{0}
	}
	return seqs
}

// indexed returns the positions that the index has for a task, from one on.
func indexed(tx *bbolt.Tx, task events.TaskID, from uint64) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		var room [8]uint64
		c := tx.Bucket(bucketTask).Cursor()
		for k, v := seekEntry(c, task, from); k != nil; k, v = c.Next() {
			t, seqs, ok := entryOf(k, v, room[:])
			if !ok {
				yield(0, damaged("an entry of the task index cannot be read"))
				return
			}
			if t > task {
				return
			}
			for _, seq := range seqs {
				if t == task && seq >= from && !yield(seq, nil) {
					return
				}
			}
		}
	}
}

// seekEntry returns the entry that may have a position of a task: the last one
// that begins there or before, or else the next.
func seekEntry(c *bbolt.Cursor, task events.TaskID, from uint64) (k, v []byte) {
	key := taskKey(task, from)
	k, v = c.Seek(key)
	if string(k) == string(key) {
		return k, v
	}
	if k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	if k == nil { // none before
		k, v = c.First()
	}
	return k, v
}

// isPosted reports whether the index has a position for a task.
func isPosted(tx *bbolt.Tx, task events.TaskID, seq uint64) bool {
	for got, err := range indexed(tx, task, seq) {
		return err == nil && got == seq
	}
	return false
}
