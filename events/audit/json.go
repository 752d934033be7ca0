package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A value is an object, a list, a string, a json.Number, a bool or nil.
type (
	value  any
	object []member
	list   []value
	member struct {
		name  string
		value value
	}
)

// parse reads one JSON value with the members of objects in their order. It
// refuses duplicate members and trailing bytes.
func parse(b []byte) (value, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("bytes after the end")
	}
	return v, nil
}

func parseValue(d *json.Decoder) (value, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return parseObject(d)
	case json.Delim('['):
		return parseList(d)
	}
	return t, nil
}

func parseObject(d *json.Decoder) (value, error) {
	o := object{}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok || seen[name] {
			return nil, fmt.Errorf("member %v twice", t)
		}
		seen[name] = true
		v, err := parseValue(d)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, v})
	}
	_, err := d.Token()
	return o, err
}

func parseList(d *json.Decoder) (value, error) {
	l := list{}
	for d.More() {
		v, err := parseValue(d)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	_, err := d.Token()
	return l, err
}

// canonical appends the one way to write v: no white space, members and
// numbers as they are, strings with as few escapes as JSON allows.
func canonical(b []byte, v value) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(quote(b, m.name), ':')
			b = canonical(b, m.value)
		}
		return append(b, '}')
	case list:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = canonical(b, e)
		}
		return append(b, ']')
	case string:
		return quote(b, v)
	case json.Number:
		return append(b, v...)
	case bool:
		return fmt.Append(b, v)
	default:
		return append(b, "null"...)
	}
}

// quote escapes the quote, the backslash and what is below U+0020, the last
// by its short form where there is one.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		switch e := strings.IndexByte("\"\\\b\f\n\r\t", c); {
		case e >= 0:
			b = append(b, '\\', `"\bfnrt`[e])
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// parseCanonical parses b and reports how it differs from canonical form. ok
// is false if it is no JSON at all.
func parseCanonical(b []byte) (v value, problems []string, ok bool) {
	if !utf8.Valid(b) {
		return nil, []string{"is not valid UTF-8"}, false
	}
	v, err := parse(b)
	if err != nil {
		return nil, []string{"is not JSON: " + err.Error()}, false
	}
	if !bytes.Equal(canonical(nil, v), b) {
		problems = append(problems, "is not in canonical form")
	}
	return v, problems, true
}
