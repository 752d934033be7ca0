package audit

import "crypto/sha256"

// tree is the Merkle tree hash of RFC 6962 section 2.1, computed in one pass.
// It keeps the roots of the complete subtrees that the leaves so far divide
// into, largest first; their sizes are the powers of two that add up to the
// number of leaves.
type tree struct {
	parts []part
}

type part struct {
	leaves uint64
	hash   [32]byte
}

func (t *tree) add(leaf []byte) {
	t.parts = append(t.parts, part{1, sha256.Sum256(append([]byte{0}, leaf...))})
	for n := len(t.parts); n > 1 && t.parts[n-2].leaves == t.parts[n-1].leaves; n-- {
		left, right := t.parts[n-2], t.parts[n-1]
		t.parts = append(t.parts[:n-2], part{left.leaves + right.leaves, node(left.hash, right.hash)})
	}
}

func (t *tree) root() [32]byte {
	n := len(t.parts)
	if n == 0 {
		return sha256.Sum256(nil)
	}
	root := t.parts[n-1].hash
	for i := n - 2; i >= 0; i-- {
		root = node(t.parts[i].hash, root)
	}
	return root
}

func node(left, right [32]byte) [32]byte {
	b := make([]byte, 0, 65)
	b = append(b, 1)
	b = append(b, left[:]...)
	b = append(b, right[:]...)
	return sha256.Sum256(b)
}
