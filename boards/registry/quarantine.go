package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// Problem is a stable code for what is wrong with a board.
type Problem string

// Problems.
const (
	RolledBack    Problem = "rolled_back"    // the log ends before its last checkpoint
	RootMismatch  Problem = "root_mismatch"  // the log has another history than its checkpoints
	Swapped       Problem = "swapped"        // the file is another board's
	Damaged       Problem = "damaged"        // the contents contradict themselves
	Truncated     Problem = "truncated"      // the file is cut off
	Empty         Problem = "empty"          // the file has no bytes
	Missing       Problem = "missing"        // the file or the whole folder is gone
	WrongOwner    Problem = "wrong_owner"    // belongs to another user
	WrongMode     Problem = "wrong_mode"     // others may read or write it
	NotRegular    Problem = "not_regular"    // a link, a folder, a device
	Linked        Problem = "linked"         // the file has a second name
	NotLocal      Problem = "not_local"      // the file system is remote
	Suspect       Problem = "suspect"        // a disk error came before, and the file could not be copied forward
	KeyMissing    Problem = "key_missing"    // the key that signs checkpoints is gone
	AnchorMissing Problem = "anchor_missing" // nothing is known of this board outside its folder
	AnchorDamaged Problem = "anchor_damaged" // the last checkpoint or its key cannot be trusted
	LockMissing   Problem = "lock_missing"   // the lock file is gone
)

// QuarantinedError says that a board was set aside for a person to look at,
// and why. It is also what the file "quarantine" beside the board holds.
type QuarantinedError struct {
	Slug        string         `json:"slug"`
	Board       events.BoardID `json:"board,omitzero"` // zero = not known
	Problem     Problem        `json:"problem"`
	Detail      string         `json:"detail"`
	Anchored    events.Head    `json:"anchored,omitzero"` // last signed checkpoint, if known
	Found       events.Head    `json:"found,omitzero"`    // where the file's log ends, if it could be read
	MissingFrom uint64         `json:"missing_from,omitzero"`
	MissingTo   uint64         `json:"missing_to,omitzero"` // acknowledged, signed for, and gone; 0 = none known
	Hint        string         `json:"hint,omitzero"`
	Since       events.Time    `json:"since,omitzero"` // when it was first seen
}

func (e *QuarantinedError) Error() string {
	s := fmt.Sprintf("board %q is quarantined (%s): %s", e.Slug, e.Problem, e.Detail)
	if e.MissingTo > 0 {
		s += fmt.Sprintf("; events %d–%d were acknowledged and are gone", e.MissingFrom, e.MissingTo)
	}
	return s
}

// flaw is a problem found by one check, not yet told to anyone.
type flaw struct {
	problem Problem
	detail  string
}

func (f *flaw) Error() string { return f.detail }

func flawf(p Problem, format string, args ...any) error {
	return &flaw{p, fmt.Sprintf(format, args...)}
}

// asFlaw turns what a check returned into a flaw, if it speaks about the board
// and not about the attempt.
func asFlaw(err error) (*flaw, bool) {
	var f *flaw
	var refused *boltlog.RefusedError
	switch {
	case errors.As(err, &f):
		return f, true
	case errors.As(err, &refused):
		return &flaw{problemOf(refused.Code), refused.Why}, true
	case errors.Is(err, events.ErrDamaged):
		return &flaw{Damaged, err.Error()}, true
	}
	return nil, false
}

func problemOf(code string) Problem {
	switch code {
	case boltlog.NotRegular:
		return NotRegular
	case boltlog.Linked:
		return Linked
	case boltlog.Owner:
		return WrongOwner
	case boltlog.Mode:
		return WrongMode
	case boltlog.FileSystem:
		return NotLocal
	case boltlog.Empty:
		return Empty
	case boltlog.Short:
		return Truncated
	}
	return Damaged
}

// hint is the way out, as a line to paste where there is one.
func (p Problem) hint(slug string, paths Paths) string {
	switch p {
	case WrongMode:
		return "chmod 600 " + paths.DB
	case WrongOwner:
		return "give the board's files back to the user who runs the program"
	case Linked:
		return "remove the other name of " + paths.DB
	case NotRegular, NotLocal:
		return "put the board's own file at " + paths.DB
	case Damaged, Truncated, Empty, Missing, Suspect:
		return "put its folder back from a backup, or give the board up: hermes board delete " + slug
	}
	return "hermes board accept " + slug + " --reason …"
}

// acceptable reports whether a person's word is enough to go on: the file can
// be opened, and the next check would not stumble over the same thing.
func (p Problem) acceptable() bool {
	switch p {
	case RolledBack, RootMismatch, Swapped, KeyMissing, AnchorMissing, AnchorDamaged, LockMissing:
		return true
	}
	return false
}

const (
	quarantineFile = "quarantine"
	suspectFile    = "suspect"
)

// readQuarantine returns what was written when the board was set aside, nil if
// it was not. What cannot be read counts as damage.
func (h *Home) readQuarantine(slug string) *QuarantinedError {
	if !h.isFolder(slug) {
		return nil
	}
	b, err := h.boards.ReadFile(slug + "/" + quarantineFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var old QuarantinedError
	q := &QuarantinedError{Problem: Damaged, Detail: "the file that says why cannot be read"}
	if err == nil && json.Unmarshal(b, &old) == nil {
		q = &old
	}
	q.Slug = slug
	return q
}

// isFolder reports whether the board has a folder of its own: through a link,
// another board's would be written.
func (h *Home) isFolder(slug string) bool {
	info, err := h.boards.Lstat(slug)
	return err == nil && info.IsDir()
}

// setAside writes the file beside the board, once, and completes q.
func (h *Home) setAside(q *QuarantinedError) error {
	if !h.isFolder(q.Slug) {
		return nil
	}
	if old := h.readQuarantine(q.Slug); old != nil {
		q.Since = old.Since
		return nil
	}
	b, err := json.MarshalIndent(q, "", "\t")
	if err != nil {
		return err
	}
	if err := replaceFile(h.boards, q.Slug+"/"+quarantineFile, append(b, '\n')); err != nil {
		return fmt.Errorf("mark board %s as quarantined: %w", q.Slug, err)
	}
	return nil
}

// letBack removes the file beside the board.
func (h *Home) letBack(slug string) error {
	return removeFile(h.boards, slug+"/"+quarantineFile)
}
