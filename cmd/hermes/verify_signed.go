package main

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"

	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/audit"
)

// signedHeads are the checkpoints of a board. Where a person accepted the
// board with a history other than the signed one, a new era begins, and what
// was signed before need not hold any more.
type signedHeads struct {
	eras     []era
	key      ed25519.PublicKey
	text     string                          // the key, as signed notes write it
	named    string                          // the key that the first event names; "" = none
	accepted map[uint64]events.BoardAccepted // as the log says, by position
	at       map[uint64][]int                // the eras that have a checkpoint of this size
}

// era is the checkpoints from one acceptance to the next.
type era struct {
	start uint64 // size at the acceptance it begins with; 0 = the first
	heads map[uint64]signedHead
	bad   []error // lines that do not hold
	off   []events.Head
}

type signedHead struct {
	head events.Head
	note string
}

// newSigned returns no checkpoints: one era that has just begun.
func newSigned() *signedHeads {
	return &signedHeads{eras: []era{{heads: map[uint64]signedHead{}}}, accepted: map[uint64]events.BoardAccepted{}}
}

// loadSigned reads the anchor log of a board.
func loadSigned(home *registry.Home, board events.BoardID) (*signedHeads, error) {
	s := newSigned()
	var err error
	if s.text, err = home.VerifierKey(board); err != nil {
		return nil, err
	}
	if _, s.key, err = audit.ParseKey(s.text); err != nil {
		return nil, err
	}
	for c, err := range home.Checkpoints(board) {
		s.add(c, err)
	}
	s.index()
	return s, nil
}

func (s *signedHeads) index() {
	s.at = make(map[uint64][]int)
	for i, e := range s.eras {
		for size := range e.heads {
			s.at[size] = append(s.at[size], i)
		}
	}
}

func (s *signedHeads) add(c registry.Checkpoint, err error) {
	if err == nil && c.Reset {
		s.eras = append(s.eras, era{start: c.Head.Seq, heads: map[uint64]signedHead{}})
	}
	now := &s.eras[len(s.eras)-1]
	if err != nil {
		now.bad = append(now.bad, err)
		return
	}
	if before, ok := now.heads[c.Head.Seq]; ok && before.head != c.Head {
		now.bad = append(now.bad, fmt.Errorf("position %d was signed with two roots", c.Head.Seq))
	}
	now.heads[c.Head.Seq] = signedHead{c.Head, c.Note}
}

// current are the checkpoints of the present era, as the second verifier takes them.
func (s *signedHeads) current() []audit.Checkpoint {
	var list []audit.Checkpoint
	heads := s.eras[len(s.eras)-1].heads
	for _, size := range slices.Sorted(maps.Keys(heads)) {
		list = append(list, audit.Checkpoint{Note: []byte(heads[size].note), Key: s.key})
	}
	return list
}

// compare holds the tree against what was signed at its size.
func (s *signedHeads) compare(a *auditor, head events.Head) {
	for _, i := range s.at[head.Seq] {
		e := &s.eras[i]
		if e.heads[head.Seq].head != head {
			e.off = append(e.off, head)
			continue
		}
		a.Checkpoints++
		a.Signed = head.Seq
	}
}

// close judges what did not hold: the present era must, a former one as far as
// its end was not accepted as broken.
func (s *signedHeads) close(a *auditor) {
	if s.named != "" && s.named != s.text && !s.replacedKey() {
		a.problem(1, "the board names the key %s, its checkpoints are signed with %s", s.named, s.text)
	}
	for i := range s.eras {
		e := &s.eras[i]
		excused := func(uint64) bool { return false }
		if i+1 < len(s.eras) {
			excused = s.excused(a, s.eras[i+1].start)
		}
		for _, head := range e.off {
			if !excused(head.Seq) {
				a.problem(head.Seq, "the log up to here has root %s, signed was %s", head.Root, e.heads[head.Seq].head.Root)
			}
		}
		for _, size := range slices.Sorted(maps.Keys(e.heads)) {
			if size > a.head.Seq && !excused(size) {
				a.problem(0, "the log ends at %d, a checkpoint was signed at %d", a.head.Seq, size)
			}
		}
		for _, err := range e.bad {
			if !excused(0) {
				a.problem(0, "%v", err)
			}
		}
	}
}

// replacedKey reports whether a person accepted the board without the key it
// was made with.
func (s *signedHeads) replacedKey() bool {
	for _, a := range s.accepted {
		switch registry.Problem(a.Problem) {
		case registry.KeyMissing, registry.AnchorMissing, registry.AnchorDamaged:
			return true
		}
	}
	return false
}

// excused says which sizes need not hold that were signed before the
// acceptance at a position; 0 stands for lines that cannot be read.
func (s *signedHeads) excused(a *auditor, at uint64) func(size uint64) bool {
	accepted, ok := s.accepted[at]
	if !ok {
		a.problem(at, "checkpoints begin anew here, but nobody accepted the board")
		return func(uint64) bool { return false }
	}
	if accepted.Problem == string(registry.RolledBack) {
		return func(size uint64) bool { return size >= at }
	}
	return func(uint64) bool { return true }
}

// lastCheckpoint returns the newest signed checkpoint of a board.
func lastCheckpoint(home *registry.Home, board events.BoardID) (last registry.Checkpoint, ok bool) {
	for c, err := range home.Checkpoints(board) {
		if err == nil {
			last, ok = c, true
		}
	}
	return last, ok
}
