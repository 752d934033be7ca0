package events

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint says that the log named by Origin had Head. Signed, it is a C2SP
// tlog-checkpoint: a signed note that can be kept anywhere.
type Checkpoint struct {
	Origin string
	Head   Head
}

const originPrefix = "hermes.board/"

// Origin returns the name of a board's log. The board's key has it too.
func Origin(board BoardID) string { return originPrefix + board.String() }

// Board returns the board that an origin names.
func (c Checkpoint) Board() (BoardID, error) {
	name, ok := strings.CutPrefix(c.Origin, originPrefix)
	var id BoardID
	if !ok || parseULID(&id, []byte(name)) != nil {
		return BoardID{}, fmt.Errorf("%q is not the origin of a board", c.Origin)
	}
	return id, nil
}

// FormatCheckpoint returns the text that is signed: origin, size and root, each on a line.
func FormatCheckpoint(c Checkpoint) string {
	return c.Origin + "\n" + strconv.FormatUint(c.Head.Seq, 10) + "\n" +
		base64.StdEncoding.EncodeToString(c.Head.Root[:]) + "\n"
}

// ParseCheckpoint reads exactly what FormatCheckpoint writes for a board.
// Errors match ErrDamaged.
func ParseCheckpoint(text string) (Checkpoint, error) {
	var c Checkpoint
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint has %d lines, want 3", ErrDamaged, len(lines)-1)
	}
	c.Origin = lines[0]
	_, err := c.Board()
	size, sizeErr := strconv.ParseUint(lines[1], 10, 64)
	root, rootErr := base64.StdEncoding.DecodeString(lines[2])
	if err = errors.Join(err, sizeErr, rootErr); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: %w", ErrDamaged, err)
	}
	c.Head.Seq = size
	copy(c.Head.Root[:], root)
	if FormatCheckpoint(c) != text {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint is not in canonical form", ErrDamaged)
	}
	return c, nil
}

// NewCheckpointKey makes a board's Ed25519 key pair from random bytes, in the
// text forms that note.NewSigner and note.NewVerifier take.
func NewCheckpointKey(random io.Reader, board BoardID) (signer, verifier string, err error) {
	return note.GenerateKey(random, Origin(board))
}

// SignCheckpoint returns c as a signed note. The signer must be the board's own.
func SignCheckpoint(c Checkpoint, signer note.Signer) ([]byte, error) {
	if _, err := ParseCheckpoint(FormatCheckpoint(c)); err != nil {
		return nil, err
	}
	if signer.Name() != c.Origin {
		return nil, fmt.Errorf("sign checkpoint of %s: the key is of %s", c.Origin, signer.Name())
	}
	signed, err := note.Sign(&note.Note{Text: FormatCheckpoint(c)}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of %s: %w", c.Origin, err)
	}
	return signed, nil
}

// OpenCheckpoint reads a signed note and checks that the verifier's key signed
// it for its own board. Other signatures are let be. Errors match ErrDamaged.
func OpenCheckpoint(signed []byte, verifier note.Verifier) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: %w", ErrDamaged, err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err == nil && c.Origin != verifier.Name() {
		err = fmt.Errorf("%w: checkpoint of %s is signed with the key of %s", ErrDamaged, c.Origin, verifier.Name())
	}
	if err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}
