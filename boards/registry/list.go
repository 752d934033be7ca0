package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/hermesboard/hermes/events"
)

// State is how a board is found on disk.
type State string

// States.
const (
	Free        State = "free"        // nobody holds it
	InUse       State = "held"        // a process holds it
	Quarantined State = "quarantined" // set aside; see [QuarantinedError]
	Archived    State = "archived"    // put away
)

// Entry is a board as [Home.List] finds it, without opening it.
type Entry struct {
	Slug       string            `json:"slug"`
	Board      events.BoardID    `json:"board,omitzero"` // zero = not known
	State      State             `json:"state"`
	Holder     *Holder           `json:"holder,omitzero"`     // of one in use; PID 0 = it has not said who it is
	Quarantine *QuarantinedError `json:"quarantine,omitzero"` // of one set aside, also while in use
	Bytes      int64             `json:"bytes"`               // of board.db
	Archived   events.Time       `json:"archived,omitzero"`   // when it was put away
	Dir        string            `json:"dir"`                 // "" = gone
}

// List returns the boards of the home by slug, then the archived ones.
func (h *Home) List(ctx context.Context) ([]Entry, error) {
	all, err := h.places()
	if err != nil {
		return nil, err
	}
	owners := make(map[string]events.BoardID)
	for id, places := range all {
		for _, p := range places {
			if old, ok := owners[p]; !ok || old.Compare(id) < 0 {
				owners[p] = id
			}
		}
	}
	list, err := h.listBoards(ctx, owners)
	if err != nil {
		return nil, err
	}
	archived, err := h.listArchived(owners)
	return append(list, archived...), err
}

func (h *Home) listBoards(ctx context.Context, owners map[string]events.BoardID) ([]Entry, error) {
	dirs, err := fs.ReadDir(h.boards.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("list boards: %w", err)
	}
	var list []Entry
	for _, d := range dirs {
		if slug, err := ParseSlug(d.Name()); err != nil || slug != d.Name() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e := h.entry(d.Name())
		e.Board = owners[e.Slug]
		list = append(list, e)
	}
	for slug, id := range owners {
		if _, err := ParseSlug(slug); err != nil || exists(h.boards, slug) {
			continue
		}
		var q *QuarantinedError
		if errors.As(h.lostBoard(slug), &q) {
			list = append(list, Entry{Slug: slug, Board: id, State: Quarantined, Quarantine: q})
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Slug, b.Slug) })
	return list, nil
}

func (h *Home) entry(slug string) Entry {
	e := Entry{Slug: slug, State: Free, Dir: h.Paths(slug).Dir}
	if info, err := h.boards.Lstat(slug + "/board.db"); err == nil {
		e.Bytes = info.Size()
	}
	if e.Quarantine = h.readQuarantine(slug); e.Quarantine != nil {
		e.State = Quarantined
	}
	l, err := tryLock(h.boards, slug)
	var held *HeldError
	switch f, flawed := asFlaw(err); {
	case err == nil:
		l.giveUp()
	case errors.As(err, &held):
		e.State, e.Holder = InUse, &held.Holder
	case flawed && e.Quarantine == nil:
		e.State = Quarantined
		e.Quarantine = &QuarantinedError{Slug: slug, Problem: f.problem, Detail: f.detail, Hint: f.problem.hint(slug, h.Paths(slug))}
	}
	return e
}

// archiveTime is how a folder in _archived/ says when it came there.
const archiveTime = "20060102T150405.000Z"

func (h *Home) listArchived(owners map[string]events.BoardID) ([]Entry, error) {
	dirs, err := fs.ReadDir(h.boards.FS(), archivedDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list archived boards: %w", err)
	}
	var list []Entry
	for _, d := range dirs {
		place := archivedDir + "/" + d.Name()
		e := Entry{Slug: d.Name(), Board: owners[place], State: Archived, Dir: filepath.Join(h.dir, "boards", place)}
		if i := strings.LastIndexByte(d.Name(), '-'); i > 0 {
			if t, err := time.Parse(archiveTime, d.Name()[i+1:]); err == nil {
				e.Slug, e.Archived = d.Name()[:i], events.TimeOf(t)
			}
		}
		if info, err := h.boards.Lstat(place + "/board.db"); err == nil {
			e.Bytes = info.Size()
		}
		list = append(list, e)
	}
	return list, nil
}

