package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/hermesboard/hermes/events"
)

// Sender hands notices to a platform. It must be safe for concurrent use; for
// one destination of one board it is called by one goroutine at a time.
type Sender interface {
	// Send returns what the platform calls the message, at most 200 bytes. An
	// error that matches [PermanentError], [RetryAfterError] or [LostError] says
	// what is to be done; any other is tried again.
	Send(ctx context.Context, to events.Destination, n *Notice) (message string, err error)
}

// Platform is a way to tell something.
type Platform struct {
	Sender Sender
	// Each has every event sent at once and by itself, as programs want it: no
	// quiet hours, no list of what was missed, no reminder, no digest.
	Each bool
}

// PermanentError says that the platform will never take this message: the chat
// is gone, or whoever sends was shut out.
type PermanentError struct{ Err error }

// Error returns the platform's reason.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the platform's reason.
func (e *PermanentError) Unwrap() error { return e.Err }

// RetryAfterError says that the platform wants to be left alone for a while.
type RetryAfterError struct {
	After time.Duration
	Err   error
}

// Error says how long to wait.
func (e *RetryAfterError) Error() string { return fmt.Sprintf("%v; again after %v", e.Err, e.After) }

// Unwrap returns the platform's reason.
func (e *RetryAfterError) Unwrap() error { return e.Err }

// LostError says that the message was handed over and no answer came: the
// platform may have taken it or not.
type LostError struct{ Err error }

// Error says that the answer was lost.
func (e *LostError) Error() string { return "the answer was lost: " + e.Err.Error() }

// Unwrap returns what happened to the answer.
func (e *LostError) Unwrap() error { return e.Err }

// ofNetwork reports whether an error is one of the way to the platform, or its
// wish to be left alone, rather than a refusal.
func ofNetwork(err error) bool {
	var wait *RetryAfterError
	var lost *LostError
	var network net.Error
	var number syscall.Errno
	return errors.As(err, &wait) || errors.As(err, &lost) || errors.As(err, &network) || errors.As(err, &number) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, context.DeadlineExceeded)
}
