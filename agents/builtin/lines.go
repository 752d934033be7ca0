package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitLines cuts text at "\n" and "\r\n". A byte order mark is dropped. The line ends are not part of the lines;
// a final line end opens no further line.
func splitLines(text string) []string {
	text = strings.TrimPrefix(text, "\uFEFF")
	if text == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}

// collapse trims s and takes each run of white space inside it as one space.
func collapse(s string) string {
	s = strings.TrimSpace(s)
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c < ' ' || (c == ' ' && s[i-1] == ' ') {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// printable reports whether s shows nothing but what its letters say: no control, bidirectional or invisible
// characters. The joiners that several scripts need inside words are allowed.
func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) && r != '\u200c' && r != '\u200d' || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// visible drops from s what printable forbids, and collapses white space.
func visible(s string) string {
	s = collapse(s)
	if printable(s) {
		return s
	}
	return collapse(strings.Map(func(r rune) rune {
		if printable(string(r)) {
			return r
		}
		return -1
	}, s))
}

// shorten cuts s to at most max runes, at a word where it can, and marks the cut.
func shorten(s string, max int) string {
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	cut := string([]rune(s)[:max-1])
	if i := strings.LastIndexByte(cut, ' '); i > len(cut)/2 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:") + "…"
}
