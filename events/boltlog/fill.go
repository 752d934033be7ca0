package boltlog

import "go.etcd.io/bbolt"

// How much of a file is filled at a time: an eighth of what it has. One step
// costs a wait for the file system's journal, however long it is.
const (
	minFill = 256 << 10
	maxFill = 1 << 20
)

var zeros [maxFill]byte

// fill writes zeros over the pages that the commits to come will use first.
// bbolt makes a file longer without writing to it. A page that is written into
// such a hole has fdatasync wait for the file system's journal, which takes as
// long as the page itself, and much longer beside others who write.
//
// This only helps: where it fails, the pages are written into the hole. The
// caller holds l.writing; need is about what the present commit will write.
func (l *Log) fill(tx *bbolt.Tx, need int) {
	end := tx.Size() // nothing beyond is in use
	l.filled = max(l.filled, end)
	if !l.opts.LongLived || l.filled >= end+int64(need) {
		return
	}
	info, err := l.file.Stat()
	if err != nil || info.Size() <= l.filled {
		return
	}
	n, _ := l.file.WriteAt(zeros[:min(max(minFill, min(maxFill, end/8)), info.Size()-l.filled)], l.filled)
	l.filled += int64(n)
}
