package events

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// wire walks one JSON value in canonical form, reading it or writing it. A
// type describes its members once, in order, and the same description serves
// both directions; so what is written is what is read.
//
// Reading is only the fast path: anything but canonical bytes fails, without
// saying why, and the general decoder has the last word. Writing fails on a
// value that could not be read back. After the first failure all calls do
// nothing.
type wire struct {
	b       []byte // writing: what was written; reading: the input
	at      int    // reading: where the next byte is
	writing bool
	err     error
	names   *interner // reading: nil = none
}

var errNotCanonical = errors.New("not canonical")

// presence says whether a member may be left out. One that may is left out
// exactly where its value is zero.
type presence bool

const (
	required presence = true
	optional presence = false
)

// fail keeps the first error; nil is none.
func (w *wire) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// peek reports whether c comes next.
func (w *wire) peek(c byte) bool { return w.at < len(w.b) && w.b[w.at] == c }

// token writes or reads one byte of punctuation.
func (w *wire) token(c byte) {
	switch {
	case w.writing:
		w.b = append(w.b, c)
	case w.err == nil && w.peek(c):
		w.at++
	default:
		w.fail(errNotCanonical)
	}
}

// open and close walk the braces of an object.
func (w *wire) open()  { w.token('{') }
func (w *wire) close() { w.token('}') }

// member writes the name of a member that is present, or reports whether the
// named one comes next and moves behind its colon.
func (w *wire) member(name string, present bool) bool {
	if w.err != nil {
		return false
	}
	if w.writing {
		if !present {
			return false
		}
		if w.b[len(w.b)-1] != '{' {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, '"')
		w.b = append(w.b, name...)
		w.b = append(w.b, '"', ':')
		return true
	}
	at := w.at
	if w.b[at-1] != '{' {
		if !w.peek(',') {
			return false
		}
		at++
	}
	end := at + len(name) + 3
	if end > len(w.b) || w.b[at] != '"' || string(w.b[at+1:end-2]) != name || w.b[end-2] != '"' || w.b[end-1] != ':' {
		return false
	}
	w.at = end
	return true
}

// field is member for a value whose zero is known: it fails on a required
// member that is missing.
func (w *wire) field(name string, zero bool, p presence) bool {
	ok := w.member(name, p == required || !zero)
	if !ok && p == required {
		w.fail(errNotCanonical)
	}
	return ok
}

// settle fails where an optional member was read although it is zero.
func (w *wire) settle(zero bool, p presence) {
	if zero && p == optional {
		w.fail(errNotCanonical)
	}
}

// quoted reads a string literal and returns what is between the quotes. plain
// says that it stands for itself: no escapes, all printable ASCII or valid UTF-8.
func (w *wire) quoted() (inner []byte, plain bool) {
	if w.err != nil || !w.peek('"') {
		w.fail(errNotCanonical)
		return nil, false
	}
	start := w.at + 1
	ascii := true
	for i := start; i < len(w.b); i++ {
		switch c := w.b[i]; {
		case c == '"':
			inner = w.b[start:i]
			w.at = i + 1
			return inner, ascii || utf8.Valid(inner)
		case c == '\\':
			return w.escaped(start, i)
		case c < ' ':
			w.fail(errNotCanonical)
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	w.fail(errNotCanonical)
	return nil, false
}

// escaped finds the end of a literal with escapes, the first of them at i.
func (w *wire) escaped(start, i int) (inner []byte, plain bool) {
	for ; i < len(w.b); i++ {
		switch w.b[i] {
		case '\\':
			i++
		case '"':
			w.at = i + 1
			return w.b[start:i], false
		}
	}
	w.fail(errNotCanonical)
	return nil, false
}

// str walks a bare string value.
func (w *wire) str(v *string) {
	if w.writing {
		w.writeString(*v)
		return
	}
	inner, plain := w.quoted()
	switch {
	case w.err != nil:
	case plain:
		*v = w.names.intern(inner)
	default:
		s, err := jsontext.AppendUnquote(nil, w.b[w.at-len(inner)-2:w.at])
		if err != nil {
			w.fail(errNotCanonical)
		}
		*v = string(s)
	}
}

func (w *wire) writeString(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			b, err := jsontext.AppendQuote(w.b, s)
			if err != nil {
				w.fail(err)
				return
			}
			w.b = b
			return
		}
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"')
}

// text walks a string member.
func (w *wire) text(name string, v *string, p presence) {
	if w.field(name, *v == "", p) {
		w.str(v)
		w.settle(*v == "", p)
	}
}

// flag walks an optional boolean: true, or left out.
func (w *wire) flag(name string, v *bool) {
	if !w.member(name, *v) {
		return
	}
	if w.writing {
		w.b = append(w.b, "true"...)
		return
	}
	if end := w.at + 4; end <= len(w.b) && string(w.b[w.at:end]) == "true" {
		w.at, *v = end, true
		return
	}
	w.fail(errNotCanonical)
}

// whole walks an integer member of any size.
func whole[T ~int | ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](w *wire, name string, v *T, p presence) {
	if w.field(name, *v == 0, p) {
		integer(w, v)
		w.settle(*v == 0, p)
	}
}

// integer walks a bare integer.
func integer[T ~int | ~int32 | ~int64 | ~uint8 | ~uint32 | ~uint64](w *wire, v *T) {
	if w.writing {
		if *v < 0 {
			w.b = strconv.AppendInt(w.b, int64(*v), 10)
		} else {
			w.b = strconv.AppendUint(w.b, uint64(*v), 10)
		}
		return
	}
	negative := w.peek('-')
	if negative {
		w.at++
	}
	n := w.digits()
	*v = T(n)
	if negative {
		*v = -*v
		if n == 0 || *v >= 0 || uint64(-*v) != n {
			w.fail(errNotCanonical)
		}
	} else if *v < 0 || uint64(*v) != n {
		w.fail(errNotCanonical)
	}
}

// digits reads a decimal number in its only spelling.
func (w *wire) digits() (n uint64) {
	start := w.at
	for ; w.at < len(w.b); w.at++ {
		c := w.b[w.at] - '0'
		if c > 9 {
			break
		}
		n = n*10 + uint64(c)
	}
	switch length := w.at - start; {
	case length == 0 || length > 19: // the few numbers of 20 digits are left to the general decoder
		w.fail(errNotCanonical)
	case length > 1 && w.b[start] == '0':
		w.fail(errNotCanonical)
	}
	return n
}

// list walks an optional array: left out where nil.
func list[T any](w *wire, name string, v *[]T, element func(*wire, *T)) {
	if !w.member(name, *v != nil) {
		return
	}
	w.token('[')
	if w.writing {
		for i := range *v {
			if i > 0 {
				w.token(',')
			}
			element(w, &(*v)[i])
		}
	} else {
		*v = []T{}
		for w.err == nil && !w.peek(']') {
			if len(*v) > 0 {
				w.token(',')
			}
			*v = append(*v, *new(T))
			element(w, &(*v)[len(*v)-1])
		}
	}
	w.token(']')
}

// raw reads the object that comes next without looking into it. What it
// returns is an object only if it parses as one.
func (w *wire) raw() []byte {
	start, depth := w.at, 0
	for w.err == nil && w.at < len(w.b) {
		switch w.b[w.at] {
		case '"':
			w.quoted()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		w.at++
		if depth == 0 {
			return w.b[start:w.at]
		}
	}
	w.fail(errNotCanonical)
	return nil
}
