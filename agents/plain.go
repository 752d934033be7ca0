package agents

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapes are the sequences by which a terminal is told to do things.
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b[ -/]*[0-~]")

// Plain returns what a reader would see of s: valid UTF-8 without terminal
// sequences, control characters other than line breaks and tabs, and
// characters that are invisible or change the direction of reading. It is for
// words of programs and strangers that are put before an agent or a person.
func Plain(s string) string {
	if strings.IndexByte(s, 0x1b) >= 0 {
		s = escapes.ReplaceAllString(s, "")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t', r == '\u200c' || r == '\u200d': // the joiners are spelling in some scripts
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, s)
}

// oneLine is Plain on a single line, cut to at most limit bytes.
func oneLine(s string, limit int) string {
	s = strings.Join(strings.Fields(Plain(s)), " ")
	if n := cutAt(s, limit); n < len(s) {
		return s[:n] + "…"
	}
	return s
}

// cutAt returns where to cut s so that at most limit bytes of whole characters are left.
func cutAt(s string, limit int) int {
	if len(s) <= limit {
		return len(s)
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return limit
}
