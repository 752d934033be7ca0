package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// findings are what opening a board brought to light. Any part may be missing.
type findings struct {
	log    *boltlog.Log
	anchor *anchor
	flaw   *flaw
}

// inspect opens the log and compares it with its anchor. Errors are about the
// attempt; what is wrong with the board is in the findings. The caller closes
// the log.
func (h *Home) inspect(ctx context.Context, slug string, left bool, o *HoldOptions) (f findings, err error) {
	marked := h.readQuarantine(slug)
	db := h.Paths(slug).DB
	if mappable(db) { // else opening it is refused, and says best why
		if err := verify(ctx, db, left || marked != nil, o); err != nil {
			return f.blame(err)
		}
	}
	if o.VerifyChild == nil && marked != nil && marked.Problem == Damaged {
		f.flaw = &flaw{Damaged, marked.Detail} // only what found it may say it is gone
		return f, nil
	}
	f.log, err = openLog(db, o)
	if err == nil {
		f.anchor, err = h.loadAnchor(f.log.Meta().Board)
	}
	if err == nil {
		err = f.anchor.check(f.log, slug)
	}
	return f.blame(err)
}

// blame puts what is wrong with the board into f and returns the rest. Then
// no log stays open.
func (f findings) blame(err error) (findings, error) {
	if err == nil {
		return f, nil
	}
	found, ok := asFlaw(err)
	if f.flaw = found; ok {
		return f, nil
	}
	if f.log != nil {
		err = errors.Join(err, f.log.Close())
	}
	return findings{}, err
}

func openLog(path string, o *HoldOptions) (*boltlog.Log, error) {
	log, err := boltlog.Open(path, &o.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, flawf(Missing, "its file board.db is gone")
	}
	return log, err
}

// mappable reports whether opening a file would come as far as mapping it.
func mappable(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode() == 0o600 && info.Size() > 0
}

// verify lets a child process look at the whole file, if there is one to do it
// and there is reason: then a file that kills whoever maps it kills the child.
func verify(ctx context.Context, path string, doubt bool, o *HoldOptions) error {
	if o.VerifyChild == nil || !doubt && !o.Log.LongLived {
		return nil
	}
	err := o.VerifyChild(ctx, path)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// check compares a log with what was signed: the right board at the right
// place, not shorter, and the same history up to the last checkpoint.
func (a *anchor) check(log *boltlog.Log, slug string) error {
	if !a.at(slug) {
		return flawf(Swapped, "its file is that of board %s, which belongs at %v", a.board, a.places)
	}
	head := log.Head()
	if head.Seq < a.last.Seq {
		if err := a.checkOlder(log); err != nil {
			return err
		}
		return flawf(RolledBack, "its log ends at %d, its last checkpoint is at %d", head.Seq, a.last.Seq)
	}
	return sameRoot(log, a.last)
}

func sameRoot(log *boltlog.Log, signed events.Head) error {
	root, err := log.RootAt(signed.Seq)
	if err != nil {
		return err
	}
	if root != signed.Root {
		return flawf(RootMismatch, "its first %d events have the root %s, signed was %s", signed.Seq, root, signed.Root)
	}
	return nil
}

// checkOlder compares a log that is too short with the checkpoint it still reaches.
func (a *anchor) checkOlder(log *boltlog.Log) error {
	var reached events.Head
	for c, err := range a.home.Checkpoints(a.board) {
		if err == nil && c.Head.Seq > reached.Seq && c.Head.Seq <= log.Head().Seq {
			reached = c.Head
		}
	}
	if reached.Seq == 0 {
		return nil
	}
	return sameRoot(log, reached)
}

// report completes a flaw to what a person is told.
func (h *Home) report(slug string, f findings) (*QuarantinedError, error) {
	a := f.anchor
	if a == nil {
		var err error
		if a, err = h.claimant(slug, func(*anchor) bool { return true }); err != nil {
			return nil, err
		}
	}
	q := &QuarantinedError{
		Slug:    slug,
		Problem: f.flaw.problem,
		Detail:  f.flaw.detail,
		Hint:    f.flaw.problem.hint(slug, h.Paths(slug)),
		Since:   events.TimeOf(time.Now()),
	}
	if a != nil {
		q.Board, q.Anchored = a.board, a.last
	}
	if f.log != nil {
		q.Board, q.Found = f.log.Meta().Board, f.log.Head()
	}
	switch q.Problem {
	case RolledBack, Missing, Empty:
		if q.Anchored.Seq > q.Found.Seq {
			q.MissingFrom, q.MissingTo = q.Found.Seq+1, q.Anchored.Seq
		}
	}
	return q, nil
}

// quarantine reports a flaw, sets the board aside and closes the log.
func (h *Home) quarantine(slug string, f findings) error {
	q, err := h.report(slug, f)
	if f.log != nil {
		err = errors.Join(err, f.log.Close())
	}
	if err != nil {
		return fmt.Errorf("quarantine board %s: %w", slug, err)
	}
	if err := h.setAside(q); err != nil {
		return errors.Join(q, err)
	}
	return q
}
