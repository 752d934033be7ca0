package events

import (
	"context"
	"errors"
)

// Errors that every log driver returns, to be tested with errors.Is.
var (
	// ErrConflict: the head moved; nothing was written.
	ErrConflict = errors.New("log head moved")
	// ErrUnknownCommit: the commit may or may not have happened. The handle is
	// dead: close it, reopen, and look the commands up.
	ErrUnknownCommit = errors.New("commit outcome unknown")
	// ErrFull: the file's quota or the disk refused the commit; nothing was written.
	ErrFull = errors.New("board is full")
	// ErrTooLarge: a record or text is over its limit; nothing was written.
	ErrTooLarge = errors.New("record too large")
	// ErrDamaged: stored bytes do not decode or do not hash to what they must.
	ErrDamaged = errors.New("log damaged")
	// ErrClosed: the handle is closed.
	ErrClosed = errors.New("log closed")
)

// Log is what a board needs of a log driver. logtest is the suite every driver
// must pass. Methods are safe for concurrent use, except that Append has one
// caller at a time. Returned bytes are the caller's own copies.
type Log interface {
	// Head returns the position and Merkle root of the last committed record.
	Head() Head
	// Append commits whole commands after position head, all or none, and
	// returns when they are durable. See ErrConflict, ErrFull, ErrTooLarge and
	// ErrUnknownCommit: only the last leaves anything in doubt.
	Append(ctx context.Context, head uint64, batch []Commit) (Head, error)
	// Read returns entries from position from on, at most limit and in bounded
	// slices: fewer than limit does not mean the end, none does. limit ≤ 0 means
	// as many as one slice holds. withText also fetches the texts.
	Read(ctx context.Context, from uint64, limit int, withText bool) ([]Entry, error)
	// ReadTask is Read over the records of one task.
	ReadTask(ctx context.Context, task TaskID, from uint64, limit int, withText bool) ([]Entry, error)
	// Texts returns the stored texts at the given positions, nil where there is none or it was erased.
	Texts(ctx context.Context, seqs []uint64) ([][]byte, error)
	// Command finds a command that was committed.
	Command(id CommandID) (CommandEntry, bool, error)
	// Offset returns how far a subscriber has come; 0 if unknown.
	Offset(subscriber string) (uint64, error)
	// Close releases the log. Further calls return ErrClosed.
	Close() error
}

// Head is where a log ends: Seq records whose Merkle root (RFC 6962) is Root.
type Head struct {
	Seq  uint64 `json:"seq"`
	Root Digest `json:"root"`
}

// Commit is the records of one command. A Commit without records only carries
// offsets.
type Commit struct {
	ID      CommandID
	Check   Check // who sent what, to tell a repeat from a clash
	Records []Encoded
	Offsets []Offset
}

// Check is the first 16 bytes of SHA-256 over a command's actor and content.
type Check [16]byte

// Encoded is a record ready to be stored.
type Encoded struct {
	Task   TaskID
	Record []byte
	Text   []byte // nil = none
}

// Offset is how far a subscriber has come.
type Offset struct {
	Subscriber string
	Seq        uint64
}

// CommandEntry says where the records of a command lie.
type CommandEntry struct {
	First uint64
	Count int
	Check Check
}

// Entry is one stored record and its text, as the bytes that were hashed.
type Entry struct {
	Seq    uint64
	Record []byte
	Text   []byte // nil = none, erased, or not asked for
}
