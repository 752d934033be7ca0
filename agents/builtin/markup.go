package builtin

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// htmlTags are the tags met in Markdown; other words in angle brackets are placeholders, which are text.
var htmlTags = set(`a abbr b blockquote br center code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li ol
	p picture pre s source span strong sub summary sup table tbody td th thead tr u ul video`)

// asciiPunct are the characters that a backslash escapes in Markdown.
const asciiPunct = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// escapeOpening is escape for text at the beginning of a block, where more characters have a meaning.
func escapeOpening(s string) string {
	e := escape(s)
	if e == "" {
		return e
	}
	digits := len(e) - len(strings.TrimLeft(e, "0123456789"))
	switch {
	case strings.IndexByte("#>-+=|~:", e[0]) >= 0:
		return "\\" + e
	case digits > 0 && digits < len(e) && (e[digits] == '.' || e[digits] == ')'):
		return e[:digits] + "\\" + e[digits:]
	}
	return e
}

// escape writes s, one line of any text, so that Markdown shows it as it is. Code spans that are whole in s stay
// code spans. unescape is its inverse.
func escape(s string) string {
	var b strings.Builder
	pairs := func(c string) bool { return strings.Count(s, c) > 1 }
	tildes, dollars := pairs("~"), pairs("$")
	for i := 0; i < len(s); i++ {
		c := s[i]
		special := false
		switch c {
		case '`':
			if end := codeSpan(s, i); end > 0 {
				b.WriteString(s[i:end])
				i = end - 1
				continue
			}
			n := runOf(s[i:], '`')
			b.WriteString(strings.Repeat("\\`", n))
			i += n - 1
			continue
		case '\\', '*', '[', ']', '<':
			special = true
		case '_':
			special = !(i > 0 && i+1 < len(s) && wordByte(s[i-1]) && wordByte(s[i+1]))
		case '&':
			special = i+1 < len(s) && (s[i+1] == '#' || wordByte(s[i+1]))
		case '~':
			special = tildes
		case '$':
			special = dollars
		}
		if special {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// unescape reads what escape wrote.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '`':
			end := codeSpan(s, i)
			if end == 0 {
				end = i + runOf(s[i:], '`')
			}
			b.WriteString(s[i:end])
			i = end - 1
			continue
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(asciiPunct, s[i+1]) >= 0:
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// codeSpan returns the end of the code span that opens with the run of backticks at i, or zero.
func codeSpan(s string, i int) int {
	n := runOf(s[i:], '`')
	for j := i + n; j < len(s); {
		k := strings.IndexByte(s[j:], '`')
		if k < 0 {
			return 0
		}
		j += k
		if m := runOf(s[j:], '`'); m == n {
			return j + n
		} else {
			j += m
		}
	}
	return 0
}

// plainBytes bounds the text that plainText reads, whose search for closing marks is not linear.
const plainBytes = 1000

// plainText drops emphasis, links, tags and escapes from a line of Markdown. Code spans stay.
func plainText(s string) string {
	if len(s) > plainBytes {
		s = strings.ToValidUTF8(s[:plainBytes], "")
	}
	return collapse(plain(s, 8))
}

func plain(s string, depth int) string {
	if depth == 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 1
		switch c := s[i]; c {
		case '`':
			if end := codeSpan(s, i); end > 0 {
				n = end - i
			} else {
				n = runOf(s[i:], '`')
			}
		case '\\':
			if i+1 == len(s) || s[i+1] == ' ' {
				i++
				continue
			}
			if strings.IndexByte(asciiPunct, s[i+1]) >= 0 {
				i++
			}
		case '!', '[':
			if text, end := link(s, i); end > 0 {
				b.WriteString(plain(text, depth-1))
				i = end
				continue
			}
		case '<':
			if text, end := angle(s, i); end > 0 {
				b.WriteString(text)
				i = end
				continue
			}
		case '*', '_', '~':
			n = runOf(s[i:], c)
			if from := closing(s, i, n); from > 0 {
				b.WriteString(plain(s[i+n:from], depth-1))
				i = from + n
				continue
			}
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return b.String()
}

// link reads [text](target), [text][label] and the same with "!" before it at i.
func link(s string, i int) (text string, end int) {
	if s[i] == '!' {
		i++
	}
	if i == len(s) || s[i] != '[' {
		return "", 0
	}
	shut := matching(s, i, '[', ']')
	if shut < 0 || shut+1 == len(s) {
		return "", 0
	}
	pair := s[shut+1]
	if pair != '(' && pair != '[' {
		return "", 0
	}
	last := matching(s, shut+1, pair, map[byte]byte{'(': ')', '[': ']'}[pair])
	if last < 0 || pair == '(' && strings.Contains(strings.TrimSpace(s[shut+2:last]), " ") && !strings.Contains(s[shut+2:last], `"`) {
		return "", 0
	}
	return s[i+1 : shut], last + 1
}

// matching returns the index of the bracket that closes the one at i, or -1.
func matching(s string, i int, open, shut byte) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// angle reads an HTML tag or an address in angle brackets at i.
func angle(s string, i int) (text string, end int) {
	n := strings.IndexByte(s[i:], '>')
	if n < 0 {
		return "", 0
	}
	inner := s[i+1 : i+n]
	switch {
	case strings.HasPrefix(inner, "http://"), strings.HasPrefix(inner, "https://"):
		return inner, i + n + 1
	case tagLine(s[i : i+n+1]):
		if strings.HasPrefix(strings.ToLower(inner), "br") {
			return " ", i + n + 1
		}
		return "", i + n + 1
	}
	return "", 0
}

// closing returns where the run of n emphasis marks at i is closed, or zero.
func closing(s string, i, n int) int {
	c := s[i]
	if n > 3 || c == '~' && n != 2 || i+n == len(s) || s[i+n] == ' ' || alnumBefore(s, i) {
		return 0
	}
	for j := i + n + 1; j < len(s); j++ {
		switch s[j] {
		case '`':
			if end := codeSpan(s, j); end > 0 {
				j = end - 1
			}
		case '\\':
			j++
		case c:
			m := runOf(s[j:], c)
			if m == n && s[j-1] != ' ' && !alnumAfter(s, j+n) {
				return j
			}
			j += m - 1
		}
	}
	return 0
}

func alnumBefore(s string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(s[:i])
	return i > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

func alnumAfter(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return i < len(s) && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// placePath writes a path for a place "path:line": as it is, or quoted as in Go when it holds spaces, quotes or
// characters that do not show.
func placePath(p string) string {
	if p == "" || strings.ContainsAny(p, "\" \\") || !printable(p) || strings.ContainsFunc(p, unicode.IsSpace) ||
		strings.ContainsAny(p, "\u200c\u200d") {
		return strconv.Quote(p)
	}
	return p
}

// place writes "path:first" or "path:first-last".
func place(p string, first, last int) string {
	s := placePath(p) + ":" + strconv.Itoa(first)
	if last != first {
		s += "-" + strconv.Itoa(last)
	}
	return s
}
