package boltlog

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/events"
)

// Problem is something wrong with a file.
type Problem struct {
	Seq  uint64 // the record it is about; 0 = none in particular
	What string
	Err  error // why the check could not be done or finished; nil otherwise
}

// String returns "record 7: …".
func (p Problem) String() string {
	if p.Seq == 0 {
		return p.What
	}
	return fmt.Sprintf("record %d: %s", p.Seq, p.What)
}

// maxProblems ends a check: a file with so many is lost anyway.
const maxProblems = 1000

// Verify checks everything in a file that nobody has open for writing: its
// pages, each record, text and hash, and that all else follows from the
// records. It writes nothing. What it cannot find out it reports as a
// problem, so no problem means all is well. It cannot notice that a valid end
// of the log is missing: for that, compare [Log.RootAt] with a head kept elsewhere.
//
// The pages are checked before the file is mapped. Still, run it in a process
// of its own if others depend on this one.
func Verify(ctx context.Context, path string) iter.Seq[Problem] {
	return func(yield func(Problem) bool) {
		pages, err := verifyPages(path)
		for _, what := range pages {
			if !yield(Problem{What: what}) {
				return
			}
		}
		if len(pages) > 0 {
			yield(Problem{What: "records not checked: the pages they are on cannot be trusted"})
			return
		}
		var l *Log
		if err == nil {
			l, err = Open(path, &Options{ReadOnly: true})
		}
		if err != nil {
			yield(Problem{What: err.Error(), Err: err})
			return
		}
		defer l.Close()
		v := newVerifier(l)
		v.still = true
		v.steps = append(v.steps, v.pages)
		v.run(ctx, yield)
	}
}

// verifyPages checks the pages of a file while nobody can write to it.
func verifyPages(path string) (found []string, err error) {
	f, err := openChecked(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lockShared(f, DefaultTimeout); err != nil {
		return nil, fmt.Errorf("verify %s: %w", path, err)
	}
	return walkPages(f)
}

// lockShared takes the lock that bbolt takes to read a file.
func lockShared(f *os.File, timeout time.Duration) error {
	for end := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return err
		}
		if time.Now().After(end) {
			return ErrLocked
		}
	}
}

// Verify checks an open log up to its head, without bbolt's pages. It reads
// in slices and disturbs nobody.
func (l *Log) Verify(ctx context.Context) iter.Seq[Problem] {
	return func(yield func(Problem) bool) { newVerifier(l).run(ctx, yield) }
}

// verifier goes through a log in steps. Each step is called in one read
// transaction after another until it reports that it is done.
type verifier struct {
	l     *Log
	head  events.Head
	still bool   // nobody can append: nothing may lie beyond head
	after uint64 // the records after this one are not indexed yet
	steps []func(*bbolt.Tx) (done bool)
	found []Problem

	tree    events.Frontier
	decoder events.Decoder
	command events.CommandID // of the records last seen
	entry   events.CommandEntry

	commands, tasks uint64 // that are indexed, as the records say
	counted         uint64 // by the present counting step
	next            []byte // key to go on with
}

func newVerifier(l *Log) *verifier {
	v := &verifier{l: l}
	l.mu.RLock()
	v.head, v.after = l.head, l.tail.after
	l.mu.RUnlock()
	room := make([]uint64, 0, 64)
	v.steps = []func(*bbolt.Tx) bool{
		v.layout,
		v.records,
		v.count(bucketLog, v.head.Seq, &v.head.Seq, func(k, _ []byte) []uint64 { seq, _ := parseSeq(k); return []uint64{seq} }),
		v.count(bucketTask, v.after, &v.tasks, func(k, val []byte) []uint64 { return counted(entryOf(k, val, room)) }),
		v.count(bucketCmd, v.after, &v.commands, func(k, val []byte) []uint64 { c, _ := decodeCommand(k, val); return []uint64{c.First} }),
	}
	return v
}

func (v *verifier) report(seq uint64, format string, args ...any) {
	v.found = append(v.found, Problem{Seq: seq, What: fmt.Sprintf(format, args...)})
}

func (v *verifier) run(ctx context.Context, yield func(Problem) bool) {
	total := 0
	for _, step := range v.steps {
		for done := false; !done; {
			err := ctx.Err()
			if err == nil {
				err = v.l.view(func(tx *bbolt.Tx) error {
					done = step(tx)
					return nil
				})
			}
			if err != nil {
				v.found = append(v.found, Problem{What: fmt.Sprintf("check not finished: %v", err), Err: err})
			}
			for _, p := range v.found {
				if !yield(p) {
					return
				}
			}
			if total += len(v.found); total >= maxProblems {
				yield(Problem{What: "check not finished: too many problems"})
				return
			}
			if err != nil {
				return
			}
			v.found = v.found[:0]
		}
	}
}

// layout checks which buckets there are, and those without a step of their own.
func (v *verifier) layout(tx *bbolt.Tx) bool {
	known := map[string]bool{}
	for _, b := range buckets {
		known[string(b)] = true
	}
	tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if !known[string(name)] {
			v.report(0, "there is an unknown bucket %q", name)
		}
		return nil
	})
	if _, err := loadMeta(tx); err != nil {
		v.report(0, "%v", err)
	}
	tx.Bucket(bucketMeta).ForEach(func(k, _ []byte) error {
		if !bytes.Equal(k, keyBoard) && !bytes.Equal(k, keyOffsets) && !bytes.Equal(k, keyIndexed) {
			v.report(0, "meta has an unknown key %q", k)
		}
		return nil
	})
	if _, err := loadOffsets(tx); err != nil {
		v.report(0, "%v", err)
	}
	return true
}

