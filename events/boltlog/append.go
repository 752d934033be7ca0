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
	next := l.frontier
	err = l.commit(func(tx *bbolt.Tx) error { return put(tx, &next, batch, size) })
	if err != nil {
		return now, fmt.Errorf("append at %d: %w", head, err)
	}
	l.frontier = next
	return l.advance(batch), nil
}

// advance shows readers what was committed.
func (l *Log) advance(batch []events.Commit) events.Head {
	head := l.frontier.Head()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = head
	for _, c := range batch {
		l.unused.cut(c.ID)
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
			size.bytes += len(r.Record)
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

// put writes a batch and grows the tree by it.
func put(tx *bbolt.Tx, tree *events.Frontier, batch []events.Commit, size extent) error {
	log, text, task := dense(tx, bucketLog), dense(tx, bucketText), dense(tx, bucketTask)
	rows := make([]byte, 0, size.bytes+(2*size.records+64)*tlog.HashSize) // bbolt points into it until the commit
	var completed [64]tlog.Hash
	var key [8]byte // bbolt copies keys
	for _, c := range batch {
		if err := putCommand(tx, c, tree.Size()+1); err != nil {
			return err
		}
		for _, r := range c.Records {
			row := len(rows)
			for _, h := range tree.Append(events.LeafHash(r.Record), completed[:0]) {
				rows = append(rows, h[:]...)
			}
			rows = append(rows, r.Record...)
			binary.BigEndian.PutUint64(key[:], tree.Size())
			if err := log.Put(key[:], rows[row:]); err != nil {
				return err
			}
			if len(r.Text) > 0 {
				if err := text.Put(key[:], r.Text); err != nil {
					return err
				}
			}
			if r.Task != 0 {
				if err := task.Put(taskKey(r.Task, tree.Size()), nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// putCommand writes what a command leaves beside its records, the first of
// which will be at position first.
func putCommand(tx *bbolt.Tx, c events.Commit, first uint64) error {
	if err := putOffsets(tx, c.Offsets); err != nil {
		return err
	}
	if len(c.Records) == 0 {
		return nil
	}
	cmd := dense(tx, bucketCmd)
	if old := cmd.Get(c.ID[:]); old != nil {
		return fmt.Errorf("command %s is in the log already", c.ID)
	}
	entry := events.CommandEntry{First: first, Count: len(c.Records), Check: c.Check}
	return cmd.Put(c.ID[:], encodeCommand(c.ID[:], entry))
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
// and text keys only grow, so nothing is ever put into a page left behind. task grows at the end of each task. Command ids begin with the time,
// except those that are hashes of foreign keys and fall anywhere.
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
