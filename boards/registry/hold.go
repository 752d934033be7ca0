package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/events/boltlog"
)

// HoldOptions say how a board is opened. nil means all defaults.
type HoldOptions struct {
	Log boltlog.Options

	// VerifyChild verifies a file in a child process, so that a damaged file
	// cannot take this one down. It runs after an unclean stop, and always if
	// Log.LongLived. An error that matches events.ErrDamaged quarantines the
	// board (a child that died of the file must be reported so); any other
	// only fails the call. nil = files are not verified.
	VerifyChild func(ctx context.Context, path string) error
}

func (o *HoldOptions) orDefault() *HoldOptions {
	if o == nil {
		return &HoldOptions{}
	}
	return o
}

// Hold makes this process the owner of a board. If another process is, it
// waits: 0 means not at all (beyond some milliseconds for one that only looks),
// negative until ctx ends; then it returns a [*HeldError].
//
// The board comes open and checked. Otherwise the error is a [*SlugError], a
// [*NoBoardError], a [*QuarantinedError], a *boltlog.NewerError, or what went
// wrong in the attempt; the board is not held then.
func (h *Home) Hold(ctx context.Context, slug string, wait time.Duration, o *HoldOptions) (*Held, error) {
	slug, err := ParseSlug(slug)
	if err != nil {
		return nil, err
	}
	o = o.orDefault()
	l, err := h.lock(ctx, slug, wait)
	if err != nil {
		return nil, h.lockFailed(slug, err)
	}
	held, err := h.holdLocked(ctx, l, o)
	if err != nil {
		l.giveUp()
		return nil, err
	}
	return held, nil
}

func (h *Home) holdLocked(ctx context.Context, l *boardLock, o *HoldOptions) (*Held, error) {
	f, err := h.openLocked(ctx, l, o)
	if err != nil {
		return nil, err
	}
	if f.flaw != nil {
		return nil, h.quarantine(l.name, f)
	}
	if err := h.settle(l.name, f.anchor); err != nil {
		return nil, errors.Join(err, f.log.Close())
	}
	return newHeld(h, l, f, o), nil
}

// openLocked says who holds the board now, and opens it.
func (h *Home) openLocked(ctx context.Context, l *boardLock, o *HoldOptions) (findings, error) {
	if err := l.write(h.self()); err != nil {
		return findings{}, err
	}
	if exists(h.boards, l.name+"/"+suspectFile) {
		if err := h.copyForward(ctx, l.name, o); err != nil {
			return findings{}.blame(err)
		}
	}
	return h.inspect(ctx, l.name, l.left, o)
}

// settle tidies up what no longer holds: a mark of quarantine on a board that
// was put right, and the second place of one whose move did not happen.
func (h *Home) settle(slug string, a *anchor) error {
	if err := h.letBack(slug); err != nil {
		return fmt.Errorf("lift quarantine of board %s: %w", slug, err)
	}
	if len(a.places) > 1 {
		if err := a.place(slug); err != nil {
			return fmt.Errorf("place of board %s: %w", slug, err)
		}
	}
	return nil
}

// lockFailed completes the errors of lock: a folder that is gone while its
// anchor remembers events is not an unknown board.
func (h *Home) lockFailed(slug string, err error) error {
	if errors.Is(err, ErrNoBoard) {
		if q := h.lostBoard(slug); q != nil {
			return q
		}
		return err
	}
	var fl *flaw
	if errors.As(err, &fl) {
		return h.quarantine(slug, findings{flaw: fl})
	}
	return err
}

// lostBoard returns what is known of a board whose folder is gone; nil if
// there was none.
func (h *Home) lostBoard(slug string) error {
	a, err := h.claimant(slug, (*anchor).lost)
	if err != nil {
		return err
	}
	if a == nil {
		return nil
	}
	q, err := h.report(slug, findings{anchor: a, flaw: &flaw{Missing, "its folder is gone"}})
	if err != nil {
		return err
	}
	return q
}

// Examine says what is wrong with a board, nil if nothing is. It changes
// nothing. The error is a [*HeldError] if another process has the board.
func (h *Home) Examine(ctx context.Context, slug string, o *HoldOptions) (*QuarantinedError, error) {
	slug, err := ParseSlug(slug)
	if err != nil {
		return nil, err
	}
	readOnly := *o.orDefault()
	readOnly.Log.ReadOnly = true
	l, err := h.lock(ctx, slug, 0)
	var f findings
	var q *QuarantinedError
	switch fl, ok := asFlaw(err); {
	case ok:
		f.flaw = fl
	case err == nil:
		defer l.giveUp()
		if f, err = h.inspect(ctx, slug, l.left, &readOnly); err != nil {
			return nil, err
		}
	case errors.As(h.lockFailed(slug, err), &q):
		return q, nil
	default:
		return nil, err
	}
	if f.flaw != nil {
		q, err = h.report(slug, f)
	}
	if f.log != nil {
		err = errors.Join(err, f.log.Close())
	}
	return q, err
}

// HoldAccepting is [Home.Hold] for a board that a person wants to go on with
// in spite of its problem, which it also returns; nil = nothing is wrong. The
// caller then appends board.accepted and calls [Held.AnchorReset], which alone
// lifts the quarantine. If the board cannot be gone on with, the error is the
// [*QuarantinedError].
func (h *Home) HoldAccepting(ctx context.Context, slug string, o *HoldOptions) (*Held, *QuarantinedError, error) {
	slug, err := ParseSlug(slug)
	if err != nil {
		return nil, nil, err
	}
	o = o.orDefault()
	l, err := h.lock(ctx, slug, 0)
	if fl, ok := asFlaw(err); ok && fl.problem == LockMissing {
		if err = createFile(h.boards, slug+"/"+lockFile, nil); err == nil {
			l, err = h.lock(ctx, slug, 0)
		}
	}
	if err != nil {
		return nil, nil, h.lockFailed(slug, err)
	}
	held, q, err := h.holdAccepting(ctx, l, o)
	if err != nil {
		l.giveUp()
		return nil, nil, err
	}
	return held, q, nil
}

func (h *Home) holdAccepting(ctx context.Context, l *boardLock, o *HoldOptions) (*Held, *QuarantinedError, error) {
	f, err := h.openLocked(ctx, l, o)
	if err != nil {
		return nil, nil, err
	}
	if f.flaw == nil {
		if err := h.settle(l.name, f.anchor); err != nil {
			return nil, nil, errors.Join(err, f.log.Close())
		}
		return newHeld(h, l, f, o), nil, nil
	}
	if f.log == nil || !f.flaw.problem.acceptable() {
		return nil, nil, h.quarantine(l.name, f)
	}
	q, err := h.report(l.name, f)
	if err != nil {
		return nil, nil, errors.Join(err, f.log.Close())
	}
	if other := f.anchor.elsewhere(l.name); q.Problem == Swapped && other != "" {
		// Accepted, two owners would sign for one board.
		q.Hint = "the same board cannot be in two places: move the file away, or what lies at " + other
		return nil, nil, errors.Join(q, h.setAside(q), f.log.Close())
	}
	return newHeld(h, l, f, o), q, nil
}

// elsewhere returns another place where the board belongs, if something is there.
func (a *anchor) elsewhere(slug string) string {
	if a == nil {
		return ""
	}
	for _, p := range a.places {
		if p != slug && exists(a.home.boards, p) {
			return p
		}
	}
	return ""
}