// records checks records in order, and what hangs on each.
func (v *verifier) records(tx *bbolt.Tx) (done bool) {
	s := newSlice(0)
	c := tx.Bucket(bucketLog).Cursor()
	k, value := c.Seek(seqKey(v.tree.Size() + 1))
	for seq := v.tree.Size() + 1; seq <= v.head.Seq; seq++ {
		if got, ok := parseSeq(k); !ok || got != seq {
			v.report(seq, "missing; the rest of the log was not checked")
			return true
		}
		r, ok := parseRow(seq, value)
		if !ok {
			v.report(seq, "its row of %d bytes is damaged; the rest of the log was not checked", len(value))
			return true
		}
		v.hashes(seq, r.hashes, r.record)
		v.record(tx, seq, r)
		if s.full(len(value)) {
			return false
		}
		k, value = c.Next()
	}
	v.endCommand(tx)
	if root := v.tree.Root(); root != v.head.Root {
		v.report(0, "the root of the records is %s, the stored hashes give %s", root, v.head.Root)
	}
	return true
}

// hashes compares the stored hashes of one record with those that follow. The
// tree goes on with the stored leaf, so that one bad record is one problem.
func (v *verifier) hashes(seq uint64, stored, record []byte) {
	var buf [64]tlog.Hash
	leaf := tlog.Hash(stored[:tlog.HashSize])
	if leaf != events.LeafHash(record) {
		v.report(seq, "does not match its stored hash")
	}
	for level, want := range v.tree.Append(leaf, buf[:0]) {
		if tlog.Hash(stored[level*tlog.HashSize:][:tlog.HashSize]) != want {
			v.report(seq, "the stored hash of level %d does not follow from those below it", level)
		}
	}
}

// record checks one record's form, text and indexes.
func (v *verifier) record(tx *bbolt.Tx, seq uint64, stored row) {
	r, err := v.decoder.Decode(stored.record)
	if err == nil {
		err = events.CheckCanonical(stored.record)
	}
	if err != nil {
		v.report(seq, "%v", err)
		return
	}
	if r.Seq != seq {
		v.report(seq, "says that it is record %d", r.Seq)
	}
	if err := checkText(r, stored.text); err != nil {
		v.report(seq, "%v", err)
	}
	if r.Task != 0 && seq <= v.after {
		v.tasks++
		if !isPosted(tx, r.Task, seq) {
			v.report(seq, "is not in the index of task %s", r.Task)
		}
	}
	if r.Cmd != v.command {
		v.endCommand(tx)
		v.command, v.entry = r.Cmd, events.CommandEntry{First: seq, Check: stored.check}
	}
	v.entry.Count++
	if stored.check != v.entry.Check {
		v.report(seq, "its check is not that of the command it is part of")
	}
}

// checkText holds what is stored as a record's text against what the record says.
func checkText(r events.Record, stored []byte) error {
	named := r.Text != events.Digest{}
	switch {
	case !named && stored == nil, named && isErased(stored, r.Seq):
		return nil
	case stored == nil:
		return damaged("the text is missing, and was not erased")
	}
	if got := events.DigestOf(stored); got != r.Text {
		return damaged("the text hashes to %s, the record says %s", got, r.Text)
	}
	return events.CheckCanonicalText(stored)
}

// endCommand compares the index entry of the command whose records have just ended.
func (v *verifier) endCommand(tx *bbolt.Tx) {
	if v.entry.Count == 0 || v.entry.First > v.after {
		return
	}
	v.commands++
	got, ok := decodeCommand(v.command[:], tx.Bucket(bucketCmd).Get(v.command[:]))
	if !ok || got.First != v.entry.First || got.Count != v.entry.Count {
		v.report(v.entry.First, "the index does not say that command %s has records %d to %d", v.command, v.entry.First, v.entry.First+uint64(v.entry.Count)-1)
	}
}

// count returns a step that counts what a bucket says and reports if it is not
// as much as it should be: the records have vouched for so much, the rest is
// stray. of tells which records an entry is about; what an open log says of
// those beyond end was written meanwhile.
func (v *verifier) count(name []byte, end uint64, want *uint64, of func(k, val []byte) []uint64) func(*bbolt.Tx) bool {
	return func(tx *bbolt.Tx) (done bool) {
		s := newSlice(0)
		c := tx.Bucket(name).Cursor()
		k, val := c.Seek(v.next)
		for ; k != nil; k, val = c.Next() {
			for _, seq := range of(k, val) {
				if v.still || seq <= end {
					v.counted++
				}
			}
			if s.full(0) {
				v.next = append(bytes.Clone(k), 0) // the least key after k
				return false
			}
		}
		if n := *want; v.counted != n {
			v.report(0, "bucket %s has %d entries, %d follow from the records", name, v.counted, n)
		}
		v.counted, v.next = 0, nil
		return true
	}
}

// pages is bbolt's own check of the page structure, after ours has passed.
func (v *verifier) pages(tx *bbolt.Tx) bool {
	for err := range tx.Check() {
		if len(v.found) < maxProblems {
			v.report(0, "pages: %v", err)
		}
	}
	return true
}
