package boards_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

var update = flag.Bool("update", false, "rewrite testdata/decide")

// TestDecide runs the given/when/then files. Each is a series of cases; a case
// starts with "case NAME" on a new board. A line "+1m" lets time pass. Any
// other line is a sender, a command and its JSON; what follows it, indented, is
// what it came to: the events and where the tasks stand, or the refusal.
//
// A sender is a person's name, dispatcher, system, gateway, "t1" for the open
// run of that task, or "t1.2" for a run that was open once. A claim by the
// dispatcher gets a token of its own.
func TestDecide(t *testing.T) {
	files, err := filepath.Glob("testdata/decide/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := script{t: t}
			for line := range strings.Lines(string(want)) {
				if !strings.HasPrefix(line, "\t") {
					s.line(strings.TrimRight(line, "\n"))
				}
			}
			got := s.out.String()
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, file, got, string(want))
		})
	}
}

func compare(t *testing.T, file, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	name := ""
	for i := range min(len(g), len(w)) {
		if c, ok := strings.CutPrefix(g[i], "case "); ok {
			name = c
		}
		if g[i] != w[i] {
			t.Fatalf("%s:%d, case %q:\n got %s\nwant %s\n(-update rewrites the file)", file, i+1, name, g[i], w[i])
		}
	}
	if len(g) != len(w) {
		t.Fatalf("%s: got %d lines, want %d", file, len(g), len(w))
	}
}

// script runs one file.
type script struct {
	t     *testing.T
	b     *boardstest.Board
	out   strings.Builder
	known map[string]boards.Principal // runs there were
}

func (s *script) line(line string) {
	fmt.Fprintln(&s.out, line)
	switch {
	case line == "" || strings.HasPrefix(line, "#"):
	case strings.HasPrefix(line, "case "):
		s.b = boardstest.New(s.t)
		s.known = make(map[string]boards.Principal)
	case strings.HasPrefix(line, "+"):
		d, err := time.ParseDuration(line[1:])
		if err != nil {
			s.t.Fatal(err)
		}
		s.b.Now = s.b.Now.Add(d)
	default:
		s.command(line)
	}
}

func (s *script) command(line string) {
	sender, rest, _ := strings.Cut(line, " ")
	name, data, _ := strings.Cut(rest, " ")
	if data == "" {
		data = "{}"
	}
	c, err := boards.DecodeCommand(name, []byte(data))
	if err != nil {
		s.say(err)
		return
	}
	if claim, ok := c.(boards.ClaimTask); ok && sender == "dispatcher" && claim.Token == (events.Digest{}) {
		claim.Token = events.DigestOf(fmt.Append(nil, len(s.b.Records)))
		c = claim
	}
	before := s.statuses()
	records, err := s.b.Do(s.sender(sender), c)
	if err != nil {
		s.say(err)
		return
	}
	for i := range records {
		s.event(&records[i])
	}
	if len(records) == 0 {
		fmt.Fprintln(&s.out, "\tnothing")
	}
	var moved []string
	for i, to := range s.statuses() {
		if i >= len(before) || before[i] != to {
			moved = append(moved, fmt.Sprintf("t%d %s", i+1, to))
		}
	}
	if len(moved) > 0 {
		fmt.Fprintf(&s.out, "\t= %s\n", strings.Join(moved, ", "))
	}
	if err := errors.Join(s.b.State.Check(), s.b.State.Settled()); err != nil {
		s.t.Errorf("after %s: %v", line, err)
	}
}

func (s *script) sender(word string) boards.Principal {
	switch word {
	case "dispatcher":
		return boardstest.TheDispatcher
	case "system":
		return boardstest.TheSystem
	case "gateway":
		return boardstest.TheGateway
	}
	if id, err := events.ParseTaskID(word); err == nil {
		p, ok := s.b.Worker(id)
		if !ok {
			s.t.Fatalf("%s has no open run", word)
		}
		return p
	}
	if _, err := events.ParseRunID(word); err == nil {
		return s.known[word]
	}
	return boardstest.Person(word)
}

func (s *script) statuses() []string { return places(s.b.State) }

func (s *script) event(r *events.Record) {
	if _, ok := r.Data.(events.RunClaimed); ok {
		if p, ok := s.b.Worker(r.Task); ok {
			s.known[r.Run.String()] = p
		}
	}
	data, err := json.Marshal(r.Data, json.Deterministic(true))
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(&s.out, "\t%d %s", r.Seq, r.Data.Type())
	about := r.Run.String()
	if about == "" {
		about = r.Task.String()
	}
	for _, word := range []string{about, trim(string(data))} {
		if word != "" && word != "{}" {
			fmt.Fprintf(&s.out, " %s", word)
		}
	}
	if r.Cause > 0 {
		fmt.Fprintf(&s.out, " because of %d", r.Cause)
	}
	fmt.Fprintln(&s.out)
	if f := s.b.Texts[r.Seq]; f != nil {
		text, err := json.Marshal(f, json.Deterministic(true))
		if err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(&s.out, "\t    %s\n", trim(string(text)))
	}
}

// trim leaves eight digits of every digest.
func trim(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 0
		for i+n < len(s) && strings.IndexByte("0123456789abcdef", s[i+n]) >= 0 {
			n++
		}
		switch {
		case n == 64:
			b.WriteString(s[i:i+8] + "…")
			i += n
		case n > 0:
			b.WriteString(s[i : i+n])
			i += n
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String()
}

func (s *script) say(err error) {
	var r *boards.Rejection
	if !errors.As(err, &r) {
		s.t.Fatalf("%v is not a rejection", err)
	}
	fmt.Fprintf(&s.out, "\trefused, %s: %s\n", r.Code, r.Detail)
	if r.Hint != "" {
		fmt.Fprintf(&s.out, "\t    %s\n", r.Hint)
	}
}
