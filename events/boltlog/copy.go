package boltlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"

	"github.com/hermesboard/hermes/events"
)

// CopyForward writes the log at src to a new file dst: records, texts, checks
// of commands, meta and offsets; hashes and indexes are made anew. The
// result is on disk and its root is that of src, or it is removed. Pages freed
// in src, and what they still hold, stay behind. Use it after an error of
// fsync, when the kernel may show bytes that are not on disk, and to end an
// erasure. Nobody may have src open for writing.
func CopyForward(ctx context.Context, src, dst string) (head events.Head, err error) {
	from, err := Open(src, &Options{ReadOnly: true})
	if err != nil {
		return head, fmt.Errorf("copy forward: %w", err)
	}
	defer from.Close()
	to, err := Create(dst, from.meta, nil)
	if err != nil {
		return head, fmt.Errorf("copy forward: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(dst)
			err = fmt.Errorf("copy %s forward: %w", src, err)
		}
	}()
	c := copier{from: from, to: to}
	err = errors.Join(c.run(ctx), to.Close())
	if err == nil && to.Head() != from.Head() {
		err = damaged("records do not give the root that is stored for them")
	}
	return to.Head(), err
}

// copier gathers records into commands and commands into batches.
type copier struct {
	from, to *Log
	decoder  events.Decoder
	batch    []events.Commit
	size     slice
}

func (c *copier) run(ctx context.Context) error {
	c.size = *newSlice(0)
	for next := uint64(1); ; {
		entries, err := c.from.Read(ctx, next, 0, true)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		if err := c.checkLeaves(entries); err != nil {
			return err
		}
		for _, e := range entries {
			if err := c.add(ctx, e); err != nil {
				return err
			}
		}
		next += uint64(len(entries))
	}
	var offsets []events.Offset
	for subscriber, seq := range c.from.offsets {
		offsets = append(offsets, events.Offset{Subscriber: subscriber, Seq: seq})
	}
	c.batch = append(c.batch, events.Commit{Offsets: offsets})
	return c.flush(ctx)
}

// checkLeaves tells which record is wrong, where the root would only tell that one is.
func (c *copier) checkLeaves(entries []events.Entry) error {
	indexes := make([]int64, len(entries))
	for i, e := range entries {
		indexes[i] = int64(events.StoredHashes(e.Seq - 1))
	}
	leaves, err := c.from.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if leaves[i] != events.LeafHash(e.Record) {
			return damaged("record %d does not match its stored hash", e.Seq)
		}
	}
	return nil
}

func (c *copier) add(ctx context.Context, e events.Entry) error {
	r, err := c.decoder.Decode(e.Record)
	if err != nil {
		return fmt.Errorf("record %d: %w", e.Seq, err)
	}
	if e.Text == nil && r.Text != (events.Digest{}) {
		if e.Text, err = c.erased(e.Seq); err != nil {
			return err
		}
	}
	if err := checkText(r, e.Text); err != nil {
		return fmt.Errorf("record %d: %w", e.Seq, err)
	}
	if n := len(c.batch); n == 0 || c.batch[n-1].ID != r.Cmd {
		if c.size.entries >= c.size.max || c.size.bytes >= sliceBytes {
			if err := c.flush(ctx); err != nil {
				return err
			}
		}
		entry, _, err := c.from.Command(r.Cmd)
		if err != nil {
			return fmt.Errorf("record %d: %w", e.Seq, err)
		}
		c.batch = append(c.batch, events.Commit{ID: r.Cmd, Check: entry.Check})
	}
	last := &c.batch[len(c.batch)-1]
	last.Records = append(last.Records, events.Encoded{Task: r.Task, Record: e.Record, Text: e.Text})
	c.size.full(len(e.Record) + len(e.Text))
	return nil
}

// erased returns the tombstone that is stored in place of a text, nil if there is none.
func (c *copier) erased(seq uint64) (stored []byte, err error) {
	err = c.from.view(func(tx *bbolt.Tx) error {
		r, _ := parseRow(seq, tx.Bucket(bucketLog).Get(seqKey(seq)))
		stored = bytes.Clone(r.text)
		return nil
	})
	return stored, err
}

func (c *copier) flush(ctx context.Context) error {
	_, err := c.to.Append(ctx, c.to.Head().Seq, c.batch)
	c.batch, c.size = nil, *newSlice(0)
	return err
}

// EraseText puts a tombstone in place of a record's text, which then reads as
// nil; the record and all proofs stay as they are. Freed pages still hold the
// text until the log is copied forward.
func (l *Log) EraseText(ctx context.Context, seq uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := errors.Join(l.alive(), ctx.Err()); err != nil {
		return err
	}
	err := l.commit(func(tx *bbolt.Tx) error {
		log := dense(tx, bucketLog)
		value := log.Get(seqKey(seq))
		r, ok := parseRow(seq, value)
		if !ok || r.text == nil {
			return errors.New("there is no text")
		}
		rest := bytes.Clone(value[:len(value)-len(r.text)])
		return log.Put(seqKey(seq), append(rest, tombstone(seq)...))
	})
	if err != nil {
		return fmt.Errorf("erase the text of record %d: %w", seq, err)
	}
	return nil
}

// RebuildIndexes makes cmd and task anew from the records, in one commit.
func (l *Log) RebuildIndexes(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.alive(); err != nil {
		return err
	}
	err := l.commit(func(tx *bbolt.Tx) error { return rebuild(ctx, tx, l.frontier.Size()) })
	if err != nil {
		return fmt.Errorf("rebuild indexes: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail.reset(l.head.Seq)
	l.unused = gap{} // ids may have come back
	return nil
}

func rebuild(ctx context.Context, tx *bbolt.Tx, head uint64) error {
	for _, name := range [][]byte{bucketCmd, bucketTask} {
		err := tx.DeleteBucket(name)
		if err == nil {
			_, err = tx.CreateBucket(name)
		}
		if err != nil {
			return err
		}
	}
	for t, err := range derive(tx, 1) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := t.put(tx); err != nil {
			return err
		}
	}
	return putIndexed(tx, head)
}
