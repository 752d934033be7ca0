package main

import (
	"path/filepath"
	"strings"
)

// path is where a name on the command line leads.
func (x *call) path(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(x.Dir, name)
}

// shellQuote writes a word so that a shell reads it back the same.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r == '_' || r == '-' || r == '.' || r == ':' || r == '/' || r == '+' || r == '@' || r == ',' || r == '=' ||
			'0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shellLine writes a command line.
func shellLine(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = shellQuote(a)
	}
	return strings.Join(words, " ")
}
