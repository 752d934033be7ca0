package main

import (
	"regexp"
	"strings"
	"testing"
)

var clocks = regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`)

// steady takes out of a screen what is different each time.
func steady(s string) string {
	s = clocks.ReplaceAllString(s, "HH:MM:SS")
	s = regexp.MustCompile(`\b\d+(\.\d)? ?s\b`).ReplaceAllString(s, "0s")
	s = regexp.MustCompile(`cap \d+`).ReplaceAllString(s, "cap 2")
	return regexp.MustCompile(`(?m) +$`).ReplaceAllString(s, "")
}

func (d *desk) shows(want string, args ...string) {
	d.t.Helper()
	if got := steady(d.does(args...)); got != strings.TrimPrefix(want, "\n") {
		d.t.Errorf("hermes kanban %s: got\n%s\nwant%s", strings.Join(args, " "), got, want)
	}
}

// TestScreens holds what a person sees of a small board.
func TestScreens(t *testing.T) {
	d := newDesk(t)
	d.does("create", "Collect competitor prices, EU", "-a", "researcher", "--priority", "5", "--body", "For the 20 shops in shops.csv\nfind today's price.")
	for _, line := range []string{
		`create "Collect competitor prices, US" -a researcher --priority 3`,
		`create "Price report" -a writer --parent t1 --parent t2:any`,
		`create "A rough idea" --triage`,
		`create "Scan" --at 2099-01-01`,
		`create "Fix login" --priority 3`,
		`create "Old report"`, `create "Landing page copy" -a coder`,
		`complete t7 --summary "one page"`,
		`block t1 "EUR or local currency?" --option EUR --option local --option both`,
		`claim t6`, `comment t1 "without VAT"`,
		`claim t8`, `request-review t8 --summary "three variants"`,
	} {
		d.does(split(line)...)
	}
	d.shows(`
default   7 open, 1 running (cap 2), 2 need you, $0.00 of $25.00 today

ID  STATUS     PRI  WHO         FOR  TITLE                          NOW
t1  blocked    5    researcher  0s   Collect competitor prices, EU  NEEDS YOU: EUR or local currency?
t2  ready      3    researcher  0s   Collect competitor prices, US  waits: no dispatcher holds this board
t6  running    3    –           0s   Fix login                      claimed by kai
t3  todo       0    writer      0s   Price report                   waits: t1 and t2
t4  triage     0    –           0s   A rough idea                   a rough idea that is not a task yet
t5  scheduled  0    –           0s   Scan                           waits: until 2099-01-01 00:00
t8  review     0    coder       0s   Landing page copy              NEEDS YOU: review three variants
t7  done       0    –           0s   Old report                     pass

1 done today: hermes kanban list --status done      What needs me: hermes inbox      All boards: hermes kanban list -A
`, "list")
	d.shows(`
default   7 open, 1 running (cap 2), 2 need you, $0.00 of $25.00 today

ID  STATUS  PRI  WHO  FOR  TITLE       NOW
t7  done    0    –    0s   Old report  pass

1 done today: hermes kanban list --status done      What needs me: hermes inbox      All boards: hermes kanban list -A
`, "list", "--status", "done")
	d.shows(`
t1 is blocked since HH:MM:SS (0s): kai asks "EUR or local currency?"
  goes on when   you answer
  choices        [1] EUR [2] local [3] both
  holding up     t3 "Price report" (todo, also needs t2)
  answer         hermes kanban unblock t1 --choice 1
`, "why", "t1")
	d.shows(`
t3 is todo: waits for t1 and t2
  since          HH:MM:SS (0s)
  waits for      t1 "Collect competitor prices, EU" (blocked)
                 t2 "Collect competitor prices, US" (ready)
`, "why", "t3")
	d.shows(`
default/t1   Collect competitor prices, EU   blocked, needs you
for researcher   priority 5   by kai, cli, HH:MM:SS   tenant –
needs –     holds up t3 "Price report" (todo)

Question   EUR or local currency?     [1] EUR   [2] local   [3] both
Answer     hermes kanban unblock t1 --choice 1

Text
  For the 20 shops in shops.csv
  find today's price.

Comments
  HH:MM:SS  kai, cli: without VAT

History    3 events, last 14     hermes board replay default --task t1
`, "show", "t1")
	d.shows(`
default/t3   Price report   todo
for writer   priority 0   by kai, cli, HH:MM:SS   tenant –
needs t1 "Collect competitor prices, EU" (blocked), t2 "Collect competitor prices, US" (ready) with any verdict     holds up –

Now        waits for t1 and t2

History    1 event, last 5     hermes board replay default --task t3
`, "show", "t3")
	d.shows("t7 is done: it ended with pass\n", "why", "t7")
	d.shows("t1\nt2\n", "list", "-q", "--assignee", "researcher")
	d.shows("t1 unblocked, now ready\n", "unblock", "t1", "EUR")
	d.shows("t1\nt2\n", "archive", "t1", "t2", "-q")
	d.shows("t5 archived\n", "archive", "default/t5")
}

// TestNarrow: a terminal's lines are cut, not broken, and what waits for a
// person is still to be seen.
func TestNarrow(t *testing.T) {
	d := newDesk(t)
	d.does("create", strings.Repeat("long words ", 20), "-a", "researcher")
	d.tty = 60
	for l := range strings.Lines(strings.SplitAfter(d.does("list"), "\n\n")[1]) {
		if n := runes(strings.TrimRight(l, "\n")); n > 60 {
			t.Errorf("%d columns in a terminal of 60: %q", n, l)
		}
	}
	d.does("block", "t1", "EUR?")
	if out := d.does("list"); !strings.Contains(out, "NEEDS YOU: EUR?") {
		t.Errorf("got\n%s", out)
	}
}

// TestDoneIsFolded: of what was done today the last few are shown, and the rest is counted.
func TestDoneIsFolded(t *testing.T) {
	d := newDesk(t)
	for range 9 {
		d.does("create", "task")
	}
	d.does(split("complete t1 t2 t3 t4 t5 t6 t7")...)
	out := d.does("list")
	if strings.Count(out, "  done  ") != doneShown || !strings.Contains(out, "\n7 done today: ") || !matches(`(?s)t9 .*t7 .*t3 `, out) {
		t.Errorf("got\n%s", out)
	}
	if got := strings.Fields(d.does("list", "-q")); len(got) != 9 {
		t.Errorf("list -q: got %v, want all 9", got)
	}
	if out := d.does("list", "--limit", "4"); strings.Count(out, "\nt") != 4 {
		t.Errorf("--limit 4: got\n%s", out)
	}
}

func TestAllBoards(t *testing.T) {
	d := newDesk(t)
	for _, line := range []string{`board create acme`, `board create beta`, `kanban create "Of acme" -b acme`, `kanban create "Of beta" -b beta`} {
		if _, words, code := d.hermes(split(line)...); code != 0 {
			t.Fatal(words)
		}
	}
	if out := d.does("list", "-A"); !matches(`(?s)^acme   1 open.*acme/t1 .*Of acme.*\nbeta   1 open.*beta/t1 .*Of beta`, out) {
		t.Errorf("got\n%s", out)
	}
	if out := d.does("list", "-A", "-q"); out != "acme/t1\nbeta/t1\n" {
		t.Errorf("got %q", out)
	}
	if all := reads[[]object](t, d.does("list", "-A", "--json")); len(all) != 2 || all[1]["board"] != "beta" || all[1]["id"] != "t1" {
		t.Errorf("got %v", all)
	}
	if out := d.does("show", "beta/t1"); !strings.HasPrefix(out, "beta/t1   Of beta   ready\n") {
		t.Errorf("got\n%s", out)
	}
	d.does("block", "beta/t1", "which?")
	for _, line := range []string{"show beta/t1", "why -b beta t1", "diag -b beta"} {
		if out := d.does(split(line)...); !strings.Contains(out, "hermes kanban unblock t1 --board beta\n") {
			t.Errorf("%s: a command for pasting does not name the board\n%s", line, out)
		}
	}
	d.does("unblock", "beta/t1")
	d.does("complete", "beta/t1")
	d.refuses(2, "several boards exist and none was named: acme, beta\n  name one with --board", "create", "x")
	d.refuses(2, "are on different boards", "complete", "acme/t1", "beta/t1")
	d.refuses(2, "several boards exist", "dispatch", "--dry-run")
	d.refuses(2, "t1 may be of another board than beta/t1", "reopen", "t1", "beta/t1")
	d.refuses(2, "t1 may be of another board than beta", "reopen", "beta/t1", "t1")
	d.refuses(2, "--board acme and beta/t1 are different boards", "reopen", "-b", "acme", "beta/t1")
	d.vars["HERMES_KANBAN_BOARD"] = "acme"
	d.does("create", "second of acme")
	d.does("create", "third of acme", "-b", "ACME")
	if out := d.does("list", "-q", "--board", "acme"); out != "t1\nt2\nt3\n" {
		t.Errorf("got %q", out)
	}
	d.refuses(3, "there is no board acem\n  did you mean acme\\?", "list", "-b", "acem")
	d.refuses(3, "there is no board gamma\n  hermes board list", "show", "gamma/t1")
}
