package owner

import (
	"context"
	"errors"

	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// store is what an owner needs of the board it holds.
type store interface {
	Board() events.BoardID
	Slug() string
	Log() events.Log // changes with Reopen
	// Reopen closes the log and opens it again, from a copy if it is suspect.
	Reopen(ctx context.Context, suspect bool) (events.Log, error)
	Anchor(events.Head) error
	Anchored() events.Head
	Moved() error
	HasArtifact(events.Artifact) error
	LoadSnapshot(name string, version int) ([]byte, bool)
	SaveSnapshot(name string, version int, head events.Head, body []byte) error
	Usage() (boltlog.Usage, error)
	SetQuota(maxBytes int64) // of the open log
	MakeBallast() error
	DropBallast() (bool, error)
	Release() error
}

// held is the store of a board in a home.
type held struct{ *registry.Held }

func (h held) Log() events.Log { return h.Held.Log() }

func (h held) Reopen(ctx context.Context, suspect bool) (events.Log, error) {
	l, err := h.Held.Reopen(ctx, suspect)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (h held) HasArtifact(a events.Artifact) error { return h.Artifacts().Has(a) }

func (h held) LoadSnapshot(name string, version int) ([]byte, bool) {
	_, body, ok := h.Snapshots().Load(name, version, h.Held.Log().RootAt)
	return body, ok
}

func (h held) SaveSnapshot(name string, version int, head events.Head, body []byte) error {
	return h.Snapshots().Save(name, version, head, body)
}

func (h held) SetQuota(maxBytes int64) { h.Held.Log().SetQuota(maxBytes) }

func (h held) Usage() (boltlog.Usage, error) { return h.Held.Log().Usage() }

func (h held) MakeBallast() error { return h.Held.Log().MakeBallast() }

func (h held) DropBallast() (bool, error) { return h.Held.Log().DropBallast() }

// lost reports whether an error means that the board cannot go on without a person.
func lost(err error) bool {
	var quarantined *registry.QuarantinedError
	var anchor *registry.AnchorError
	return errors.Is(err, events.ErrDamaged) || errors.Is(err, registry.ErrMoved) ||
		errors.As(err, &quarantined) || errors.As(err, &anchor)
}
