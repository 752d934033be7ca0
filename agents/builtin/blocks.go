package builtin

import (
	"path"
	"strings"
)

// syntax is the kind of markup of a document, told by its extension.
type syntax int

const (
	markdown syntax = iota // and plain text
	restructured
	orgMode
	asciidoc
)

func syntaxOf(p string) syntax {
	switch strings.ToLower(path.Ext(p)) {
	case ".rst":
		return restructured
	case ".org":
		return orgMode
	case ".adoc":
		return asciidoc
	}
	return markdown
}

// runOf returns how often c stands at the start of s.
func runOf(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}

// markedHeading recognises a heading that is marked on its own line.
func markedHeading(sx syntax, line string) (level int, title string, ok bool) {
	mark := byte('#')
	switch sx {
	case orgMode:
		mark = '*'
	case asciidoc:
		mark = '='
	case restructured:
		return 0, "", false
	case markdown:
		if s := strings.TrimLeft(line, " "); len(line)-len(s) < 4 {
			line = s
		}
	}
	n := runOf(line, mark)
	if n == 0 || n > 6 || n < len(line) && line[n] != ' ' && line[n] != '\t' {
		return 0, "", false
	}
	title = strings.TrimSpace(line[n:])
	if t := strings.TrimRight(title, string(mark)); t == "" || strings.HasSuffix(t, " ") {
		title = strings.TrimSpace(t)
	}
	return n, title, true
}

// underline returns the character of a line that underlines a heading, or zero.
func underline(sx syntax, line string) byte {
	s := strings.TrimSpace(line)
	if s == "" || runOf(s, s[0]) != len(s) {
		return 0
	}
	switch {
	case sx == markdown && (s[0] == '=' || s[0] == '-') && len(s) >= 2:
		return s[0]
	case sx == restructured && strings.IndexByte(`=-~^"'#*+.:_`+"`", s[0]) >= 0 && len(s) >= 3:
		return s[0]
	}
	return 0
}

// ruled recognises a thematic break.
func ruled(line string) bool {
	s := strings.ReplaceAll(strings.TrimSpace(line), " ", "")
	return len(s) >= 3 && strings.IndexByte("-*_=~", s[0]) >= 0 && runOf(s, s[0]) == len(s)
}

// fenceOpen recognises the line that opens a block which must not be quoted, and returns how that block closes.
func fenceOpen(sx syntax, line string) (closes func(string) bool, ok bool) {
	s := strings.TrimSpace(line)
	if s == "" {
		return nil, false
	}
	if c := s[0]; (c == '`' || c == '~') && runOf(s, c) >= 3 && sx != restructured {
		n := runOf(s, c)
		if c == '`' && strings.IndexByte(s[n:], '`') >= 0 {
			return nil, false // inline code of several backticks
		}
		return func(l string) bool {
			l = strings.TrimSpace(l)
			return runOf(l, c) >= n && runOf(l, c) == len(l)
		}, true
	}
	switch sx {
	case markdown:
		if strings.HasPrefix(s, "<!--") {
			return func(l string) bool { return strings.Contains(l, "-->") }, true
		}
	case orgMode:
		if low := strings.ToLower(s); strings.HasPrefix(low, "#+begin_") && !strings.HasPrefix(low, "#+begin_quote") {
			return func(l string) bool {
				return strings.HasPrefix(strings.ToLower(strings.TrimSpace(l)), "#+end_")
			}, true
		}
		if s == ":PROPERTIES:" || s == ":LOGBOOK:" {
			return func(l string) bool { return strings.TrimSpace(l) == ":END:" }, true
		}
	case asciidoc:
		if strings.IndexByte("-.+/", s[0]) >= 0 && len(s) >= 4 && runOf(s, s[0]) == len(s) {
			return func(l string) bool { return strings.TrimSpace(l) == s }, true
		}
	}
	return nil, false
}

