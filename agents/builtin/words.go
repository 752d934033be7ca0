package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words longer than this are not words: keys, hashes, encoded data.
const wordBytes = 48

// eachWord calls f with every word of s in lower case: a run of letters, marks and digits. Each Han character,
// and each kana, is a word of its own, since those scripts put no spaces between words.
func eachWord(s string, f func(word string)) {
	start := -1
	flush := func(end int) {
		if start >= 0 && end-start <= wordBytes {
			f(lower(s[start:end]))
		}
		start = -1
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if wordByte(c) {
				if start < 0 {
					start = i
				}
			} else {
				flush(i)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			flush(i)
			f(s[i : i+n])
		case wordRune(r):
			if start < 0 {
				start = i
			}
		default:
			flush(i)
		}
		i += n
	}
	flush(len(s))
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
}

func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return strings.ToLower(s)
		}
	}
	return s
}

// topical reports whether a word in lower case can say what a text is about.
func topical(w string) bool {
	if stopWords()[w] {
		return false
	}
	digits := strings.Trim(w, "0123456789") == ""
	if len(w) < 3 { // bytes: one letter beyond ASCII may be a word
		return len(w) == 2 && !digits // ci, go, ui
	}
	return !digits || len(w) == 4
}

// stemSet returns the stems of the topical words of s.
func stemSet(lang language, s string) map[string]bool {
	out := make(map[string]bool)
	eachWord(s, func(w string) {
		if topical(w) {
			out[stem(lang, w)] = true
		}
	})
	return out
}

// topicWords returns the words of a topic that ask for something, in order and each once. None are left of a
// topic that only asks for an overview of the folder: "Brief on this repository".
func topicWords(topic string) []string {
	var words []string
	seen := make(map[string]bool)
	opening, onlyCollection := true, true
	eachWord(topic, func(w string) {
		if opening && requestWords()[w] || !topical(w) {
			return
		}
		opening = false
		if !seen[w] && len(words) < topicTerms {
			seen[w] = true
			words = append(words, w)
			onlyCollection = onlyCollection && collectionWords()[w]
		}
	})
	if onlyCollection {
		return nil
	}
	return words
}

// topicTerms bounds the words of a topic.
const topicTerms = 32
