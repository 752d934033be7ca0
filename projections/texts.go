package projections

import (
	"slices"
	"strings"

	"github.com/hermesboard/hermes/events"
)

// Entry is a decoded record with its text. Fields is nil where the record has
// no text, and where it has one that was erased.
type Entry struct {
	Record events.Record
	Fields *events.Fields
}

// Texts are texts by position. One that is absent or nil was erased.
type Texts map[uint64]*events.Fields

const erased = "(erased)"

// title returns the title at a position or, where that text has none, the one before.
func (t Texts) title(at uint64) string {
	f := t[at]
	if f == nil {
		return erased
	}
	return f.Title
}

func (t Texts) note(at uint64) string {
	if f := t[at]; f != nil {
		return f.Note
	}
	return erased
}

// gone reports whether the entry had a text that was erased.
func (e *Entry) gone() bool { return e.Fields == nil && e.Record.Text != events.Digest{} }

// say returns one of the fields of the text: (erased) if it is gone, and
// nothing if there never was one.
func (e *Entry) say(field func(*events.Fields) string) string {
	switch {
	case e.gone():
		return erased
	case e.Fields == nil:
		return ""
	}
	return field(e.Fields)
}

// nameOf returns the name of the i-th artifact of a record.
func (e *Entry) nameOf(i int) string {
	if e.Fields == nil || i >= len(e.Fields.Names) {
		return erased
	}
	return e.Fields.Names[i]
}

// positions sorts and leaves out zeros and repetitions.
func positions(seqs []uint64) []uint64 {
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	if len(seqs) > 0 && seqs[0] == 0 {
		seqs = seqs[1:]
	}
	return seqs
}

// lastLine returns the last line with anything in it.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
