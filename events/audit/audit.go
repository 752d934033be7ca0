package audit

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
)

// Problem is one thing that is wrong. Seq is the position where the record
// lies, counted from 1; 0 means the log as a whole.
type Problem struct {
	Seq  uint64
	What string
}

// String returns "record 7: …".
func (p Problem) String() string {
	if p.Seq == 0 {
		return "log: " + p.What
	}
	return fmt.Sprintf("record %d: %s", p.Seq, p.What)
}

// Checkpoint is a signed note that was kept outside the board, and the key
// that must have signed it. See [ParseKey].
type Checkpoint struct {
	Note []byte
	Key  ed25519.PublicKey
}

// Report is the outcome of a check. The log is sound if Problems is empty.
type Report struct {
	Size     uint64   // records read
	Root     [32]byte // of the Merkle tree over them
	Erased   int      // records whose text is gone
	Problems []Problem
	Omitted  int // problems beyond the first 1,000
}

const maxProblems = 1000

// Check reads a whole log: for each record its bytes and those of its text,
// nil where there is none or it was erased. It keeps nothing of either.
func Check(log iter.Seq2[[]byte, []byte], checkpoints ...Checkpoint) Report {
	c := checker{}
	c.open(checkpoints)
	c.passed() // a checkpoint may be of the empty log
	for record, text := range log {
		c.entry(record, text)
	}
	c.close()
	return c.report
}

type checker struct {
	report  Report
	tree    tree
	pending []claim // checkpoints not yet reached, smallest first
}

func (c *checker) problem(seq uint64, format string, args ...any) {
	if len(c.report.Problems) == maxProblems {
		c.report.Omitted++
		return
	}
	c.report.Problems = append(c.report.Problems, Problem{seq, fmt.Sprintf(format, args...)})
}

// open reads the checkpoints; one that cannot be trusted is itself a problem.
func (c *checker) open(checkpoints []Checkpoint) {
	for i, cp := range checkpoints {
		claim, err := openNote(cp.Note, cp.Key)
		if err != nil {
			c.problem(0, "checkpoint %d of those given: %v", i+1, err)
			continue
		}
		c.pending = append(c.pending, claim)
	}
	slices.SortStableFunc(c.pending, func(a, b claim) int { return cmp.Compare(a.size, b.size) })
}

func (c *checker) entry(record, text []byte) {
	c.tree.add(record)
	c.report.Size++
	seq := c.report.Size
	r, problems := readRecord(record)
	for _, p := range problems {
		c.problem(seq, "%s", p)
	}
	if r.seq != seq {
		c.problem(seq, "says it is record %d", r.seq)
	}
	if r.cause >= seq {
		c.problem(seq, "is caused by record %d", r.cause)
	}
	if seq == 1 {
		c.first(r)
	}
	c.text(seq, r.text, text)
	c.passed()
}

// first checks that the log begins as a board's, and as the one that the
// checkpoints speak of.
func (c *checker) first(r record) {
	if r.typ != "board.created" {
		c.problem(1, "is %q, but a log begins with board.created", r.typ)
	}
	for _, claim := range c.pending {
		if origin := originPrefix + r.board; claim.origin != origin {
			c.problem(1, "belongs to %s, the checkpoint at %d to %s", origin, claim.size, claim.origin)
		}
	}
}

func (c *checker) text(seq uint64, digest string, text []byte) {
	switch {
	case text == nil && digest != "":
		c.report.Erased++
	case text == nil:
	case digest == "":
		c.problem(seq, "has a text that it does not name")
	default:
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != digest {
			c.problem(seq, "its text was changed: it hashes to %x, not to %s", sum, digest)
		}
		for _, p := range readText(text) {
			c.problem(seq, "text: %s", p)
		}
	}
}

// passed compares the tree with the checkpoints of just this size.
func (c *checker) passed() {
	for len(c.pending) > 0 && c.pending[0].size == c.report.Size {
		if root := c.tree.root(); root != c.pending[0].root {
			c.problem(c.report.Size, "the log up to here has root %x, but was signed with %x", root, c.pending[0].root)
		}
		c.pending = c.pending[1:]
	}
}

func (c *checker) close() {
	for _, claim := range c.pending {
		c.problem(0, "ends at record %d, but was signed with %d records", c.report.Size, claim.size)
	}
	c.report.Root = c.tree.root()
}
