package boltlog

import (
	"errors"
	"fmt"

	"github.com/hermesboard/hermes/events"
)

// ErrLocked: another process has the file open. It says nothing about the file.
var ErrLocked = errors.New("board file is in use")

// Codes of a [RefusedError].
const (
	NotRegular = "not_regular" // a symbolic link, a folder, a device
	Linked     = "linked"      // the file has a second name
	Owner      = "owner"       // belongs to another user
	Mode       = "mode"        // permissions are not 0600
	FileSystem = "filesystem"  // not a local file system
	Empty      = "empty"       // no bytes
	Short      = "short"       // cut off
	BadFormat  = "format"      // not a board file of a known format
	Damaged    = "damaged"     // the contents contradict themselves
)

// RefusedError says why a file is not opened. The board should be set aside
// for a person to look at. The last four codes match [events.ErrDamaged].
type RefusedError struct {
	Path string
	Why  string
	Code string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("board file %s refused: %s", e.Path, e.Why)
}

// Unwrap lets errors.Is find [events.ErrDamaged].
func (e *RefusedError) Unwrap() error {
	switch e.Code {
	case Empty, Short, BadFormat, Damaged:
		return events.ErrDamaged
	}
	return nil
}

// NewerError says that the file was written by a newer program. Nothing is
// wrong with it.
type NewerError struct {
	Path  string
	Needs uint32 // the format a program must know to read it
	Have  uint32 // the format this program knows
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("board file %s needs a newer program: it has format %d, this one reads up to %d", e.Path, e.Needs, e.Have)
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", events.ErrDamaged, fmt.Sprintf(format, args...))
}
