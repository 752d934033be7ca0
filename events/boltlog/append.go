package boltlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/hermesboard/hermes/events"
)

// Append implements [events.Log]: all commits of the batch are one bbolt
// transaction. A command id that is in the log already is refused.
func (l *Log) Append(ctx context.Context, head uint64, batch []events.Commit) (events.Head, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	now := l.Head()
	if err := l.alive(); err != nil {
		return now, err
	}
	if err := ctx.Err(); err != nil {
		return now, err
	}
	if head != now.Seq {
		return now, fmt.Errorf("append at %d: %w to %d", head, events.ErrConflict, now.Seq)
	}
	size, err := measure(batch)
	if err != nil {
		return now, fmt.Errorf("append at %d: %w", head, err)
	}
	if size == (extent{}) {
		return now, nil
	}
	var next events.Frontier
	var later tail
	write := func(index bool) error {
		return l.commit(func(tx *bbolt.Tx) error {
			l.fill(tx, 2*size.bytes)
			next, later = l.frontier, tail{}
			if err := l.put(tx, &next, &later, batch, size); err != nil || !index {
				return err
			}
			return errors.Join(l.tail.put(tx), later.put(tx), putIndexed(tx, next.Size()))
		})
	}
	index := now.Seq+uint64(size.records)-l.tail.after > l.maxTail()
	err = write(index)
	if index && errors.Is(err, events.ErrFull) { // there may be room for the records
		index = false
		err = write(false)
	}
	if err != nil {
		return now, fmt.Errorf("append at %d: %w", head, err)
	}
	l.frontier = next
	return l.advance(batch, &later, index), nil
}

// maxTail is how many records may wait to be indexed.
func (l *Log) maxTail() uint64 {
	if l.opts.LongLived {
		return maxTail
	}
	return 0
}

// advance shows readers what was committed, and whether it was indexed.
func (l *Log) advance(batch []events.Commit, later *tail, indexed bool) events.Head {
	head := l.frontier.Head()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = head
	l.tail.merge(later)
	if indexed {
		for _, c := range l.tail.commands {
			l.unused.cut(c.id)
		}
		l.tail.reset(head.Seq)
	}
	for _, c := range batch {
		for _, o := range c.Offsets {
			l.offsets[o.Subscriber] = o.Seq
		}
	}
	return head
}

type extent struct{ records, bytes, offsets int }

// measure counts a batch and holds it against the limits.
func measure(batch []events.Commit) (size extent, err error) {
	for _, c := range batch {
		if len(c.Records) > events.MaxCommandRecords {
			return size, fmt.Errorf("command %s: %w: %d records, at most %d", c.ID, events.ErrTooLarge, len(c.Records), events.MaxCommandRecords)
		}
		for i, r := range c.Records {
			switch {
			case len(r.Record) == 0:
				return size, fmt.Errorf("command %s: record %d is empty", c.ID, i+1)
			case len(r.Record) > events.MaxRecordBytes:
				return size, fmt.Errorf("command %s: record %d: %w: %d bytes, at most %d", c.ID, i+1, events.ErrTooLarge, len(r.Record), events.MaxRecordBytes)
			case len(r.Text) > events.MaxTextBytes:
				return size, fmt.Errorf("command %s: text %d: %w: %d bytes, at most %d", c.ID, i+1, events.ErrTooLarge, len(r.Text), events.MaxTextBytes)
			}
			size.bytes += rowHead + len(r.Record) + len(r.Text)
		}
		for _, o := range c.Offsets {
			if o.Subscriber == "" || len(o.Subscriber) > bbolt.MaxKeySize {
				return size, fmt.Errorf("command %s: the name of a subscriber has %d bytes", c.ID, len(o.Subscriber))
			}
		}
		size.records += len(c.Records)
		size.offsets += len(c.Offsets)
	}
	return size, nil
}

// put writes a batch, grows the tree by it, and notes in later what belongs
// into the indexes.
func (l *Log) put(tx *bbolt.Tx, tree *events.Frontier, later *tail, batch []events.Commit, size extent) error {
	log := dense(tx, bucketLog)
	rows := l.room(size.bytes + (2*size.records+64)*tlog.HashSize) // bbolt points into it until the commit
	var completed [64]tlog.Hash
	var key [8]byte // bbolt copies keys
	for _, c := range batch {
		if err := putOffsets(tx, c.Offsets); err != nil {
			return err
		}
		if len(c.Records) > 0 {
			if l.known(tx, c.ID) {
				return fmt.Errorf("command %s is in the log already", c.ID)
			}
			later.commands = append(later.commands, command{c.ID, events.CommandEntry{First: tree.Size() + 1, Count: len(c.Records), Check: c.Check}})
		}
		for _, r := range c.Records {
			start := len(rows)
			for _, h := range tree.Append(events.LeafHash(r.Record), completed[:0]) {
				rows = append(rows, h[:]...)
			}
			seq := tree.Size()
			binary.BigEndian.PutUint64(key[:], seq)
			rows = appendRowHead(rows, key[:], c.Check, len(r.Record))
			rows = append(append(rows, r.Record...), r.Text...)
			if err := log.Put(key[:], rows[start:]); err != nil {
				return err
			}
			if r.Task != 0 {
				later.tasks = append(later.tasks, posting{r.Task, seq})
			}
		}
	}
	if !later.sort() {
		return errors.New("a command is in the batch twice")
	}
	return nil
}

