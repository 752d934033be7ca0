package events

import (
	"encoding/hex"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Fields is what people and agents wrote with an event. Which members an
// event uses is listed with its payload. No rule may read a text.
type Fields struct {
	Title    string         `json:"title,omitzero"`
	Body     string         `json:"body,omitzero"`
	Summary  string         `json:"summary,omitzero"`
	Result   string         `json:"result,omitzero"`
	Comment  string         `json:"comment,omitzero"`
	Reason   string         `json:"reason,omitzero"`
	Answer   string         `json:"answer,omitzero"`
	Note     string         `json:"note,omitzero"`
	Evidence string         `json:"evidence,omitzero"` // tail of a run's output
	Options  []string       `json:"options,omitzero"`  // offered answers, in order
	Names    []string       `json:"names,omitzero"`    // names of the artifacts, in the payload's order
	Metadata jsontext.Value `json:"metadata,omitzero"` // free JSON, compacted, members as given
}

// Text is what is stored beside a record: the fields and a salt that keeps the
// digest from being guessed once the fields are erased.
type Text struct {
	Salt   Salt   `json:"salt"`
	Fields Fields `json:"fields"`
}

// Salt is 128 random bits, written as 32 hexadecimal digits.
type Salt [16]byte

// String returns the hexadecimal digits.
func (s Salt) String() string { return hex.EncodeToString(s[:]) }

// MarshalText implements encoding.TextMarshaler.
func (s Salt) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Upper case is refused.
func (s *Salt) UnmarshalText(b []byte) error {
	if !lowerHex(s[:], b) {
		return fmt.Errorf("%q is not a salt (want 32 lower-case hexadecimal digits)", b)
	}
	return nil
}

// lowerHex fills dst from exactly as many lower-case hexadecimal digits.
func lowerHex(dst, src []byte) bool {
	if len(src) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := nibbles[src[2*i]], nibbles[src[2*i+1]]
		if hi|lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

// nibbles maps a lower-case hexadecimal digit to its value, all else to 0xff.
var nibbles = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	return t
}()
