package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// Held is a board that this process owns, until Release, Archive or Delete.
// Methods are safe for concurrent use.
type Held struct {
	home    *Home
	slug    string
	board   events.BoardID
	lock    *boardLock
	opts    HoldOptions
	unclean bool

	work    sync.Mutex // one of Serving, Anchor, Reopen, Release… at a time; taken before mu
	anchor  *anchor    // guarded by work; nil = none until AnchorReset
	doubted bool       // guarded by work: closed for Reopen, and not open again

	mu       sync.RWMutex // guards all below
	log      *boltlog.Log
	anchored events.Head
	key      string
	released bool
}

func newHeld(h *Home, l *boardLock, f findings, o *HoldOptions) *Held {
	held := &Held{home: h, slug: l.name, board: f.log.Meta().Board, lock: l, opts: *o, unclean: l.left, log: f.log, anchor: f.anchor}
	held.publish()
	return held
}

// publish makes what work has changed visible. The caller has work, or nobody else has h.
func (h *Held) publish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.anchor != nil {
		h.anchored, h.key = h.anchor.last, h.anchor.key
	}
}

// Log returns the open log. It is another one after Reopen.
func (h *Held) Log() *boltlog.Log {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.log
}

// Board returns the board's id.
func (h *Held) Board() events.BoardID { return h.board }

// Slug returns the board's slug.
func (h *Held) Slug() string { return h.slug }

// Paths returns where the parts of the board lie.
func (h *Held) Paths() Paths { return h.home.Paths(h.slug) }

// SocketPath returns where the board's owner listens; see [Home.SocketPath].
func (h *Held) SocketPath() (string, error) { return h.home.SocketPath(h.board) }

// Unclean reports whether the former owner did not stop cleanly.
func (h *Held) Unclean() bool { return h.unclean }

// Artifacts returns the board's store of files.
func (h *Held) Artifacts() *Artifacts { return OpenArtifacts(h.Paths().Artifacts) }

// Snapshots returns the board's cache of projections.
func (h *Held) Snapshots() *Snapshots { return &Snapshots{dir: h.Paths().Snap} }

// Anchored returns the last head that was signed.
func (h *Held) Anchored() events.Head {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.anchored
}

// VerifierKey returns the public key of the board's checkpoints, in the text
// form of C2SP signed notes; "" if the key is missing.
func (h *Held) VerifierKey() string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.key
}

// begin takes work, or says that the board is no longer held.
func (h *Held) begin() error {
	h.work.Lock()
	if h.isReleased() {
		h.work.Unlock()
		return ErrReleased
	}
	return nil
}

func (h *Held) isReleased() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.released
}

// Serving tells those who find the board held where to call its owner. Call it
// when the socket listens, and with "" before it no longer does.
func (h *Held) Serving(socket string) error {
	if err := h.begin(); err != nil {
		return err
	}
	defer h.work.Unlock()
	self := h.home.self()
	self.Socket = socket
	return h.lock.write(self)
}

// Anchor signs a committed head and returns when the signature is on disk. A
// head that was signed last is not signed again. The error is a [*AnchorError]
// if the head lies before the last one, or either is not in the log.
func (h *Held) Anchor(head events.Head) error {
	if err := h.begin(); err != nil {
		return err
	}
	defer h.work.Unlock()
	if h.anchor == nil || h.anchor.signer == nil {
		return &AnchorError{Head: head, Why: "the board has no key; a person has to accept it first"}
	}
	last := h.anchor.last
	if head == last {
		return nil
	}
	if head.Seq < last.Seq {
		return &AnchorError{head, last, "it lies before the last one"}
	}
	log := h.Log()
	for _, want := range []events.Head{last, head} {
		root, err := log.RootAt(want.Seq)
		if err != nil {
			return fmt.Errorf("checkpoint at %d: %w", head.Seq, err)
		}
		if root != want.Root {
			return &AnchorError{head, last, fmt.Sprintf("the log has another root at %d", want.Seq)}
		}
	}
	defer h.publish()
	return h.anchor.sign(head, false)
}

