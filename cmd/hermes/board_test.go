package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/events"
)

// visitor is somebody at a terminal, with a home of her own.
type visitor struct {
	t    *testing.T
	home string
}

// types runs one command line in this process; input is what she answers.
func (p visitor) types(input string, args ...string) (out, words string, code int) {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	getenv := func(name string) string {
		return map[string]string{"HERMES_HOME": p.home, "HOME": p.home, "TMPDIR": p.home}[name]
	}
	code = run(p.t.Context(), Env{Args: args, Stdin: strings.NewReader(input), Stdout: &stdout, Stderr: &stderr,
		Getenv: getenv, Dir: p.home, Prompt: true, User: "kai"})
	return stdout.String(), stderr.String(), code
}

func TestDeleteWantsTheNameTyped(t *testing.T) {
	p := visitor{t, t.TempDir()}
	if _, words, code := p.types("", "board", "create", "acme"); code != exitOK {
		t.Fatalf("create: exit %d: %s", code, words)
	}
	for _, answer := range []string{"", "yes\n", "beta\n"} {
		_, words, code := p.types(answer, "board", "delete", "acme")
		if code != exitRefused || !strings.Contains(words, "Type acme to go on") || !strings.Contains(words, "nothing was done") {
			t.Errorf("answer %q: got exit %d and %q, want a refusal", answer, code, words)
		}
	}
	if _, err := os.Stat(filepath.Join(p.home, "boards", "acme", "board.db")); err != nil {
		t.Fatalf("the board is gone: %v", err)
	}
	if out, words, code := p.types("acme\n", "board", "delete", "acme"); code != exitOK || out != "acme is deleted\n" {
		t.Errorf("answer acme: got exit %d, %q, %q, want it deleted", code, out, words)
	}
}

func TestStopAsks(t *testing.T) {
	p := visitor{t, t.TempDir()}
	if _, words, code := p.types("no\n", "stop", "--all"); code != exitRefused {
		t.Errorf("answer no: got exit %d and %q, want a refusal", code, words)
	}
	if out, words, code := p.types("yes\n", "stop", "--all"); code != exitOK || out != "nothing was running\n" {
		t.Errorf("answer yes: got exit %d, %q, %q, want nothing to stop", code, out, words)
	}
}

// What a dead child says about a file depends on what it died of.
func TestChildDied(t *testing.T) {
	for _, c := range []struct {
		script  string
		damaged bool
	}{
		{"kill -SEGV $$", true},
		{"kill -BUS $$", true},
		{"exit 2", true}, // a panic
		{"kill -KILL $$", false},
		{"kill -TERM $$", false},
		{"exit 0", false},
	} {
		err := exec.Command("sh", "-c", c.script).Run()
		problems, err := childDied(t.Context(), "board.db", err)
		if got := errors.Is(err, events.ErrDamaged); got != c.damaged || (len(problems) > 0) != c.damaged || err == nil {
			t.Errorf("%s: got %v, %v, want damaged %v", c.script, problems, err, c.damaged)
		}
	}
	if _, err := childDied(t.Context(), "board.db", errors.New("no such program")); err == nil || errors.Is(err, events.ErrDamaged) {
		t.Errorf("no child: got %v, want an error that blames nobody", err)
	}
}

func TestVerifyChildIsHidden(t *testing.T) {
	p := visitor{t, t.TempDir()}
	out, _, _ := p.types("", "--help")
	if strings.Contains(out, verifyChildName) {
		t.Errorf("the help names %s", verifyChildName)
	}
	path := filepath.Join(p.home, "board.db")
	if err := os.WriteFile(path, []byte("no board"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, code := p.types("", verifyChildName, path); code != exitDamaged || !strings.Contains(out, `"refused"`) {
		t.Errorf("no board: got exit %d and %s, want %d and why", code, out, exitDamaged)
	}
	if _, err := verifyFile(t.Context(), path); !errors.Is(err, events.ErrDamaged) {
		t.Errorf("through a real child: got %v, want %v", err, events.ErrDamaged)
	}
}

func TestDigestsIn(t *testing.T) {
	d := events.DigestOf([]byte("x"))
	for _, c := range []struct {
		record string
		want   int
	}{
		{`{"sha256":"` + d.String() + `","name":"` + d.String() + `"}`, 2},
		{`["` + d.String() + `"]`, 1},
		{`"` + d.String()[1:] + `"`, 0},
		{`"` + d.String() + `0"`, 0},
		{`"`, 0},
		{``, 0},
	} {
		n := 0
		for got := range digestsIn([]byte(c.record)) {
			if n++; got != d {
				t.Errorf("%s: got %s, want %s", c.record, got, d)
			}
		}
		if n != c.want {
			t.Errorf("%s: got %d digests, want %d", c.record, n, c.want)
		}
	}
}

// A replay with a speed waits as it was, divided, and never long.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &replayPlan{speed: 4}
		at := events.TimeOf(time.Now())
		for _, c := range []struct {
			gap, want time.Duration
		}{{8 * time.Second, 2 * time.Second}, {time.Hour, maxGap}, {0, 0}, {-time.Second, 0}} {
			start := time.Now()
			if err := p.pace(t.Context(), at, at.Add(c.gap)); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != c.want {
				t.Errorf("a gap of %v: waited %v, want %v", c.gap, got, c.want)
			}
		}
	})
}

// A timeline never lets what others wrote reach the terminal as it is.
func TestTimelineIsPrintable(t *testing.T) {
	evil := "a\x1b[31m\x07\u009b31m\u202eb\nc"
	var out bytes.Buffer
	l := &timeline{x: &call{Env: Env{Stdout: &out, Stderr: io.Discard}}, board: "acme", wide: 1, where: time.UTC}
	for _, r := range []events.Record{
		{Seq: 1, Time: 1, Actor: events.Actor{Kind: events.Human, Name: evil, Via: evil}, Data: events.TaskCreated{Assignee: evil}, Task: 1, Tenant: evil},
		{Seq: 2, Time: 1, Actor: events.Actor{Kind: events.Worker, Name: evil}, Data: events.RunClaimed{Agent: evil, Runtime: evil, Model: evil, Backend: evil}, Task: 1, Run: events.RunID{Task: 1, N: 1}},
		{Seq: 3, Time: 1, Actor: events.Actor{Kind: events.Worker, Name: evil}, Data: events.RunEnded{Egress: []events.Egress{{Host: evil, Refused: 1}}}, Task: 1, Run: events.RunID{Task: 1, N: 1}},
	} {
		text, err := events.EncodeText(events.Text{Salt: events.Salt{1}, Fields: events.Fields{Title: evil, Reason: evil, Evidence: evil}})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.tell(events.Entry{Seq: r.Seq, Text: text}, r); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"\x1b", "\x07", "\u009b", "\u202e", "b\nc"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%q got through: %q", bad, out.String())
		}
	}
	if !strings.Contains(out.String(), "31m") {
		t.Errorf("got %q, want the rest of the text", out.String())
	}
}
