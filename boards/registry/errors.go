package registry

import (
	"errors"
	"fmt"

	"github.com/hermesboard/hermes/events"
)

var (
	// ErrNoBoard: there is no such board. See [NoBoardError].
	ErrNoBoard = errors.New("no such board")
	// ErrMoved: the board's folder or one of its files was replaced under its
	// owner. Nothing more may be acknowledged.
	ErrMoved = errors.New("board was moved or replaced while open")
	// ErrReleased: the board is no longer held through this handle.
	ErrReleased = errors.New("board was released")
	// ErrNoArtifact: no such artifact is stored, or not with that size.
	ErrNoArtifact = errors.New("no such artifact")
)

// NoBoardError names a board that does not exist. It matches [ErrNoBoard].
type NoBoardError struct{ Slug string }

func (e *NoBoardError) Error() string { return fmt.Sprintf("no board %q", e.Slug) }

// Is makes errors.Is(err, ErrNoBoard) hold.
func (e *NoBoardError) Is(target error) bool { return target == ErrNoBoard }

// ExistsError names a board that was to be created and exists.
type ExistsError struct{ Slug string }

func (e *ExistsError) Error() string { return fmt.Sprintf("board %q exists already", e.Slug) }

// HeldError says that another process holds the board.
type HeldError struct {
	Slug   string
	Holder Holder // PID 0 = it has not said yet who it is
}

func (e *HeldError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("board %q is held by another process", e.Slug)
	}
	return fmt.Sprintf("board %q is held by process %d", e.Slug, e.Holder.PID)
}

// HomeError says why a folder cannot be the home.
type HomeError struct {
	Dir string
	Why string
}

func (e *HomeError) Error() string { return fmt.Sprintf("home %s: %s", e.Dir, e.Why) }

// PythonHomeError says that a folder belongs to the Python system. It was not
// written to.
type PythonHomeError struct {
	Dir   string
	Found string // what gave it away, relative to Dir
}

func (e *PythonHomeError) Error() string {
	return fmt.Sprintf("home %s belongs to the Python system (it holds %s) and is left alone", e.Dir, e.Found)
}

// Hint says what to do instead.
func (e *PythonHomeError) Hint() string { return "choose another folder: --home DIR" }

// AnchorError says why a head was not signed: it contradicts what was signed
// before, or the log.
type AnchorError struct {
	Head events.Head
	Last events.Head
	Why  string
}

func (e *AnchorError) Error() string {
	return fmt.Sprintf("checkpoint at %d refused (last signed %d): %s", e.Head.Seq, e.Last.Seq, e.Why)
}

// TooLargeError says that an artifact is larger than allowed.
type TooLargeError struct{ Max int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("artifact is larger than %d bytes", e.Max)
}