// AnchorReset signs a head that need not continue what was signed before,
// after board.accepted was committed. It makes what is missing of the anchor,
// says that the board lies here, and lifts the quarantine. Earlier checkpoints
// stay.
func (h *Held) AnchorReset(head events.Head) error {
	if err := h.begin(); err != nil {
		return err
	}
	defer h.work.Unlock()
	root, err := h.Log().RootAt(head.Seq)
	if err != nil {
		return fmt.Errorf("checkpoint at %d: %w", head.Seq, err)
	}
	if root != head.Root {
		return &AnchorError{Head: head, Last: h.Anchored(), Why: "the log has another root there"}
	}
	if err := h.mendAnchor(); err != nil {
		return fmt.Errorf("anchor of board %s: %w", h.board, err)
	}
	if err := h.anchor.sign(head, true); err != nil {
		return err
	}
	h.publish()
	return h.home.settle(h.slug, h.anchor)
}

func (h *Held) mendAnchor() (err error) {
	if h.anchor == nil {
		key, _, err := events.NewCheckpointKey(rand.Reader, h.board)
		if err != nil {
			return err
		}
		if h.anchor, err = h.home.createAnchor(h.board, h.slug, key); err != nil {
			return err
		}
	}
	if h.anchor.signer == nil {
		if err := h.anchor.makeKey(); err != nil {
			return err
		}
	}
	if err := h.home.displace(h.slug, h.board); err != nil {
		return err
	}
	if len(h.anchor.places) == 1 && h.anchor.at(h.slug) {
		return nil
	}
	return h.anchor.place(h.slug)
}

// Moved returns ErrMoved if the board's folder, lock or file is no longer the
// one that was opened. Ask every few seconds, and acknowledge nothing more then.
func (h *Held) Moved() error {
	if h.isReleased() {
		return ErrReleased
	}
	if err := h.lock.moved(); err != nil {
		return err
	}
	err := h.Log().CheckFile()
	if err == nil || errors.Is(err, events.ErrClosed) || errors.Is(err, events.ErrUnknownCommit) {
		return nil // a dead log is being reopened
	}
	return fmt.Errorf("%w: %w", ErrMoved, err)
}

// Release lets go of the board. It leaves the lock empty, which says that all
// was in order, unless the log was closed in doubt. It may be called again.
func (h *Held) Release() error {
	if err := h.begin(); err != nil {
		return nil
	}
	defer h.work.Unlock()
	return h.end()
}

// end closes and unlocks. The caller has work.
func (h *Held) end() error {
	err := h.closeLog()
	h.mu.Lock()
	h.released = true
	h.mu.Unlock()
	return errors.Join(err, h.lock.release(err == nil && !h.doubted))
}

// closeLog closes the log and notes whether it was dead by then.
func (h *Held) closeLog() error {
	log := h.Log()
	if errors.Is(log.CheckFile(), events.ErrUnknownCommit) {
		h.doubted = true
	}
	return log.Close()
}

// Archive closes the board, moves it out of the way and releases it, also when
// it fails. It returns the board's new folder. That no run is open is the
// caller's to know.
func (h *Held) Archive(ctx context.Context) (string, error) {
	return h.leave(ctx, (*Home).archive)
}

// Delete closes the board, removes it and releases it, also when it fails. Its
// checkpoints stay. That no run is open is the caller's to know.
func (h *Held) Delete(ctx context.Context) error {
	_, err := h.leave(ctx, (*Home).remove)
	return err
}

func (h *Held) leave(ctx context.Context, move func(*Home, string, *anchor) (string, error)) (dir string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := h.begin(); err != nil {
		return "", err
	}
	defer h.work.Unlock()
	err = h.closeLog()
	if err == nil {
		dir, err = move(h.home, h.slug, h.anchor)
	}
	return dir, errors.Join(err, h.end())
}