// quietDirectives are the directives of reStructuredText whose block is text to read.
var quietDirectives = map[string]bool{
	"note": true, "warning": true, "tip": true, "important": true, "hint": true, "caution": true, "danger": true,
	"attention": true, "admonition": true, "seealso": true, "versionadded": true, "versionchanged": true,
	"deprecated": true, "topic": true, "epigraph": true, "container": true,
}

// directive recognises a line of markup without text of its own. With block, the indented lines below it are
// markup too.
func directive(sx syntax, line string) (block, ok bool) {
	s := strings.TrimSpace(line)
	switch sx {
	case markdown:
		return false, tagLine(s) || linkDefinition(s)
	case restructured:
		if s == ".." {
			return true, true
		}
		if rest, found := strings.CutPrefix(s, ".. "); found {
			name, _, isDirective := strings.Cut(rest, "::")
			return !(isDirective && quietDirectives[name]), true
		}
		return false, strings.HasPrefix(s, ":") && strings.Contains(s[1:], ":") && !strings.Contains(s, "`")
	case orgMode:
		return false, strings.HasPrefix(s, "#+") || strings.HasPrefix(s, "# ")
	case asciidoc:
		return false, strings.HasPrefix(s, "//") || strings.HasPrefix(s, ":") && strings.Contains(s[1:], ":") ||
			strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") || strings.Contains(s, "::") && !strings.Contains(s, " ")
	}
	return false, false
}

// tagLine recognises a line of HTML.
func tagLine(s string) bool {
	if !strings.HasPrefix(s, "<") {
		return false
	}
	name := strings.TrimPrefix(s[1:], "/")
	n := 0
	for n < len(name) && (name[n]|0x20 >= 'a' && name[n]|0x20 <= 'z' || name[n] >= '0' && name[n] <= '9') {
		n++
	}
	return n > 0 && n < len(name) && htmlTags()[strings.ToLower(name[:n])] && strings.IndexByte(" >/", name[n]) >= 0
}

// linkDefinition recognises "[label]: target".
func linkDefinition(s string) bool {
	if !strings.HasPrefix(s, "[") {
		return false
	}
	i := strings.IndexByte(s, ']')
	return i > 0 && i+1 < len(s) && s[i+1] == ':'
}

// itemMark returns the length of the indentation and marker that begin a list item, or zero.
func itemMark(sx syntax, line string) int {
	s := strings.TrimLeft(line, " \t")
	indent := len(line) - len(s)
	n := 0
	switch {
	case s == "":
		return 0
	case strings.HasPrefix(s, "•"):
		n = len("•")
	case strings.IndexByte("-*+", s[0]) >= 0:
		n = 1
		if sx == asciidoc {
			n = runOf(s, s[0])
		}
	case sx == asciidoc && s[0] == '.':
		n = runOf(s, '.')
	case sx == restructured && strings.HasPrefix(s, "#."):
		n = 2
	case s[0] >= '0' && s[0] <= '9':
		for n < len(s) && n < 9 && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == len(s) || s[n] != '.' && s[n] != ')' {
			return 0
		}
		n++
	}
	if n == 0 || n == len(s) || s[n] != ' ' && s[n] != '\t' {
		return 0
	}
	n += len(s[n:]) - len(strings.TrimLeft(s[n:], " \t"))
	for _, box := range []string{"[ ] ", "[x] ", "[X] "} {
		if strings.HasPrefix(s[n:], box) {
			n += len(box)
		}
	}
	return indent + n
}

// delimiterRow recognises the line below the header of a table, or between the rows of a drawn one.
func delimiterRow(line string) bool {
	s := strings.TrimSpace(line)
	return strings.Trim(s, "|:-+= ") == "" && strings.ContainsAny(s, "|+") && strings.ContainsAny(s, "-=")
}

// indentOf returns the columns of white space before a line's text; a tab is four.
func indentOf(line string) int {
	n := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			n++
		case '\t':
			n += 4
		default:
			return n
		}
	}
	return n
}
