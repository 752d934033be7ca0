package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Set puts what was typed for a key into a config.yaml and returns the new
// file. All else in it stays as it stands, comments included. The error is a
// [*KeyError] if key or value are wrong.
func Set(file []byte, path, text string) ([]byte, error) {
	v, err := parseValue(path, text)
	if err == nil {
		err = noSecrets(path, v)
	}
	if err != nil {
		return nil, err
	}
	return SetValue(file, path, v)
}

// noSecrets refuses variables that are secrets by their names: they would stand
// in the configuration, and be shown to every run.
func noSecrets(path string, v any) error {
	var names []string
	if vars, ok := v.(map[string]string); ok {
		names = slices.Sorted(maps.Keys(vars))
	} else if name, ok := strings.CutPrefix(path, "terminal.env."); ok {
		names = []string{name}
	}
	for _, name := range names {
		if IsSecretKey(name) {
			return &KeyError{Path: path, Why: name + " is a secret by its name, which belongs into .env: hermes config set " + name + " -"}
		}
	}
	return nil
}

// SetValue is Set for a value that is one of the key's type already.
func SetValue(file []byte, path string, v any) ([]byte, error) {
	if _, err := keyType(path); err != nil {
		return nil, err
	}
	return change(file, path, v, false)
}

// Unset takes a key out, and returns the file as it is if it is not in there.
func Unset(file []byte, path string) ([]byte, error) {
	if _, err := keyType(path); err != nil {
		return nil, err
	}
	return change(file, path, nil, true)
}

// change edits the text and proves the result: read back, it must be the file
// of before with just that key changed, and a good configuration.
func change(file []byte, path string, v any, remove bool) ([]byte, error) {
	before, err := readTree(file)
	if err != nil {
		return nil, err
	}
	names := strings.Split(path, ".")
	if v != nil {
		if v, err = plainValue(v); err != nil {
			return nil, err
		}
	}
	want := with(before, names, v, remove)
	lines := strings.SplitAfter(string(file), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	} else {
		lines[len(lines)-1] += "\n"
	}
	e := editor{lines: lines}
	if err := e.edit(file, names, v, remove); err != nil {
		return nil, err
	}
	after := []byte(strings.Join(e.lines, ""))
	got, err := readTree(after)
	if err != nil || !reflect.DeepEqual(tidy(got), tidy(want)) {
		return nil, fmt.Errorf("%s cannot be changed in this file as it is written; edit it by hand", path)
	}
	var c Config
	if err := ParseConfig(after, &c); err != nil {
		return nil, &KeyError{Path: path, Why: strings.TrimPrefix(err.Error(), path+": ")}
	}
	return after, nil
}

// plainValue brings a value into the form in which it is read back.
func plainValue(v any) (any, error) {
	b, err := yaml.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	err = decode(b, &out)
	return out, err
}

func readTree(file []byte) (map[string]any, error) {
	var tree map[string]any
	if err := decode(file, &tree); err != nil && !errors.Is(err, io.EOF) {
		return nil, plainError(err)
	}
	return tree, nil
}

// with returns a tree with one value changed or removed.
func with(tree map[string]any, names []string, v any, remove bool) map[string]any {
	out := make(map[string]any)
	for k, old := range tree {
		out[k] = old
	}
	if len(names) == 1 {
		if out[names[0]] = v; remove {
			delete(out, names[0])
		}
		return out
	}
	below, _ := out[names[0]].(map[string]any)
	out[names[0]] = with(below, names[1:], v, remove)
	return out
}

// tidy leaves out objects with nothing in them: with or without they mean the same.
func tidy(tree map[string]any) map[string]any {
	out := make(map[string]any)
	for k, v := range tree {
		if m, ok := v.(map[string]any); ok {
			if m = tidy(m); len(m) > 0 {
				out[k] = m
			}
		} else if v != nil {
			out[k] = v
		}
	}
	return out
}

// editor changes the lines of a file where its syntax tree says.
type editor struct {
	lines []string
}

// entry is one key of a block mapping: lines [from, to), starting at column.
type entry struct {
	node     *ast.MappingValueNode
	from, to int
	column   int // from 1
}

