//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// otherCanary is in every field of the client beta, which acme must not see.
const otherCanary = "CANARY-19b2"

// trespass is a home with two clients, and what was found when one tried to
// look at the other. Those who look are other tests, too, which make sure that
// something would be found.
type trespass struct {
	*place
	gate  *running // acme's gateway
	again int      // how often an answer that differs is asked for once more
	only  []string // verbs, if not all
	tried int
	found []string
}

// newTrespass makes acme and beta, with the canary in whatever can hold one.
func newTrespass(t *testing.T) *trespass {
	t.Helper()
	p := clientPlace(t)
	p.must("profile", "create", "acme", "--no-alias")
	p.must("profile", "create", "beta", "--no-alias", "--description", otherCanary)
	word := strings.ToLower(otherCanary)
	dir := filepath.Join(p.dir, "profiles", "beta")
	for name, text := range map[string]string{
		".env": "SHOP_KEY=" + otherCanary + "\n", "SOUL.md": otherCanary, "skills/" + word + "/SKILL.md": otherCanary,
		"agents/" + word + "/config.yaml": "description: " + otherCanary + "\nruntime: {kind: command, command: [sh, -c, echo " + otherCanary + "; sleep 60]}\nterminal: {backend: local}\n",
		"cron/" + word + ".yaml":          "schedule: '@daily'\nboard: beta\ntask: {title: " + otherCanary + "}\n",
		"recipes/" + word + ".yaml":       otherCanary, "logs/gateway.log": otherCanary, "planner.yaml": "command: [" + otherCanary + "]\n",
	} {
		p.write(filepath.Join(dir, name), text)
	}
	p.write(filepath.Join(p.dir, "given.txt"), otherCanary)
	for _, args := range [][]string{
		{"create", otherCanary, "--body", otherCanary, "--tenant", otherCanary, "--assignee", word, "--skill", word, "--idempotency-key", otherCanary},
		{"create", otherCanary, "--triage"}, {"comment", "t1", otherCanary}, {"block", "t1", otherCanary, "--option", otherCanary},
		{"attach", "t1", filepath.Join(p.dir, "given.txt")}, {"create", "child", "--parent", "t1"}, {"create", otherCanary, "--assignee", word},
		{"notify-subscribe", "t1", "--to", "telegram:" + "190019"},
	} {
		p.must(append([]string{"-p", "beta", "kanban"}, args...)...)
	}
	p.must("-p", "acme", "kanban", "create", "of acme's own")
	for _, name := range []string{"beta", "bqxz"} { // bqxz is not there
		for link, target := range map[string]string{"board-" + name: "boards/" + name, "profile-" + name: "profiles/" + name} {
			if err := os.Symlink(filepath.Join(p.dir, target), filepath.Join(p.dir, "profiles", "acme", link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return &trespass{place: p, gate: p.gateway("--profile", "acme")}
}

func (p *place) write(path, text string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (x *trespass) note(format string, v ...any) {
	x.found = append(x.found, fmt.Sprintf(format, v...))
}

// shows reports whether a text shows the canary, however it is written.
func shows(text string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(text, "\n", "")), strings.ToLower(otherCanary))
}

// following are verbs that go on until they are ended, on a board that is acme's.
var following = []string{"watch", "tail", "dispatch"}

// asAcme runs a command line in this process as the client acme, by its own
// command, in a folder of the other.
func (p *place) asAcme(board string, args ...string) (text string, code int) {
	long := patience
	if slices.ContainsFunc(args, func(a string) bool { return slices.Contains(following, a) }) {
		long = slowly(50 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), long)
	defer cancel()
	var out bytes.Buffer
	vars := map[string]string{"HERMES_HOME": p.dir, "HOME": p.dir, "HERMES_BOARD": board, "EDITOR": "cat", "TMPDIR": p.dir}
	env := Env{Args: append([]string{"-p", "acme"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(k string) string { return vars[k] },
		Dir: filepath.Join(p.dir, "boards", "beta"), User: "mallory"}
	code = run(ctx, env)
	return out.String(), code
}

// try runs a line with BOARD as beta and as bqxz, which is not there. It must
// show no canary, and be answered alike, if alike is set. What acme has of its
// own goes on meanwhile: a difference is one if it is there each time.
func (x *trespass) try(alike bool, board string, argv ...string) {
	x.tried++
	for again := x.again; ; again-- {
		theirs, none := x.answer("beta", board, argv), x.answer("bqxz", board, argv)
		if !alike || theirs == none {
			return
		}
		if again == 0 {
			x.note("%q (HERMES_BOARD=%s): forbidden and unknown differ: %q, %q", argv, board, theirs, none)
			return
		}
	}
}

// answer runs a line with BOARD as name.
func (x *trespass) answer(name, board string, argv []string) string {
	line := make([]string, len(argv))
	for i, a := range argv {
		line[i] = strings.ReplaceAll(a, "BOARD", name)
	}
	text, code := x.asAcme(strings.ReplaceAll(board, "BOARD", name), line...)
	if shows(text) {
		x.note("%q (HERMES_BOARD=%s) shows the canary:\n%s", line, board, text)
	}
	return fmt.Sprint(code, " ", alikeText(text))
}

// alikeText is an answer without what two answers to the same may differ by: names
// that are there and names that are not, and how long ago something was.
func alikeText(text string) string {
	return spans.ReplaceAllString(strings.NewReplacer("beta", "BOARD", "bqxz", "BOARD").Replace(text), "TIME")
}

var spans = regexp.MustCompile(`\b\d+(\.\d+)? ?(ms|s|min|h)\b`)

// ways are how something of another client can be named.
func (x *trespass) ways() []string {
	mine := filepath.Join(x.dir, "profiles", "acme")
	return []string{"BOARD", "BOARD/t1", "../boards/BOARD", filepath.Join(x.dir, "boards", "BOARD", "board.db"), filepath.Join(x.dir, "profiles", "BOARD", ".env"),
		filepath.Join(mine, "board-BOARD"), filepath.Join(mine, "board-BOARD", "board.db"), filepath.Join(mine, "profile-BOARD", "SOUL.md"),
		"dir:" + filepath.Join(x.dir, "profiles", "BOARD"), "@" + filepath.Join(mine, "profile-BOARD", "SOUL.md")}
}

// elsewhere are verbs that are no business of boards and profiles, that run
// until they are ended, or that end what the test needs.
var elsewhere = []string{"gateway run", "gateway start", "gateway stop", "gateway restart", "gateway install", "gateway uninstall",
	"worker", "sandbox", "agent probe", "agent check", "demo", "completion", "version"}

// byCommandLine tries every verb with every one of its flags and arguments, or
// those of some nouns.
func (x *trespass) byCommandLine(nouns ...string) {
	app := Tree(Env{})
	eachCommand(app.Commands, nil, func(path []string, c *cli.Command) {
		if len(nouns) > 0 && !slices.Contains(nouns, path[0]) || len(x.only) > 0 && !slices.Contains(x.only, path[len(path)-1]) {
			return
		}
		if len(c.Subcommands) > 0 || c.Hidden || slices.Contains(elsewhere, path[0]) || slices.Contains(elsewhere, strings.Join(path, " ")) {
			return
		}
		line := func(a ...string) []string { return append(slices.Clone(path), a...) }
		verb := path[len(path)-1]
		follows, makes := slices.Contains(following, verb), path[0] == "kanban" && verb == "create"
		x.try(true, "BOARD", line()...)
		x.try(true, "BOARD", line("t1")...)
		x.try(true, "BOARD", line("t1", "x")...)
		x.try(true, "", line("--board", "BOARD", "t1", "x")...)
		x.try(true, "", line("--board", "BOARD")...)
		x.try(true, "", line("--profile", "BOARD")...)
		x.try(true, "", line("--home", "boards/BOARD", "t1")...)
		for i, way := range x.ways() {
			if !follows && !makes && verb != "specify" && verb != "decompose" { // there it is a title
				x.try(true, "", line(way)...)
				if i%3 == 0 {
					x.try(true, "", line(way, "x")...)
					x.try(true, "", line(way, "--yes")...)
				}
			}
			if i%2 == 1 {
				x.try(false, "", line("t1", way)...) // for acme this may be a word like another
			}
		}
		for k, f := range c.Flags {
			if name := f.Names()[0]; takesValue(f) {
				for i, way := range x.ways() {
					switch (i + k) % 4 {
					case 0:
						x.try(!follows && !makes, "", line("t99", "--"+name, way)...)
					case 1:
						x.try(false, "", line("t1", "--"+name, way)...)
					}
				}
			}
		}
	})
	for _, line := range []string{"status", "inbox", "board list", "board list --all", "kanban list -A", "cost -A", "kanban stats -A", "profile list", "gateway status", "gateway logs",
		"skills sync", "skills list", "config list", "agent list", "cron list", "kanban assignees", "kanban recipe list", "kanban diagnostics -A", "stop --all"} {
		if text, _ := x.asAcme("", strings.Fields(line)...); shows(text) || strings.Contains(text, "beta") {
			x.note("%s shows the other client:\n%s", line, text)
		}
	}
}

// inWhatAcmeHas looks for the canary in everything that is acme's: a backup of
// it would be no more than that.
func (x *trespass) inWhatAcmeHas() {
	archive := filepath.Join(x.dir, "acme.tar.gz")
	x.must("profile", "export", "acme", "-o", archive)
	copied := filepath.Join(x.dir, "copy")
	x.must("profile", "import", archive, "--name", "copy-of-acme", "--no-alias")
	if err := os.Rename(filepath.Join(x.dir, "profiles", "copy-of-acme"), copied); err != nil {
		x.t.Fatal(err)
	}
	if shows(x.gate.log.String()) {
		x.note("the log of the gateway has the canary")
	}
	dirs := []string{copied, filepath.Join(x.dir, "profiles", "acme")}
	for _, slug := range strings.Fields(x.must("-p", "acme", "board", "list", "-q")) {
		if slug != "beta" {
			dirs = append(dirs, filepath.Join(x.dir, "boards", slug))
			if shows(x.must("board", "replay", slug, "--json")) {
				x.note("the history of %s has the canary", slug)
			}
		}
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if shows(string(b)) || shows(path) {
				x.note("%s has the canary", path)
			}
			return err
		})
		if err != nil {
			x.t.Fatal(err)
		}
	}
}

// TestOneClientSeesNothingOfAnother: whatever acme types, it sees nothing of
// beta, changes nothing there, and is told the same as of a client that does
// not exist.
func TestOneClientSeesNothingOfAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("tries thousands of command lines")
	}
	t.Parallel()
	x := newTrespass(t)
	x.again = 3
	before := x.must("board", "replay", "beta", "--json")
	x.byCommandLine()
	x.inWhatAcmeHas()
	if after := x.must("board", "replay", "beta", "--json"); after != before {
		x.note("something was done on beta:\n%s", strings.TrimPrefix(after, before))
	}
	for i, f := range x.found {
		if t.Errorf("%s", f); i == 40 {
			t.Fatalf("and %d more", len(x.found)-i)
		}
	}
	if x.tried < 4500 {
		t.Errorf("tried %d ways, want every verb with every flag", x.tried)
	}
	t.Logf("%d ways tried", x.tried)
}

// TestTrespassIsNoticed: where acme may open every board, the same attempts are
// seen to succeed.
func TestTrespassIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("tries thousands of command lines")
	}
	t.Parallel()
	x := newTrespass(t)
	x.must("profile", "boards", "acme", "*")
	x.only = []string{"show", "list", "runs", "log", "stats", "comment", "edit", "link"} // what reads and what changes
	x.byCommandLine("kanban")
	x.inWhatAcmeHas()
	kinds := map[string]int{}
	for _, f := range x.found {
		for _, kind := range []string{"shows the canary", "differ", "shows the other client", "has the canary"} {
			if strings.Contains(f, kind) {
				kinds[kind]++
			}
		}
	}
	if kinds["shows the canary"] < 5 || kinds["differ"] < 15 || kinds["shows the other client"] < 5 || kinds["has the canary"] == 0 {
		t.Errorf("got %v: attempts that succeed are not noticed", kinds)
	}
	t.Logf("%d ways tried, noticed: %v", x.tried, kinds)
}
