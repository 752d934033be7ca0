package events

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// memory is a bucket of stored hashes.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = m[x]
	}
	return hashes, nil
}

func testLeaf(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func TestFrontierAgreesWithTlog(t *testing.T) {
	var f Frontier
	var bucket memory
	if got, want := f.Root(), DigestOf(nil); got != want {
		t.Errorf("empty root: got %v, want %v", got, want)
	}
	for n := range uint64(300) {
		if got, want := uint64(len(bucket)), StoredHashes(n); got != want {
			t.Fatalf("size %d: got %d stored hashes, want %d", n, got, want)
		}
		want, err := tlog.StoredHashesForRecordHash(int64(n), LeafHash(testLeaf(n)), bucket)
		if err != nil {
			t.Fatal(err)
		}
		before := len(bucket)
		bucket = f.Append(LeafHash(testLeaf(n)), bucket)
		if got := bucket[before:]; len(got) != len(want) || got[len(got)-1] != want[len(want)-1] {
			t.Fatalf("leaf %d: got stored %v, want %v", n, got, want)
		}
		root, err := RootAt(n+1, bucket)
		if err != nil || f.Root() != root || f.Head() != (Head{n + 1, root}) {
			t.Fatalf("size %d: got root %v, want %v (%v)", n+1, f.Root(), root, err)
		}
		loaded, err := LoadFrontier(n+1, bucket)
		if err != nil || loaded.Root() != root || loaded.Size() != n+1 {
			t.Fatalf("size %d: loaded root %v, want %v (%v)", n+1, loaded.Root(), root, err)
		}
		loaded.Append(LeafHash([]byte("other")), nil)
		if f.Root() != root {
			t.Fatalf("size %d: a copy's append changed the original", n+1)
		}
	}
	for n := range uint64(300) { // a loaded frontier goes on as the original did
		loaded, err := LoadFrontier(n, bucket)
		if err != nil {
			t.Fatal(err)
		}
		for m := n; m < 300; m++ {
			loaded.Append(LeafHash(testLeaf(m)), nil)
		}
		if loaded.Root() != f.Root() {
			t.Fatalf("loaded at %d and grown to 300: got %v, want %v", n, loaded.Root(), f.Root())
		}
	}
}

func TestLoadFrontierRefuses(t *testing.T) {
	lost := errors.New("lost")
	for name, r := range map[string]tlog.HashReaderFunc{
		"an error":        func([]int64) ([]tlog.Hash, error) { return nil, lost },
		"too few hashes":  func([]int64) ([]tlog.Hash, error) { return make([]tlog.Hash, 1), nil },
		"too many hashes": func([]int64) ([]tlog.Hash, error) { return make([]tlog.Hash, 3), nil },
	} {
		if f, err := LoadFrontier(5, r); err == nil {
			t.Errorf("%s: got a frontier of %d, want an error", name, f.Size())
		}
	}
	if _, err := LoadFrontier(1<<48, nil); err == nil {
		t.Error("size 2^48: got no error")
	}
}

func TestProofs(t *testing.T) {
	const size = 70
	var f Frontier
	var bucket memory
	heads := []Head{f.Head()}
	for n := range uint64(size) {
		bucket = f.Append(LeafHash(testLeaf(n)), bucket)
		heads = append(heads, f.Head())
	}
	for to := uint64(1); to <= size; to++ {
		for seq := uint64(1); seq <= to; seq++ {
			p, err := ProveRecord(to, seq, bucket)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckRecord(p, heads[to], seq, testLeaf(seq-1)); err != nil {
				t.Fatal(err)
			}
			if err := CheckRecord(p, heads[to], seq, testLeaf(seq)); !errors.Is(err, ErrDamaged) {
				t.Fatalf("another record: got %v, want ErrDamaged", err)
			}
			g, err := ProveGrowth(to, seq, bucket)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckGrowth(g, heads[to], heads[seq]); err != nil {
				t.Fatal(err)
			}
			forged := heads[seq]
			forged.Root[0] ^= 1
			if err := CheckGrowth(g, heads[to], forged); !errors.Is(err, ErrDamaged) {
				t.Fatalf("another root: got %v, want ErrDamaged", err)
			}
		}
	}
	for _, seq := range []uint64{0, size + 1} {
		if p, err := ProveRecord(size, seq, bucket); err == nil {
			t.Errorf("record %d of %d: got proof %v, want an error", seq, size, p)
		}
	}
}

func BenchmarkFrontierAppend(b *testing.B) {
	encoded, _ := encodeAll(b, benchRecords())
	var f Frontier
	var stored []tlog.Hash
	for i := 0; b.Loop(); i++ {
		stored = f.Append(LeafHash(encoded[i%len(encoded)]), stored[:0])
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