// Archive moves a board that nobody holds out of the way without opening it,
// a quarantined one too, and returns its new folder. That no run is open is
// the caller's to know.
func (h *Home) Archive(ctx context.Context, slug string) (string, error) {
	return h.leave(ctx, slug, (*Home).archive)
}

// Delete removes a board that nobody holds without opening it, a quarantined
// or vanished one too. Its checkpoints stay. That no run is open is the
// caller's to know.
func (h *Home) Delete(ctx context.Context, slug string) error {
	_, err := h.leave(ctx, slug, (*Home).remove)
	var q *QuarantinedError
	if errors.As(err, &q) && q.Problem == Missing && !exists(h.boards, q.Slug) {
		return h.forget(q.Slug, q.Board)
	}
	return err
}

func (h *Home) leave(ctx context.Context, slug string, move func(*Home, string, *anchor) (string, error)) (string, error) {
	slug, err := ParseSlug(slug)
	if err != nil {
		return "", err
	}
	l, err := h.lock(ctx, slug, 0)
	if err != nil {
		return "", h.lockFailed(slug, err)
	}
	defer l.giveUp()
	a, err := h.claimant(slug, func(*anchor) bool { return true })
	if err != nil {
		return "", err
	}
	return move(h, slug, a)
}

func (h *Home) archive(slug string, a *anchor) (string, error) {
	if err := privateDir(h.boards, archivedDir); err != nil {
		return "", fmt.Errorf("archive board %s: %w", slug, err)
	}
	to := archivedDir + "/" + slug + "-" + time.Now().UTC().Format(archiveTime)
	if err := h.moveAway(slug, a, to, to); err != nil {
		return "", fmt.Errorf("archive board %s: %w", slug, err)
	}
	return filepath.Join(h.dir, "boards", to), nil
}

func (h *Home) remove(slug string, a *anchor) (string, error) {
	gone := gonePrefix + ulid.Make().String()
	if err := h.moveAway(slug, a, gone, deletedPlace+slug+"-"+time.Now().UTC().Format(archiveTime)); err != nil {
		return "", fmt.Errorf("delete board %s: %w", slug, err)
	}
	if err := h.boards.RemoveAll(gone); err != nil {
		return "", fmt.Errorf("board %s is deleted, but something of it is left: %w", slug, err)
	}
	return "", nil
}

// moveAway renames a board's folder and writes its new place into its anchor,
// if it has one. Both places are good while it happens.
func (h *Home) moveAway(slug string, a *anchor, to, place string) error {
	if a != nil {
		if err := a.place(slug, place); err != nil {
			return err
		}
	}
	if err := h.crashPoint("announced"); err != nil {
		return err
	}
	if err := renameNew(h.boards, slug, to); err != nil {
		return err
	}
	if err := h.crashPoint("moved"); err != nil {
		return err
	}
	if strings.HasPrefix(to, archivedDir) {
		if err := syncDir(h.boards, archivedDir); err != nil {
			return err
		}
	}
	if err := syncDir(h.boards, "."); err != nil {
		return err
	}
	if a != nil {
		if err := a.place(place); err != nil {
			return err
		}
	}
	if current, err := h.Current(); err == nil && current == slug {
		return removeFile(h.boards, currentFile)
	}
	return nil
}

// forget writes down that a board that is gone is meant to be gone.
func (h *Home) forget(slug string, id events.BoardID) error {
	a := &anchor{home: h, board: id}
	return a.place(deletedPlace + slug + "-" + time.Now().UTC().Format(archiveTime))
}

// displace writes down that whatever else was said to lie at slug does not.
func (h *Home) displace(slug string, by events.BoardID) error {
	all, err := h.places()
	if err != nil {
		return err
	}
	for id, places := range all {
		if id == by || !slices.Contains(places, slug) {
			continue
		}
		a := &anchor{home: h, board: id}
		if err := a.place(replacedPlace + slug + "-" + time.Now().UTC().Format(archiveTime)); err != nil {
			return err
		}
	}
	return nil
}
