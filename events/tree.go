package events

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// The Merkle tree is that of RFC 6962 over the records' bytes: leaf n is the
// record at position n+1. Its inner hashes are stored in the dense order of
// package tlog, so that any earlier root and any proof can be made from them.

// LeafHash returns the leaf of a record.
func LeafHash(record []byte) tlog.Hash {
	var buf [1024]byte // hashing in one go takes little more than half the time
	if len(record) >= len(buf) {
		return tlog.RecordHash(record)
	}
	n := copy(buf[1:], record)
	return sha256.Sum256(buf[:1+n])
}

// StoredHashes returns how many hashes are stored for a log of size records.
// It is also the index of the first one that the next record adds.
func StoredHashes(size uint64) uint64 { return uint64(tlog.StoredHashCount(int64(size))) }

// Frontier is the right edge of a tree: all that is needed to go on appending
// and to tell the root. The zero value is the empty tree. It holds no pointers,
// so assigning it makes an independent copy.
type Frontier struct {
	size uint64
	// complete[l] is the root of the last complete subtree of 2^l leaves that is
	// not inside a larger one; it counts where bit l of size is set.
	complete [48]tlog.Hash
}

// LoadFrontier rebuilds the frontier of a log of size records from its stored
// hashes. It makes one call of r.
func LoadFrontier(size uint64, r tlog.HashReader) (Frontier, error) {
	f := Frontier{size: size}
	if size >= 1<<len(f.complete) {
		return Frontier{}, fmt.Errorf("a log of %d records is not supported", size)
	}
	var indexes []int64
	for rest := size; rest != 0; { // largest subtree first: ascending indexes
		level := bits.Len64(rest) - 1
		rest &^= 1 << level
		before := size >> level &^ 1 // subtrees of this level to the left of this one
		indexes = append(indexes, tlog.StoredHashIndex(level, int64(before)))
	}
	hashes, err := r.ReadHashes(indexes)
	if err != nil {
		return Frontier{}, err
	}
	if len(hashes) != len(indexes) {
		return Frontier{}, fmt.Errorf("got %d tree hashes, want %d", len(hashes), len(indexes))
	}
	for rest, i := size, 0; rest != 0; i++ {
		level := bits.Len64(rest) - 1
		rest &^= 1 << level
		f.complete[level] = hashes[i]
	}
	return f, nil
}

// Size returns the number of records.
func (f *Frontier) Size() uint64 { return f.size }

// Append adds a leaf and appends to stored what is to be stored for it: the
// leaf and each subtree it completes, for the indexes from StoredHashes(size
// before) on. It costs one hash on average.
func (f *Frontier) Append(leaf tlog.Hash, stored []tlog.Hash) []tlog.Hash {
	stored = append(stored, leaf)
	level := 0
	for ; f.size>>level&1 == 1; level++ {
		leaf = tlog.NodeHash(f.complete[level], leaf)
		stored = append(stored, leaf)
	}
	f.complete[level] = leaf
	f.size++
	return stored
}

// Root returns the root of the tree; of the empty one, the SHA-256 of nothing.
func (f *Frontier) Root() Digest {
	if f.size == 0 {
		return DigestOf(nil)
	}
	level := bits.TrailingZeros64(f.size)
	root := f.complete[level]
	for rest := f.size &^ (1 << level); rest != 0; rest &= rest - 1 {
		root = tlog.NodeHash(f.complete[bits.TrailingZeros64(rest)], root)
	}
	return Digest(root)
}

// Head returns the size and root together.
func (f *Frontier) Head() Head { return Head{Seq: f.size, Root: f.Root()} }

// RootAt returns the root that the log had at an earlier size.
func RootAt(size uint64, r tlog.HashReader) (Digest, error) {
	root, err := tlog.TreeHash(int64(size), r)
	return Digest(root), err
}

// ProveRecord proves that the record at position seq is in the log at head size.
func ProveRecord(size, seq uint64, r tlog.HashReader) (tlog.RecordProof, error) {
	return tlog.ProveRecord(int64(size), int64(seq)-1, r)
}

// CheckRecord checks such a proof for the record's bytes.
func CheckRecord(p tlog.RecordProof, head Head, seq uint64, record []byte) error {
	err := tlog.CheckRecord(p, int64(head.Seq), tlog.Hash(head.Root), int64(seq)-1, LeafHash(record))
	if err != nil {
		return fmt.Errorf("%w: record %d in a log of %d: %w", ErrDamaged, seq, head.Seq, err)
	}
	return nil
}

// ProveGrowth proves that the log at size to only appended to the log at size from.
func ProveGrowth(to, from uint64, r tlog.HashReader) (tlog.TreeProof, error) {
	return tlog.ProveTree(int64(to), int64(from), r)
}

// CheckGrowth checks such a proof.
func CheckGrowth(p tlog.TreeProof, to, from Head) error {
	err := tlog.CheckTree(p, int64(to.Seq), tlog.Hash(to.Root), int64(from.Seq), tlog.Hash(from.Root))
	if err != nil {
		return fmt.Errorf("%w: growth from %d to %d: %w", ErrDamaged, from.Seq, to.Seq, err)
	}
	return nil
}
