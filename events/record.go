package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Limits of the format. The record limit leaves room under the uint16 length
// prefix of C2SP tlog-tiles entries.
const (
	MaxRecordBytes    = 60 << 10
	MaxTextBytes      = 256 << 10
	MaxCommandRecords = 1000
	MaxCommandTasks   = 256
)

// Record is one event of a board's log, decoded. The bytes that count are the
// stored ones; a Record is how programs look at them.
type Record struct {
	Seq    uint64    // dense from 1
	ID     ULID      // names the event outside this board
	Time   Time      // when it was decided
	Task   TaskID    // what it is about, if a task
	Run    RunID     // and which attempt
	Tenant string    // the task's tenant at that time
	Actor  Actor     // who caused it, as the door established it
	Cmd    CommandID // the command it is part of
	Cause  uint64    // seq of the event that led to this one; 0 = none
	Data   Payload   // what happened; fixes type and version
	Text   Digest    // SHA-256 of the record's text; zero = no text
}

// Actor is who did something.
type Actor struct {
	Kind ActorKind `json:"kind"`
	Name string    `json:"name,omitzero"`
	Via  string    `json:"via,omitzero"`
}

// String returns "kai via telegram".
func (a Actor) String() string {
	s := a.Name
	if s == "" {
		s = a.Kind.String()
	}
	if a.Via != "" {
		s += " via " + a.Via
	}
	return s
}

// Digest is a SHA-256, written as 64 hexadecimal digits. Zero means none.
type Digest [sha256.Size]byte

// DigestOf hashes b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// String returns the hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads 64 lower-case hexadecimal digits.
func ParseDigest(s string) (d Digest, err error) {
	err = d.UnmarshalText([]byte(s))
	return d, err
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	if !lowerHex(d[:], b) {
		return fmt.Errorf("%q is not a digest (want 64 lower-case hexadecimal digits)", b)
	}
	return nil
}

// Draft is an event that a rule has decided on and the writer has still to
// stamp with position, id, time, actor and command.
type Draft struct {
	Task   TaskID
	Run    RunID
	Tenant string
	Cause  uint64 // seq of an earlier event; 0 = none
	After  int    // 1-based index of the draft of the same command that caused this one; wins over Cause
	Data   Payload
	Text   *Fields // nil = no text
}
