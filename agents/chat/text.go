package chat

import (
	"strings"
	"unicode/utf8"

	"github.com/hermesboard/hermes/agents"
)

// Style is how a span is set.
type Style uint8

// The styles. A platform that lacks one shows the words plainly.
const (
	Plain Style = iota
	Bold
	Code // short, in a line
	Pre  // lines of fixed width
)

// Span is words in one style. They are shown as they stand: nothing in them is
// markup.
type Span struct {
	Words string
	Style Style
}

// Text is what a message says.
type Text []Span

// Words returns a text in plain words.
func Words(s string) Text { return Text{{Words: s}} }

// String returns the words without their styles.
func (t Text) String() string {
	var b strings.Builder
	for _, s := range t {
		b.WriteString(s.Words)
	}
	return b.String()
}

// Cut shortens a text to a length, measured as l has it.
func (t Text) Cut(most int, l Limits) Text {
	out := make(Text, 0, len(t))
	for _, s := range t {
		n := l.Length(s.Words)
		if n > most {
			if s.Words = shorten(s.Words, most, l); s.Words != "" {
				out = append(out, s)
			}
			return out
		}
		most -= n
		out = append(out, s)
	}
	return out
}

// shorten cuts at a whole character and marks the cut.
func shorten(s string, most int, l Limits) string {
	most -= l.Length("…")
	if most < 0 {
		return ""
	}
	end := 0
	for i, r := range s {
		n := l.Length(string(r))
		if n > most {
			break
		}
		most -= n
		end = i + utf8.RuneLen(r)
	}
	return s[:end] + "…"
}

// clean is what a reader would see of words from elsewhere, on one line and not
// too long.
func clean(s string, most int) string {
	s = strings.Join(strings.Fields(agents.Plain(s)), " ")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
