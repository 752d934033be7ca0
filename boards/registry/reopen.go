package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// Reopen closes the log, verifies the file and opens it again, all under the
// lock: the way on after events.ErrUnknownCommit. Suspect says that the disk
// may not hold what it acknowledged: then the file is first copied to a new
// one, and a crash meanwhile makes the next owner do the same.
//
// After an error Log returns a closed log; call Reopen again or Release. A
// [*QuarantinedError] is final.
func (h *Held) Reopen(ctx context.Context, suspect bool) (*boltlog.Log, error) {
	if err := h.begin(); err != nil {
		return nil, err
	}
	defer h.work.Unlock()
	h.doubted = true
	if err := h.Log().Close(); err != nil {
		return nil, fmt.Errorf("reopen board %s: %w", h.slug, err)
	}
	f, err := h.home.reopen(ctx, h.slug, suspect, &h.opts)
	if err != nil {
		return nil, fmt.Errorf("reopen board %s: %w", h.slug, err)
	}
	if f.flaw != nil {
		return nil, h.home.quarantine(h.slug, f)
	}
	h.anchor, h.doubted = f.anchor, false
	h.publish()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = f.log
	return f.log, nil
}

func (h *Home) reopen(ctx context.Context, slug string, suspect bool, o *HoldOptions) (findings, error) {
	mark := slug + "/" + suspectFile
	if suspect {
		if err := replaceFile(h.boards, mark, nil); err != nil {
			return findings{}, err
		}
	}
	if exists(h.boards, mark) {
		if err := h.copyForward(ctx, slug, o); err != nil {
			return findings{}.blame(err)
		}
	}
	return h.inspect(ctx, slug, true, o)
}

// copyForward replaces a suspect file by a copy that is on disk for certain,
// and then removes the mark. It may be cut off anywhere and done again.
func (h *Home) copyForward(ctx context.Context, slug string, o *HoldOptions) error {
	db := h.Paths(slug).DB
	fresh := db + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := boltlog.CopyForward(ctx, db, fresh)
	if err == nil {
		err = verify(ctx, fresh, true, o)
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		return flawf(Missing, "its file board.db is gone")
	case errors.Is(err, events.ErrDamaged):
		return flawf(Suspect, "a disk error came before, and the file cannot be copied to a new one: %v", err)
	default:
		return err
	}
	if err := h.crashPoint("copied"); err != nil {
		return err
	}
	if err := h.boards.Rename(slug+"/"+filepath.Base(fresh), slug+"/"+filepath.Base(db)); err != nil {
		return err
	}
	if err := syncDir(h.boards, slug); err != nil {
		return err
	}
	if err := h.crashPoint("swapped"); err != nil {
		return err
	}
	return removeFile(h.boards, slug+"/"+suspectFile)
}
