package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

const (
	newPrefix  = ".new-"  // a board that is being made
	gonePrefix = ".gone-" // a board that is being deleted
)

// Genesis writes the first records of a board, which name the board and its
// public key.
type Genesis func(log *boltlog.Log, id events.BoardID, key string) error

// Create makes a board, wholly or not at all, and returns it held. Genesis
// appends the first records to its log and keeps nothing of it: the log is
// opened anew at its final place. The error is a [*SlugError], a
// [*ExistsError], or a [*QuarantinedError] if a board of that name has
// vanished.
func (h *Home) Create(ctx context.Context, slug string, genesis Genesis, o *HoldOptions) (*Held, error) {
	slug, err := ParseSlug(slug)
	if err != nil {
		return nil, err
	}
	if exists(h.boards, slug) {
		return nil, &ExistsError{slug}
	}
	if err := h.lostBoard(slug); err != nil {
		return nil, err
	}
	id, err := ulid.New(ulid.Now(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("create board %s: %w", slug, err)
	}
	b := &birth{home: h, id: id, slug: slug, temp: newPrefix + id.String(), opts: o.orDefault()}
	if b.key, b.public, err = events.NewCheckpointKey(rand.Reader, id); err != nil {
		return nil, fmt.Errorf("create board %s: %w", slug, err)
	}
	held, err := b.run(ctx, genesis)
	if err == nil {
		return held, nil
	}
	if b.born {
		return nil, fmt.Errorf("board %s was created, but: %w", slug, err)
	}
	b.undo()
	if errors.Is(err, fs.ErrExist) && exists(h.boards, slug) {
		return nil, &ExistsError{slug}
	}
	return nil, fmt.Errorf("create board %s: %w", slug, err)
}

// birth is a board being made. Everything is made and synced under a
// temporary name; the rename makes it a board. What a crash leaves before
// that is for [Home.Sweep].
type birth struct {
	home *Home
	id   events.BoardID
	slug string
	temp string // folder in boards/
	opts *HoldOptions

	key, public string // signing key of its checkpoints, and the public half

	lock   *boardLock
	anchor *anchor
	born   bool // the rename is done
}

func (b *birth) run(ctx context.Context, genesis Genesis) (*Held, error) {
	if err := b.folder(); err != nil {
		return nil, err
	}
	head, err := b.writeLog(ctx, genesis)
	if err != nil {
		return nil, err
	}
	if err := b.writeAnchor(head); err != nil {
		return nil, err
	}
	if err := b.rename(); err != nil {
		return nil, err
	}
	log, err := openLog(b.home.Paths(b.slug).DB, b.opts)
	if err != nil {
		b.lock.giveUp()
		return nil, err
	}
	return newHeld(b.home, b.lock, findings{log: log, anchor: b.anchor}, b.opts), nil
}

// folder makes the folder and takes its lock, so that nobody sweeps it away.
func (b *birth) folder() error {
	boards := b.home.boards
	if err := boards.Mkdir(b.temp, 0o700); err != nil {
		return err
	}
	if err := b.home.crashPoint("folder"); err != nil {
		return err
	}
	if err := createFile(boards, b.temp+"/"+lockFile, nil); err != nil {
		return err
	}
	l, err := tryLock(boards, b.temp)
	if err != nil {
		return err
	}
	b.lock = l
	if err := l.write(b.home.self()); err != nil {
		return err
	}
	for _, name := range []string{"snap", "artifacts", "runs", "state"} {
		if err := boards.Mkdir(b.temp+"/"+name, 0o700); err != nil {
			return err
		}
	}
	return b.home.crashPoint("locked")
}

func (b *birth) writeLog(ctx context.Context, genesis Genesis) (head events.Head, err error) {
	meta := boltlog.Meta{Board: b.id, Slug: b.slug, Created: events.TimeOf(time.Now())}
	log, err := boltlog.Create(b.home.Paths(b.temp).DB, meta, &b.opts.Log)
	if err != nil {
		return head, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := b.home.crashPoint("log"); err != nil {
		return head, err
	}
	if err := genesis(log, b.id, b.public); err != nil {
		return head, err
	}
	if err := ctx.Err(); err != nil {
		return head, err
	}
	if head = log.Head(); head.Seq == 0 {
		return head, errors.New("its first events were not written")
	}
	return head, b.home.crashPoint("genesis")
}

func (b *birth) writeAnchor(head events.Head) (err error) {
	if b.anchor, err = b.home.createAnchor(b.id, b.slug, b.key); err != nil {
		return err
	}
	if err := b.home.crashPoint("anchor"); err != nil {
		return err
	}
	if err := b.anchor.sign(head, false); err != nil {
		return err
	}
	if err := syncDir(b.home.root, anchorDir(b.id)); err != nil {
		return err
	}
	return b.home.crashPoint("signed")
}

func (b *birth) rename() error {
	boards := b.home.boards
	if err := syncDir(boards, b.temp); err != nil {
		return err
	}
	if err := renameNew(boards, b.temp, b.slug); err != nil {
		return err
	}
	b.born = true
	b.lock.name = b.slug
	err := b.home.crashPoint("renamed")
	if err == nil {
		err = syncDir(boards, ".")
	}
	if err != nil {
		b.lock.giveUp()
	}
	return err
}

// undo removes what was made, the anchor first: as long as the folder is
// there, the anchor is known to be litter.
func (b *birth) undo() {
	_ = b.home.root.RemoveAll(anchorDir(b.id))
	_ = b.home.boards.RemoveAll(b.temp)
	if b.lock != nil {
		b.lock.giveUp()
	}
}

// youngest is the age below which a folder without a lock is left alone: it
// may be about to get one.
const youngest = time.Minute

// Sweep removes what crashes left of boards that were being made or deleted,
// and returns the folders it removed. Boards are never touched.
func (h *Home) Sweep(ctx context.Context) ([]string, error) {
	entries, err := fs.ReadDir(h.boards.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("sweep boards: %w", err)
	}
	var swept []string
	var errs []error
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return swept, errors.Join(append(errs, err)...)
		}
		var done bool
		name := e.Name()
		switch {
		case strings.HasPrefix(name, newPrefix):
			done, err = h.sweepNew(name)
		case strings.HasPrefix(name, gonePrefix):
			done, err = true, h.boards.RemoveAll(name)
		default:
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep %s: %w", name, err))
		} else if done {
			swept = append(swept, name)
		}
	}
	return swept, errors.Join(errs...)
}

func (h *Home) sweepNew(name string) (bool, error) {
	l, err := tryLock(h.boards, name)
	var held *HeldError
	var f *flaw
	switch {
	case errors.As(err, &held), errors.Is(err, ErrNoBoard):
		return false, nil
	case errors.As(err, &f) && f.problem == LockMissing:
		info, err := h.boards.Lstat(name)
		if err != nil || time.Since(info.ModTime()) < youngest {
			return false, err
		}
	case err != nil:
		return false, err
	default:
		defer l.giveUp()
	}
	var id events.BoardID
	if err := id.UnmarshalText([]byte(strings.TrimPrefix(name, newPrefix))); err == nil {
		if err := h.root.RemoveAll(anchorDir(id)); err != nil {
			return false, err
		}
	}
	return true, h.boards.RemoveAll(name)
}
