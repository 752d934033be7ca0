package registry

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hermesboard/hermes/events"
)

// Places where no board lies, which say why.
const (
	deletedPlace  = "_deleted/"
	replacedPlace = "_replaced/" // a person accepted another board under its slug
)

// Checkpoint is a signed checkpoint as a board's anchor log keeps it, one JSON
// object a line. The note is the C2SP signed note; time and reset are not signed.
type Checkpoint struct {
	Time  events.Time `json:"time"`
	Reset bool        `json:"reset,omitzero"` // a person accepted the board here: need not continue the line before
	Note  string      `json:"note"`
	Head  events.Head `json:"-"` // as the note says
}

// anchor is what is kept of a board outside its folder.
type anchor struct {
	home     *Home
	board    events.BoardID
	places   []string // where the board lies, relative to boards/; two while it moves
	signer   note.Signer
	verifier note.Verifier
	key      string // the verifier's, as text
	last     events.Head
	newest   Checkpoint // the last line of the log, if it was read
	whole    int64      // bytes of whole lines in the log
}

func (a *anchor) path(name string) string { return anchorDir(a.board) + "/" + name }

func anchorDir(id events.BoardID) string { return "anchors/" + id.String() }

// loadAnchor reads what is kept of a board. On a flaw it returns what could be
// read all the same; the anchor is nil only if there is none.
func (h *Home) loadAnchor(id events.BoardID) (*anchor, error) {
	a := &anchor{home: h, board: id}
	if !exists(h.root, anchorDir(id)) {
		return nil, flawf(AnchorMissing, "%s is gone, or never was on this machine", anchorDir(id))
	}
	b, placeErr := h.root.ReadFile(a.path("slug"))
	a.places = strings.Fields(string(b))
	if err := a.loadKey(); err != nil {
		return a, err
	}
	if err := a.loadLast(); err != nil {
		return a, err
	}
	if placeErr != nil || len(a.places) == 0 {
		return a, flawf(AnchorDamaged, "%s does not say where the board lies", a.path("slug"))
	}
	return a, nil
}

func (a *anchor) loadKey() error {
	b, err := a.home.root.ReadFile(a.path("key"))
	if errors.Is(err, fs.ErrNotExist) {
		return flawf(KeyMissing, "%s is gone", a.path("key"))
	}
	if err != nil {
		return fmt.Errorf("key of board %s: %w", a.board, err)
	}
	if err := a.setKey(strings.TrimSpace(string(b))); err != nil {
		return flawf(AnchorDamaged, "%s is not this board's key: %v", a.path("key"), err)
	}
	return nil
}

// setKey takes the signer's key in the text form of note.NewSigner, and
// derives the verifier's from it.
func (a *anchor) setKey(text string) error {
	signer, err := note.NewSigner(text)
	if err != nil {
		return err
	}
	if signer.Name() != events.Origin(a.board) {
		return fmt.Errorf("it is of %s", signer.Name())
	}
	// NewSigner has checked the form: five parts, and one byte of algorithm before the seed.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(text, "+", 5)[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return errors.New("it has no Ed25519 seed")
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	key, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	a.signer, a.verifier, a.key = signer, verifier, key
	return nil
}

// lineBytes bounds a line of the anchor log; real ones have about 300 bytes.
const lineBytes = 4 << 10