// room returns an empty slice that so many bytes can be appended to, the same
// again where it is large enough.
func (l *Log) room(size int) []byte {
	if size > maxRoom {
		return make([]byte, 0, size)
	}
	if size > cap(l.rows) {
		l.rows = make([]byte, 0, size)
	}
	return l.rows
}

const maxRoom = 1 << 20

// known reports whether a command is in the log. The caller holds l.writing,
// so nobody changes the tail.
func (l *Log) known(tx *bbolt.Tx, id events.CommandID) bool {
	if _, found := l.tail.command(id); found {
		return true
	}
	l.mu.RLock()
	unused := l.unused.has(id)
	l.mu.RUnlock()
	return !unused && tx.Bucket(bucketCmd).Get(id[:]) != nil
}

func putOffsets(tx *bbolt.Tx, offsets []events.Offset) error {
	b, meta := tx.Bucket(bucketOffset), tx.Bucket(bucketMeta)
	for _, o := range offsets {
		key := []byte(o.Subscriber)
		if b.Get(key) == nil {
			n, _ := decodeOffset(keyOffsets, meta.Get(keyOffsets))
			if err := meta.Put(keyOffsets, encodeOffset(keyOffsets, n+1)); err != nil {
				return err
			}
		}
		if err := b.Put(key, encodeOffset(key, o.Seq)); err != nil {
			return err
		}
	}
	return nil
}

// dense returns a bucket that fills its pages as far as is good for it. In log
// keys only grow, so nothing is ever put into a page left behind. task grows at
// the end of each task. Command ids begin with the time, except those that are
// hashes of foreign keys and fall anywhere.
func dense(tx *bbolt.Tx, name []byte) *bbolt.Bucket {
	b := tx.Bucket(name)
	switch string(name) {
	case "cmd":
		b.FillPercent = 0.7
	case "task":
		b.FillPercent = 0.9
	default:
		b.FillPercent = 1.0
	}
	return b
}

// commit runs fn in a write transaction. The caller holds l.writing.
//
// An error of fn itself, and one that came before bbolt changed a meta page,
// is definite. After any other the outcome is unknown and the log is broken.
func (l *Log) commit(fn func(*bbolt.Tx) error) error {
	if l.opts.ReadOnly {
		return bolterrors.ErrDatabaseReadOnly
	}
	before, err := readMetaPages(l.file)
	if err != nil {
		return fmt.Errorf("read meta pages: %w", err)
	}
	refused, err := l.update(fn)
	switch {
	case err == nil:
		return nil
	case refused:
		return err
	case isFull(err):
		if after, rerr := readMetaPages(l.file); rerr == nil && after == before {
			return fmt.Errorf("%w: %w", events.ErrFull, err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = fmt.Errorf("%w, %w since: %w", events.ErrUnknownCommit, events.ErrClosed, err)
	return fmt.Errorf("%w: %w", events.ErrUnknownCommit, err)
}

// update is bbolt's Update with panics as errors. refused means that fn
// returned the error, and so nothing was written.
func (l *Log) update(fn func(*bbolt.Tx) error) (refused bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.wedged = true
			refused, err = false, damaged("writing it went wrong: %v", p)
		}
	}()
	defer faultsPanic()()
	err = l.db.Update(func(tx *bbolt.Tx) error {
		err := fn(tx)
		refused = err != nil
		return err
	})
	return refused, err
}

// isFull reports whether the quota or the file system refused to take more. It
// leaves out errors of fsync, which can also mean that there is no room.
func isFull(err error) bool {
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		return true
	}
	var write *fs.PathError
	if errors.As(err, &write) && write.Op == "write" {
		return errors.Is(write.Err, syscall.ENOSPC) || errors.Is(write.Err, syscall.EDQUOT) || errors.Is(write.Err, syscall.EFBIG)
	}
	// bbolt keeps only the words of the error of ftruncate.
	if s := err.Error(); strings.HasPrefix(s, "file resize error: ") {
		for _, e := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
			if strings.HasSuffix(s, ": "+e.Error()) {
				return true
			}
		}
	}
	return false
}
