package chat

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// MaxWords is how many arguments a command may have.
const MaxWords = 200

// ErrQuote says that a quotation was begun and not ended.
var ErrQuote = errors.New("a quotation mark has no partner")

// closing names the mark that ends what another begins. A phone types several.
var closing = map[rune]string{
	'"': `"“”„`, '“': `"“”`, '”': `"”“`, '„': `"“”`, '«': `»`, '»': `«`,
	'\'': `'‘’`, '‘': `'’`, '‚': `'‘’`,
}

// Split takes a line apart as a shell would, without being one: blanks part
// words, quotation marks of every kind and the backslash keep them together, and
// nothing is expanded. A dash that a phone made of two is two again where a word
// begins. An apostrophe within a word is one.
func Split(line string) ([]string, error) {
	s := splitter{rest: []rune(line)}
	for s.skip() {
		w, err := s.word()
		if err != nil {
			return nil, err
		}
		if s.words = append(s.words, w); len(s.words) > MaxWords {
			return nil, fmt.Errorf("a command has at most %d words", MaxWords)
		}
	}
	return s.words, nil
}

type splitter struct {
	rest  []rune
	words []string
}

// skip goes to the next word, if there is one.
func (s *splitter) skip() bool {
	for len(s.rest) > 0 && unicode.IsSpace(s.rest[0]) {
		s.rest = s.rest[1:]
	}
	return len(s.rest) > 0
}

func (s *splitter) word() (string, error) {
	var b strings.Builder
	start := true
	for len(s.rest) > 0 && !unicode.IsSpace(s.rest[0]) {
		r := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case start && (r == '—' || r == '―'):
			b.WriteString("--")
		case start && r == '–':
			if len(s.rest) > 1 && !unicode.IsSpace(s.rest[1]) { // –a is short, –all long
				b.WriteByte('-')
			}
			b.WriteByte('-')
		case r == '\\' && len(s.rest) > 0:
			b.WriteRune(s.rest[0])
			s.rest = s.rest[1:]
		case closing[r] != "" && (start || !apostrophe(r)):
			if err := s.quoted(&b, closing[r]); err != nil {
				return "", err
			}
		default:
			b.WriteRune(r)
		}
		start = r == '=' // --title="x"
	}
	return b.String(), nil
}

// apostrophe reports whether a mark may also stand within a word.
func apostrophe(r rune) bool { return r == '\'' || r == '‘' || r == '’' }

// quoted copies what stands before one of the closing marks.
func (s *splitter) quoted(b *strings.Builder, until string) error {
	for i := 0; i < len(s.rest); i++ {
		r := s.rest[i]
		switch {
		case r == '\\' && i+1 < len(s.rest) && strings.ContainsRune(`"\`, s.rest[i+1]):
			i++
			b.WriteRune(s.rest[i])
		case strings.ContainsRune(until, r) && s.ends(i, r):
			s.rest = s.rest[i+1:]
			return nil
		default:
			b.WriteRune(r)
		}
	}
	return ErrQuote
}

// ends reports whether the mark at i ends a quotation: an apostrophe does so at
// the end of a word only, so that 'it's done' is one word.
func (s *splitter) ends(i int, r rune) bool {
	return !apostrophe(r) || i+1 == len(s.rest) || !unicode.IsLetter(s.rest[i+1])
}