func (e *editor) edit(file []byte, names []string, v any, remove bool) error {
	f, err := parse(file)
	if err != nil {
		return plainError(err)
	}
	docs := slices.DeleteFunc(f.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	if len(docs) > 1 {
		return errors.New("there are several documents in this file; edit it by hand")
	}
	var values []*ast.MappingValueNode
	if len(docs) == 1 {
		values = entriesOf(docs[0].Body)
	}
	return e.within(values, 1, len(e.lines), names, v, remove)
}

// within edits below a mapping whose entries lie in the lines up to end.
func (e *editor) within(values []*ast.MappingValueNode, column, end int, names []string, v any, remove bool) error {
	at, ok := e.find(values, end, names[0])
	if !ok {
		if !remove {
			e.insert(e.tail(end, column), column, names, v)
		}
		return nil
	}
	if len(names) == 1 {
		if remove {
			e.lines = slices.Delete(e.lines, at.from, at.to)
		} else {
			e.replace(at, names[0], v)
		}
		return nil
	}
	below := entriesOf(at.node.Value)
	if blockBelow(at, below) {
		if remove && len(below) == 1 && below[0].Key.GetToken().Value == names[1] && len(names) == 2 {
			e.lines = slices.Delete(e.lines, at.from, at.to) // nothing would be left of it
			return nil
		}
		return e.within(below, below[0].Key.GetToken().Position.Column, at.to, names[1:], v, remove)
	}
	// Written in one line, or with nothing in it: written anew as a block.
	var old any
	if err := yaml.NodeToValue(at.node.Value, &old); err != nil {
		return plainError(err)
	}
	tree, _ := old.(map[string]any)
	e.replace(at, names[0], with(tree, names[1:], v, remove))
	return nil
}

// entriesOf are the keys of a mapping; nil if the node is none.
func entriesOf(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// blockBelow reports whether the keys below an entry stand on lines of their own.
func blockBelow(at entry, below []*ast.MappingValueNode) bool {
	if len(below) == 0 {
		return false
	}
	if m, ok := at.node.Value.(*ast.MappingNode); ok && m.IsFlowStyle {
		return false
	}
	return below[0].Key.GetToken().Position.Line-1 > at.from
}

// find looks a key up among entries that lie before the line end.
func (e *editor) find(values []*ast.MappingValueNode, end int, name string) (entry, bool) {
	for i, n := range values {
		key := n.Key.GetToken()
		if key.Value != name {
			continue
		}
		at := entry{node: n, from: key.Position.Line - 1, to: end, column: key.Position.Column}
		if i+1 < len(values) {
			at.to = values[i+1].Key.GetToken().Position.Line - 1
		}
		at.to = max(at.from+1, e.tail(at.to, at.column+1))
		return at, true
	}
	return entry{}, false
}

// tail goes back from a line over empty lines and comments that begin before
// a column: they belong to what follows.
func (e *editor) tail(line, column int) int {
	for line > 0 {
		text := strings.TrimRight(e.lines[line-1], " \t\r\n")
		indent := len(text) - len(strings.TrimLeft(text, " "))
		if text != "" && (text[indent] != '#' || indent+1 >= column) {
			break
		}
		line--
	}
	return line
}

// insert writes a new key before a line.
func (e *editor) insert(line, column int, names []string, v any) {
	for i := len(names) - 1; i > 0; i-- {
		v = map[string]any{names[i]: v}
	}
	e.lines = slices.Insert(e.lines, line, render(names[0], v, column)...)
}

// replace writes an entry anew; the comment on its first line stays.
func (e *editor) replace(at entry, name string, v any) {
	lines := render(name, v, at.column)
	if c := trailingComment(e.lines[at.from]); c != "" {
		lines[0] = strings.TrimRight(lines[0], "\n") + c + "\n"
	}
	e.lines = slices.Replace(e.lines, at.from, at.to, lines...)
}

// trailingComment is the comment at the end of a line, with the blanks before it.
func trailingComment(line string) string {
	line = strings.TrimRight(line, "\r\n")
	for _, t := range lexer.Tokenize(line) {
		if t.Type == token.CommentType && t.Position.Column > 1 {
			begin := strings.LastIndex(line, "#"+strings.TrimRight(t.Value, "\r\n"))
			if begin > 0 {
				return line[len(strings.TrimRight(line[:begin], " \t")):]
			}
		}
	}
	return ""
}

// render writes a key and its value at a column.
func render(name string, v any, column int) []string {
	var out any = map[string]any{name: v}
	if m, ok := v.(map[string]any); ok && len(m) == 0 {
		out = map[string]any{name: map[string]any{}}
	}
	b, err := yaml.MarshalWithOptions(out, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		panic(err) // it was marshalled before
	}
	lines := strings.SplitAfter(string(bytes.TrimRight(b, "\n"))+"\n", "\n")
	lines = lines[:len(lines)-1]
	for i, l := range lines {
		if strings.TrimSpace(l) != "" {
			lines[i] = strings.Repeat(" ", column-1) + l
		}
	}
	return lines
}

// EditConfig changes the config.yaml of a profile's folder, whole or not at all, while
// nobody else does.
func EditConfig(dir string, edit func(file []byte) ([]byte, error)) error {
	unlock, err := lockFile(filepath.Join(dir, ".config.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	path := filepath.Join(dir, ConfigFile)
	b, err := readConfig(path)
	if err != nil {
		return err
	}
	after, err := edit(b)
	if err != nil || bytes.Equal(after, b) {
		return err
	}
	return replaceFile(path, after)
}

// EditSecrets changes the .env of a profile's folder while nobody else does.
func EditSecrets(dir string, edit func(*Secrets) error) error {
	unlock, err := lockFile(filepath.Join(dir, ".config.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	s, err := LoadSecrets(dir)
	if err != nil {
		return err
	}
	if err := edit(s); err != nil {
		return err
	}
	return s.Save(dir)
}

// lockFile waits until a file is locked for this process alone.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != syscall.EINTR {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}
