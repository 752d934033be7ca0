package boltlog

import (
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/hermesboard/hermes/events"
)

// hashReader reads stored hashes within a transaction.
func hashReader(tx *bbolt.Tx) tlog.HashReader {
	log := tx.Bucket(bucketLog)
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			h, ok := getHash(log, uint64(index))
			if !ok {
				return nil, damaged("hash %d of the tree is missing", index)
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}

// getHash reads a hash by its index: it stands with the record that completed
// it, at its level.
func getHash(log *bbolt.Bucket, index uint64) (h tlog.Hash, ok bool) {
	level, n := tlog.SplitStoredHashIndex(int64(index))
	seq := uint64(n+1) << level
	r, ok := parseRow(seq, log.Get(seqKey(seq)))
	if !ok {
		return h, false
	}
	copy(h[:], r.hashes[level*tlog.HashSize:])
	return h, true
}

// loadFrontier reads the frontier at the end of the log and checks that its
// last record is the one that was hashed.
func loadFrontier(tx *bbolt.Tx) (f events.Frontier, err error) {
	n, value, err := lastRow(tx)
	if err != nil {
		return f, err
	}
	if f, err = events.LoadFrontier(n, hashReader(tx)); err != nil || n == 0 {
		return f, err
	}
	r, ok := parseRow(n, value)
	if !ok || tlog.Hash(r.hashes[:tlog.HashSize]) != events.LeafHash(r.record) {
		return f, damaged("record %d does not match its hash", n)
	}
	return f, nil
}

// maxRecords bounds what is taken for a position.
const maxRecords = 1<<48 - 1

// lastRow returns the end of the log; seq is 0 if it is empty.
func lastRow(tx *bbolt.Tx) (seq uint64, value []byte, err error) {
	k, v := tx.Bucket(bucketLog).Cursor().Last()
	if k == nil {
		return 0, nil, nil
	}
	seq, ok := parseSeq(k)
	if !ok || seq == 0 || seq > maxRecords {
		return 0, nil, damaged("the last key of the log is %x", k)
	}
	return seq, v, nil
}

// RootAt returns the Merkle root of the first size records, to be compared
// with a head that was kept elsewhere.
func (l *Log) RootAt(size uint64) (root events.Digest, err error) {
	if head := l.Head(); size > head.Seq {
		return root, fmt.Errorf("root at %d: the log has only %d records", size, head.Seq)
	}
	err = l.view(func(tx *bbolt.Tx) error {
		root, err = events.RootAt(size, hashReader(tx))
		return err
	})
	return root, err
}

// ReadHashes implements [tlog.HashReader] for making proofs.
func (l *Log) ReadHashes(indexes []int64) (hashes []tlog.Hash, err error) {
	end := events.StoredHashes(l.Head().Seq)
	for _, i := range indexes {
		if i < 0 || uint64(i) >= end {
			return nil, fmt.Errorf("hash %d of the tree: there are only %d", i, end)
		}
	}
	err = l.view(func(tx *bbolt.Tx) error {
		hashes, err = hashReader(tx).ReadHashes(indexes)
		return err
	})
	return hashes, err
}