// loadLast reads the last whole line of the log. What follows the last line
// feed was cut off by a crash before anyone relied on it.
func (a *anchor) loadLast() error {
	f, err := a.home.root.Open(a.path("log"))
	if errors.Is(err, fs.ErrNotExist) {
		return flawf(AnchorDamaged, "%s is gone", a.path("log"))
	}
	if err != nil {
		return fmt.Errorf("anchor of board %s: %w", a.board, err)
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("anchor of board %s: %w", a.board, err)
	}
	start := max(0, size-2*lineBytes)
	tail := make([]byte, size-start)
	if _, err := f.ReadAt(tail, start); err != nil && err != io.EOF {
		return fmt.Errorf("anchor of board %s: %w", a.board, err)
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	a.whole = start + int64(end)
	if end == 0 {
		return flawf(AnchorDamaged, "%s holds no checkpoint", a.path("log"))
	}
	line := tail[bytes.LastIndexByte(tail[:end-1], '\n')+1 : end-1]
	c, err := a.parse(line)
	if err != nil {
		return flawf(AnchorDamaged, "the last line of %s: %v", a.path("log"), err)
	}
	a.last, a.newest = c.Head, c
	return nil
}

func (a *anchor) parse(line []byte) (Checkpoint, error) {
	var c Checkpoint
	if err := json.Unmarshal(line, &c); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: not a checkpoint: %w", events.ErrDamaged, err)
	}
	signed, err := events.OpenCheckpoint([]byte(c.Note), a.verifier)
	if err != nil {
		return Checkpoint{}, err
	}
	c.Head = signed.Head
	return c, nil
}

// sign appends a checkpoint and returns when it is on disk.
func (a *anchor) sign(head events.Head, reset bool) error {
	signed, err := events.SignCheckpoint(events.Checkpoint{Origin: events.Origin(a.board), Head: head}, a.signer)
	if err != nil {
		return err
	}
	line, err := json.Marshal(Checkpoint{Time: events.TimeOf(time.Now()), Reset: reset, Note: string(signed)})
	if err != nil {
		return err
	}
	size, err := a.append(append(line, '\n'), reset)
	if err != nil {
		return fmt.Errorf("anchor of board %s: %w", a.board, err)
	}
	a.last, a.whole = head, size
	return nil
}

