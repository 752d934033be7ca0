package main

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// desk is a person at a terminal with a home of their own; commands run inside
// this process.
type desk struct {
	t    testing.TB
	dir  string // where they stand; the home is dir/home
	vars map[string]string
	ask  bool   // a person can be asked
	tty  int    // columns of the terminal; 0 = output goes into a pipe
	in   string // standard input
}

func newDesk(t testing.TB) *desk {
	dir := t.TempDir()
	return &desk{t: t, dir: dir, vars: map[string]string{"HOME": dir, "HERMES_HOME": dir + "/home", "HERMES_USER": "kai", "TMPDIR": dir}}
}

func (d *desk) env(out, words io.Writer, args ...string) Env {
	vars := maps.Clone(d.vars)
	return Env{Args: args, Stdin: strings.NewReader(d.in), Stdout: out, Stderr: words, Dir: d.dir, Prompt: d.ask,
		Terminal: d.tty > 0, Width: d.tty, User: vars["HERMES_USER"], Getenv: func(k string) string { return vars[k] }}
}

// hermes runs a command.
func (d *desk) hermes(args ...string) (out, words string, code int) {
	var o, e bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	code = run(ctx, d.env(&o, &e, args...))
	return o.String(), e.String(), code
}

// does runs a kanban verb that must succeed and returns what it prints.
func (d *desk) does(args ...string) string {
	d.t.Helper()
	out, words, code := d.hermes(append([]string{"kanban"}, args...)...)
	if code != 0 {
		d.t.Fatalf("hermes kanban %q: got exit %d, want 0\n%s%s", args, code, out, words)
	}
	return out
}

// refuses runs a kanban verb that must end with a code, say something that
// matches want, and print no data.
func (d *desk) refuses(code int, want string, args ...string) {
	d.t.Helper()
	out, words, got := d.hermes(append([]string{"kanban"}, args...)...)
	if got != code || !matches(want, words) || out != "" {
		d.t.Errorf("hermes kanban %.200q: got exit %d, stdout %q, words\n%swant exit %d and words like %q", args, got, out, words, code, want)
	}
}

// reads decodes JSON that a command has printed.
func reads[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %.500s", err, text)
	}
	return v
}

// split takes a line apart as a shell would that knows double quotes only.
func split(line string) []string {
	var words []string
	for _, w := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1) {
		words = append(words, strings.Trim(w, `"`))
	}
	return words
}

// writes makes a file where the person stands.
func (d *desk) writes(name, text string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }
