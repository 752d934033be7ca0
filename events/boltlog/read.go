package boltlog

import (
	"bytes"
	"context"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
)

// A read transaction ends when any of these is reached: an old one makes the
// file grow and can block the writer.
const (
	sliceEntries = 1000
	sliceBytes   = 8 << 20
	sliceTime    = 50 * time.Millisecond
)

// slice counts what one read transaction has done.
type slice struct {
	entries, bytes int
	max            int
	end            time.Time
}

// newSlice starts a slice of at most limit entries; limit ≤ 0 leaves it at sliceEntries.
func newSlice(limit int) *slice {
	if limit <= 0 || limit > sliceEntries {
		limit = sliceEntries
	}
	return &slice{max: limit, end: time.Now().Add(sliceTime)}
}

// full counts an entry of n bytes and reports whether it must be the last.
func (s *slice) full(n int) bool {
	s.entries++
	s.bytes += n
	return s.entries >= s.max || s.bytes >= sliceBytes || s.entries%64 == 0 && time.Now().After(s.end)
}

// Read implements [events.Log]. One call reads one slice: at most 1,000
// entries, 8 MiB or 50 ms.
func (l *Log) Read(ctx context.Context, from uint64, limit int, withText bool) (out []events.Entry, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	from = max(from, 1)
	head := l.Head().Seq
	err = l.view(func(tx *bbolt.Tx) error {
		if from > head {
			return nil
		}
		s := newSlice(limit)
		out = make([]events.Entry, 0, min(head-from+1, uint64(s.max)))
		var records arena
		c := tx.Bucket(bucketLog).Cursor()
		k, v := c.Seek(seqKey(from))
		for seq := from; seq <= head; seq++ {
			if got, ok := parseSeq(k); !ok || got != seq {
				return damaged("record %d is missing", seq)
			}
			e, err := entry(seq, v, withText, &records)
			if err != nil {
				return err
			}
			out = append(out, e)
			if s.full(len(e.Record) + len(e.Text)) {
				return nil
			}
			k, v = c.Next()
		}
		return nil
	})
	return out, err
}

// ReadTask implements [events.Log]; slices are as in Read.
func (l *Log) ReadTask(ctx context.Context, task events.TaskID, from uint64, limit int, withText bool) (out []events.Entry, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.RLock()
	end, late := l.tail.after, l.tail.ofTask(task, from)
	l.mu.RUnlock()
	err = l.view(func(tx *bbolt.Tx) error {
		s := newSlice(limit)
		log := tx.Bucket(bucketLog)
		var records arena
		for seq, err := range ofTask(tx, task, from, end, late) {
			if err != nil {
				return err
			}
			e, err := entry(seq, log.Get(seqKey(seq)), withText, &records)
			if err != nil {
				return err
			}
			out = append(out, e)
			if s.full(len(e.Record) + len(e.Text)) {
				return nil
			}
		}
		return nil
	})
	return out, err
}

// ofTask finds the records of a task from position from on: up to position
// end in the index, then those given.
func ofTask(tx *bbolt.Tx, task events.TaskID, from, end uint64, late []uint64) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		for seq, err := range indexed(tx, task, from) {
			if err == nil && seq > end {
				break
			}
			if !yield(seq, err) || err != nil {
				return
			}
		}
		for _, seq := range late {
			if !yield(seq, nil) {
				return
			}
		}
	}
}

// entry copies what is stored about a record, given its row.
func entry(seq uint64, value []byte, withText bool, records *arena) (e events.Entry, err error) {
	r, ok := parseRow(seq, value)
	if !ok {
		return e, damaged("the row of record %d is missing or damaged", seq)
	}
	e = events.Entry{Seq: seq, Record: records.clone(r.record)}
	if withText {
		e.Text = r.legible(seq)
	}
	return e, nil
}

// arena hands out copies that share blocks, of which the next is twice as
// large: a thousand records are a dozen allocations.
type arena []byte

func (a *arena) clone(b []byte) []byte {
	if len(b) > cap(*a)-len(*a) {
		*a = make([]byte, 0, max(len(b), min(2*cap(*a), 64<<10)))
	}
	start := len(*a)
	*a = append(*a, b...)
	return (*a)[start:len(*a):len(*a)]
}

// legible returns a copy of the text, nil if there is none or it was erased.
func (r row) legible(seq uint64) []byte {
	if isErased(r.text, seq) {
		return nil
	}
	return bytes.Clone(r.text)
}

// Texts implements [events.Log]. It reads all, in as many slices as it takes.
func (l *Log) Texts(ctx context.Context, seqs []uint64) ([][]byte, error) {
	head := l.Head().Seq
	out := make([][]byte, 0, len(seqs))
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := l.view(func(tx *bbolt.Tx) error {
			s := newSlice(0)
			log := tx.Bucket(bucketLog)
			for _, seq := range seqs[len(out):] {
				var t []byte
				if seq > 0 && seq <= head {
					r, ok := parseRow(seq, log.Get(seqKey(seq)))
					if !ok {
						return damaged("the row of record %d is missing or damaged", seq)
					}
					t = r.legible(seq)
				}
				out = append(out, t)
				if s.full(len(t)) {
					break
				}
			}
			return nil
		})
		if err != nil || len(out) == len(seqs) {
			return out, err
		}
	}
}

// Command implements [events.Log].
func (l *Log) Command(id events.CommandID) (c events.CommandEntry, found bool, err error) {
	l.mu.RLock()
	head, unused, err := l.head.Seq, l.unused.has(id), l.broken
	c, found = l.tail.command(id)
	l.mu.RUnlock()
	if found || unused || err != nil {
		return c, found && err == nil, err
	}
	err = l.view(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketCmd).Cursor()
		k, v := cursor.Seek(id[:])
		if !bytes.Equal(k, id[:]) {
			l.missed(id, k, head)
			return nil
		}
		entry, ok := decodeCommand(id[:], v)
		if !ok {
			return damaged("the entry of command %s does not match its checksum", id)
		}
		if entry.First > head {
			return nil
		}
		r, ok := parseRow(entry.First, tx.Bucket(bucketLog).Get(seqKey(entry.First)))
		if !ok {
			return damaged("the row of record %d is missing or damaged", entry.First)
		}
		entry.Check = r.check
		c, found = entry, true
		return nil
	})
	return c, found, err
}

// missed notes which ids are not in the index: none from id to next, as a
// transaction says that began when the log ended at head. What has been
// committed since it need not know.
func (l *Log) missed(id events.CommandID, next []byte, head uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head.Seq == head {
		l.unused.found(id, next)
	}
}

// Offset implements [events.Log].
func (l *Log) Offset(subscriber string) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.offsets[subscriber], l.broken
}