// append writes a line behind the last whole one and returns the new size.
// What a crash left behind is overwritten, but kept as a line of its own if
// keep is set.
func (a *anchor) append(line []byte, keep bool) (size int64, err error) {
	f, err := a.home.root.OpenFile(a.path("log"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err = f.Seek(0, io.SeekEnd)
	switch {
	case err != nil:
		return 0, err
	case size > a.whole && keep:
		line = append([]byte{'\n'}, line...)
	case size > a.whole:
		if err := f.Truncate(a.whole); err != nil {
			return 0, err
		}
		size = a.whole
	case size < a.whole:
		return 0, fmt.Errorf("the log was cut from %d to %d bytes", a.whole, size)
	}
	if _, err := f.WriteAt(line, size); err != nil {
		return 0, err
	}
	return size + int64(len(line)), f.Sync()
}

// createAnchor makes the anchor of a board that is new to this home, with a
// key of its own and no checkpoint yet.
func (h *Home) createAnchor(id events.BoardID, slug, key string) (*anchor, error) {
	a := &anchor{home: h, board: id}
	if err := h.root.Mkdir(anchorDir(id), 0o700); err != nil {
		return nil, err
	}
	return a, a.create(slug, key)
}

func (a *anchor) create(slug, key string) error {
	if err := a.writeKey(key); err != nil {
		return err
	}
	if err := a.place(slug); err != nil {
		return err
	}
	return syncDir(a.home.root, "anchors")
}

func (a *anchor) makeKey() error {
	key, _, err := events.NewCheckpointKey(rand.Reader, a.board)
	if err != nil {
		return err
	}
	return a.writeKey(key)
}

func (a *anchor) writeKey(key string) error {
	if err := a.setKey(key); err != nil {
		return err
	}
	return replaceFile(a.home.root, a.path("key"), []byte(key+"\n"))
}

// place writes down where the board lies. While it moves, both places are
// written, so that a crash in between leaves it at a place it may be at.
func (a *anchor) place(places ...string) error {
	err := replaceFile(a.home.root, a.path("slug"), []byte(strings.Join(places, "\n")+"\n"))
	if err == nil {
		a.places = places
	}
	return err
}

// at reports whether the board may lie there.
func (a *anchor) at(place string) bool { return slices.Contains(a.places, place) }

// lost reports whether the board lies nowhere, and not on purpose.
func (a *anchor) lost() bool {
	for _, p := range a.places {
		if strings.HasPrefix(p, deletedPlace) || exists(a.home.boards, p) {
			return false
		}
	}
	return len(a.places) > 0 && !exists(a.home.boards, newPrefix+a.board.String())
}

// places returns where every board of this home is said to lie.
func (h *Home) places() (map[events.BoardID][]string, error) {
	ids, err := h.anchored()
	if err != nil {
		return nil, err
	}
	all := make(map[events.BoardID][]string, len(ids))
	for _, id := range ids {
		if b, err := h.root.ReadFile(anchorDir(id) + "/slug"); err == nil {
			all[id] = strings.Fields(string(b))
		}
	}
	return all, nil
}

func (h *Home) anchored() ([]events.BoardID, error) {
	entries, err := fs.ReadDir(h.root.FS(), "anchors")
	if err != nil {
		return nil, fmt.Errorf("list anchors: %w", err)
	}
	var ids []events.BoardID
	for _, e := range entries {
		var id events.BoardID
		if err := id.UnmarshalText([]byte(e.Name())); err == nil && id.String() == e.Name() {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// claimant returns the anchor of the newest board said to lie at slug that
// passes the filter; nil if there is none.
func (h *Home) claimant(slug string, ok func(*anchor) bool) (*anchor, error) {
	all, err := h.places()
	if err != nil {
		return nil, err
	}
	var newest *anchor
	for id, places := range all {
		a := &anchor{home: h, board: id, places: places}
		if a.at(slug) && ok(a) && (newest == nil || newest.board.Compare(id) < 0) {
			newest = a
		}
	}
	if newest == nil {
		return nil, nil
	}
	full, err := h.loadAnchor(newest.board)
	if _, flawed := asFlaw(err); err != nil && !flawed {
		return nil, err
	}
	return full, nil
}

// Checkpoints yields the lines of a board's anchor log from the oldest on,
// each with its signature checked. A line that does not hold is yielded as an
// error and the next one follows.
func (h *Home) Checkpoints(id events.BoardID) iter.Seq2[Checkpoint, error] {
	return func(yield func(Checkpoint, error) bool) {
		a := &anchor{home: h, board: id}
		err := a.loadKey()
		var f *os.File
		if err == nil {
			f, err = h.root.Open(a.path("log"))
		}
		if err != nil {
			yield(Checkpoint{}, fmt.Errorf("anchor of board %s: %w", id, err))
			return
		}
		defer f.Close()
		r := bufio.NewReader(f)
		for n := 1; ; n++ {
			line, err := r.ReadBytes('\n')
			if err == io.EOF {
				return // what has no line feed was cut off by a crash
			}
			if err != nil {
				yield(Checkpoint{}, fmt.Errorf("anchor of board %s: %w", id, err))
				return
			}
			if len(line) == 1 {
				continue
			}
			c, err := a.parse(line)
			if err != nil {
				err = fmt.Errorf("line %d of %s: %w", n, a.path("log"), err)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// LastCheckpoint returns the newest line of a board's anchor log, with its
// signature checked. It reads the end of the log only.
func (h *Home) LastCheckpoint(id events.BoardID) (Checkpoint, error) {
	a := &anchor{home: h, board: id}
	if err := errors.Join(a.loadKey(), a.loadLast()); err != nil {
		return Checkpoint{}, fmt.Errorf("board %s: %w", id, err)
	}
	return a.newest, nil
}

// VerifierKey returns the public key that a board's checkpoints are signed
// with, in the text form of C2SP signed notes.
func (h *Home) VerifierKey(id events.BoardID) (string, error) {
	a := &anchor{home: h, board: id}
	if err := a.loadKey(); err != nil {
		return "", fmt.Errorf("board %s: %w", id, err)
	}
	return a.key, nil
}
