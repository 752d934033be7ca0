package builtin

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// span is the stretch text[from:to].
type span struct{ from, to int }

// abbreviations do not end a sentence, in English and German.
var abbreviations = set(`e.g i.e etc vs dr mr mrs ms prof st no nr fig cf ca approx al incl resp sec ch eq ed eds vol pp p
	z.b bzw usw d.h u.a v.a o.ä ggf evtl inkl exkl bspw sog vgl abs art abb tab str`)

// sentences cuts collapsed text into sentences, without the spaces between them.
func sentences(text string) []span {
	var out []span
	from := 0
	end := func(to int) {
		if to > from {
			out = append(out, span{from, to})
		}
		for to < len(text) && text[to] == ' ' {
			to++
		}
		from = to
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		switch r {
		case '。', '！', '？':
			end(closers(text, i))
		case '.', '!', '?', '…':
			stop := closers(text, i)
			if stop < len(text) && text[stop] == ' ' && opensSentence(text[stop+1:]) && !(r == '.' && abbreviated(text[from:i-1])) {
				end(stop)
			}
			i = stop // what closes a sentence was looked at: a long run of it is read once
		}
		if i < from {
			i = from
		}
	}
	end(len(text))
	return out
}

// closers returns the offset after the quotes, brackets and marks that close a sentence with its stop.
func closers(text string, i int) int {
	for i < len(text) {
		r, n := utf8.DecodeRuneInString(text[i:])
		if !strings.ContainsRune(`"')]*_”’»“.!?…」』）`+"`", r) {
			break
		}
		i += n
	}
	return i
}

// opensSentence reports whether s looks like the beginning of a sentence.
func opensSentence(s string) bool {
	for _, r := range s {
		switch {
		case unicode.IsUpper(r) || unicode.IsDigit(r) || unicode.Is(unicode.Lo, r):
			return true
		case unicode.IsLower(r):
			return false
		case !strings.ContainsRune("\"'([*_„“‘«`", r):
			return false
		case r == '`':
			return true
		}
	}
	return false
}

// abbreviated reports whether the text before a full stop ends in an abbreviation, an initial or an ordinal.
func abbreviated(before string) bool {
	word := before[strings.LastIndexAny(before, " (")+1:]
	if word == "" {
		return true
	}
	if r, n := utf8.DecodeRuneInString(word); n == len(word) && unicode.IsLetter(r) {
		return true
	}
	if len(word) <= 2 && strings.Trim(word, "0123456789") == "" {
		return true
	}
	return abbreviations()[strings.ToLower(word)]
}

// set is a set of words that is made when it is first asked for: every command
// of the program would pay for it otherwise.
func set(list string) func() map[string]bool {
	return sync.OnceValue(func() map[string]bool {
		m := make(map[string]bool)
		for _, w := range strings.Fields(list) {
			m[w] = true
		}
		return m
	})
}
