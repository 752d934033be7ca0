package events

import (
	"errors"
	"testing"
)

func FuzzDecode(f *testing.F) {
	for _, record := range vectorRecords(f) {
		f.Add([]byte(record))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Decode(b); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("got %v, want ErrDamaged", err)
		}
		agree(t, b)
	})
}

func FuzzDecodeText(f *testing.F) {
	f.Add(fixedTextBytes())
	f.Add([]byte(`{"salt":"ab000000000000000000000000000000","fields":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := DecodeText(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("got %v, want ErrDamaged", err)
			}
			return
		}
		again, err := EncodeText(text)
		if err != nil && !errors.Is(err, ErrTooLarge) { // other spellings can be shorter
			t.Fatalf("%q was read but cannot be written: %v", b, err)
		}
		if err == nil {
			if err := CheckCanonicalText(again); err != nil {
				t.Fatalf("%q is written %q: %v", b, again, err)
			}
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(FormatCheckpoint(Checkpoint{Origin(BoardID{1}), Head{7, DigestOf(nil)}}))
	f.Add("hermes.board/00000000000000000000000000\n0\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCheckpoint(text)
		switch {
		case err == nil && FormatCheckpoint(c) != text:
			t.Fatalf("%q was read but is written %q", text, FormatCheckpoint(c))
		case err != nil && !errors.Is(err, ErrDamaged):
			t.Fatalf("got %v, want ErrDamaged", err)
		}
	})
}
