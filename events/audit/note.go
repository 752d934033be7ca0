package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	originPrefix   = "hermes.board/"
	algorithm      = 1 // Ed25519, in the first byte of a key
	signatureStart = "— "
)

// claim is what a signed checkpoint says.
type claim struct {
	origin string
	size   uint64
	root   [32]byte
}

// ParseKey reads a public key in its text form, NAME+HASH+KEY, and returns it
// with the name of the board's log.
func ParseKey(s string) (origin string, key ed25519.PublicKey, err error) {
	name, rest, _ := strings.Cut(s, "+")
	hash, encoded, _ := strings.Cut(rest, "+")
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != algorithm {
		return "", nil, fmt.Errorf("%q is not an Ed25519 public key (want NAME+HASH+KEY)", s)
	}
	key = ed25519.PublicKey(b[1:])
	if want := fmt.Sprintf("%08x", keyHash(name, key)); hash != want {
		return "", nil, fmt.Errorf("key of %s has hash %s, want %s", name, hash, want)
	}
	return name, key, nil
}

// keyHash tells keys of one name apart.
func keyHash(name string, key ed25519.PublicKey) uint32 {
	b := append([]byte(name+"\n"), algorithm)
	sum := sha256.Sum256(append(b, key...))
	return binary.BigEndian.Uint32(sum[:])
}

// openNote reads a note and checks that key signed it for the origin it names.
func openNote(note []byte, key ed25519.PublicKey) (claim, error) {
	if len(key) != ed25519.PublicKeySize {
		return claim{}, fmt.Errorf("key of %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	s := string(note)
	i := strings.LastIndex(s, "\n\n")
	if i < 0 || !strings.HasSuffix(s, "\n") {
		return claim{}, errors.New("is not a signed note")
	}
	text, signatures := s[:i+1], s[i+2:]
	c, err := readCheckpoint(text)
	if err != nil {
		return claim{}, err
	}
	for line := range strings.Lines(signatures) {
		if signed(text, strings.TrimSuffix(line, "\n"), c.origin, key) {
			return c, nil
		}
	}
	return claim{}, errors.New("is not signed with the key given")
}

// signed reports whether a signature line is by key, under name, and right.
func signed(text, line, name string, key ed25519.PublicKey) bool {
	line, ok := strings.CutPrefix(line, signatureStart)
	by, encoded, ok2 := strings.Cut(line, " ")
	b, err := base64.StdEncoding.DecodeString(encoded)
	return ok && ok2 && err == nil && by == name && len(b) == 4+ed25519.SignatureSize &&
		binary.BigEndian.Uint32(b) == keyHash(name, key) &&
		ed25519.Verify(key, []byte(text), b[4:])
}

// readCheckpoint reads origin, size and root, each on a line.
func readCheckpoint(text string) (c claim, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return c, fmt.Errorf("has %d lines, want 3", len(lines)-1)
	}
	c.origin = lines[0]
	if board, ok := strings.CutPrefix(c.origin, originPrefix); !ok || !ulidForm.MatchString(board) {
		return c, fmt.Errorf("%q is not the origin of a board", c.origin)
	}
	c.size, err = strconv.ParseUint(lines[1], 10, 64)
	if err != nil || strconv.FormatUint(c.size, 10) != lines[1] {
		return c, fmt.Errorf("%q is not a size", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(c.root) || base64.StdEncoding.EncodeToString(root) != lines[2] {
		return c, fmt.Errorf("%q is not a root", lines[2])
	}
	copy(c.root[:], root)
	return c, nil
}
