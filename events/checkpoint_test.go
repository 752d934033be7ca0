package events

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"
)

// testKeys makes a key pair from a seed of at least 32 bytes.
func testKeys(t *testing.T, board BoardID, seed string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := NewCheckpointKey(strings.NewReader(strings.Repeat(seed, 32)), board)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func TestCheckpointRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		board := BoardID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "board"))
		want := Checkpoint{Origin(board), Head{rapid.Uint64().Draw(t, "seq"), DigestOf(board[:])}}
		text := FormatCheckpoint(want)
		got, err := ParseCheckpoint(text)
		if err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
		if id, err := got.Board(); err != nil || id != board {
			t.Fatalf("got board %v, %v, want %v", id, err, board)
		}
		b := mutate(t, []byte(text))
		if c, err := ParseCheckpoint(string(b)); err == nil && FormatCheckpoint(c) != string(b) {
			t.Fatalf("%q was read but is written %q", b, FormatCheckpoint(c))
		}
	})
}

func TestParseCheckpointRefuses(t *testing.T) {
	good := FormatCheckpoint(Checkpoint{Origin(BoardID{1}), Head{7, DigestOf(nil)}})
	for name, edit := range map[string][2]string{
		"other origin":     {"hermes.board/", "go.sum "},
		"board small":      {"hermes.board/01", "hermes.board/o1"},
		"leading zero":     {"\n7\n", "\n07\n"},
		"sign":             {"\n7\n", "\n+7\n"},
		"carriage returns": {"\n", "\r\n"},
		"no last newline":  {"=\n", "="},
		"extension line":   {"=\n", "=\nmore\n"},
		"loose base64":     {"FU=\n", "FV=\n"},
		"no padding":       {"=\n", "\n"},
		"short root":       {"47DE", ""},
	} {
		bad := strings.Replace(good, edit[0], edit[1], 1)
		if bad == good {
			t.Fatalf("%s: nothing was edited in %q", name, good)
		}
		if c, err := ParseCheckpoint(bad); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %+v, %v, want ErrDamaged", name, c, err)
		}
	}
}

func TestSignedCheckpoint(t *testing.T) {
	board, other := BoardID{1}, BoardID{2}
	signer, verifier := testKeys(t, board, "a")
	otherSigner, otherVerifier := testKeys(t, other, "a")
	_, forged := testKeys(t, board, "b")
	want := Checkpoint{Origin(board), Head{7, DigestOf([]byte("root"))}}
	signed, err := SignCheckpoint(want, signer)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(signed, verifier); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := SignCheckpoint(want, otherSigner); err == nil {
		t.Error("signed with the key of another board")
	}
	if _, err := SignCheckpoint(Checkpoint{Origin: "elsewhere"}, signer); err == nil {
		t.Error("signed an origin that is no board's")
	}
	for name, v := range map[string]note.Verifier{"another board's key": otherVerifier, "another key": forged} {
		if got, err := OpenCheckpoint(signed, v); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %+v, %v, want ErrDamaged", name, got, err)
		}
	}
	for i := range signed {
		bad := bytes.Clone(signed)
		bad[i] ^= 1
		if got, err := OpenCheckpoint(bad, verifier); err == nil {
			t.Errorf("byte %d changed: got %+v, want an error", i, got)
		}
	}
	// Someone who holds another board's key cannot speak for this one.
	cross, err := note.Sign(&note.Note{Text: FormatCheckpoint(want)}, otherSigner)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint(cross, otherVerifier); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %+v, %v, want ErrDamaged", got, err)
	}
}
