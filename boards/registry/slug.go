package registry

import (
	"fmt"
	"strings"
)

// MaxSlugBytes is the length of the longest slug.
const MaxSlugBytes = 64

// SlugError says why a name cannot be a board's slug.
type SlugError struct {
	Slug string
	Why  string
}

func (e *SlugError) Error() string {
	return fmt.Sprintf("%q is not a board name: %s", e.Slug, e.Why)
}

// ParseSlug returns the slug that s means: upper case is folded, everything
// but [a-z0-9][a-z0-9_-]{0,63} is refused with a [*SlugError]. "current" is
// refused too: it names the pointer to the current board.
func ParseSlug(s string) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", &SlugError{s, fmt.Sprintf(format, args...)}
	}
	switch {
	case s == "":
		return refuse("it is empty")
	case len(s) > MaxSlugBytes:
		return refuse("it has %d bytes, at most %d are allowed", len(s), MaxSlugBytes)
	}
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case (c == '_' || c == '-') && i > 0:
		case c == '_' || c == '-':
			return refuse("it begins with %q; begin with a letter or digit", c)
		default:
			r := []rune(strings.ToValidUTF8(s[i:], "\uFFFD"))[0]
			return refuse("%q is not allowed; use a-z, 0-9, - and _", r)
		}
	}
	if string(b) == currentFile {
		return refuse("the name is reserved")
	}
	return string(b), nil
}
