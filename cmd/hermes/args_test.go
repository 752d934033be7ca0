package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestArrange(t *testing.T) {
	app := Tree(newDesk(t).env(nil, nil))
	for _, c := range []struct {
		line       string
		path       string
		flags      string // of the command, as spelled for cli
		global     string
		args       string
		help, fail bool
	}{
		{line: `kanban create X`, path: "create", args: "X"},
		{line: `kanban create X --assignee res --priority 3`, path: "create", flags: "--assignee=res --priority=3", args: "X"},
		{line: `kanban create --assignee res X`, path: "create", flags: "--assignee=res", args: "X"},
		{line: `-b acme kanban create X`, path: "create", global: "--board=acme", args: "X"},
		{line: `kanban -b acme create X -p work`, path: "create", global: "--board=acme --profile=work", args: "X"},
		{line: `kanban create X -b acme --json -q`, path: "create", global: "--board=acme --json --quiet", args: "X"},
		{line: `kanban --assignee res create X`, path: "create", flags: "--assignee=res", args: "X"},
		{line: `--triage kanban create X`, path: "create", flags: "--triage", args: "X"},
		{line: `kanban create --assignee=res X`, path: "create", flags: "--assignee=res", args: "X"},
		{line: `kanban create --body=a=b X`, path: "create", flags: "--body=a=b", args: "X"},
		{line: `kanban create --body= X`, path: "create", flags: "--body=", args: "X"},
		{line: `kanban create --triage=false X`, path: "create", flags: "--triage=false", args: "X"},
		{line: `kanban create X --priority -4`, path: "create", flags: "--priority=-4", args: "X"},
		{line: `kanban prioritize t1 -4`, path: "prioritize", args: "t1 -4"},
		{line: `kanban create -- --title -b`, path: "create", args: "--title -b"},
		{line: `kanban create --assignee res -- --json`, path: "create", flags: "--assignee=res", args: "--json"},
		{line: `kanban comment t1 list`, path: "comment", args: "t1 list"},
		{line: `kanban comment t1 -`, path: "comment", args: "t1 -"},
		{line: `kanban create help`, path: "create", args: "help"},
		{line: `task ls`, path: "list"},
		{line: `kanban block t1 why --ids t2 acme/t3 not`, path: "block", flags: "--ids=t2 --ids=acme/t3", args: "t1 why not"},
		{line: `kanban help create`, path: "create", help: true},
		{line: `help kanban create`, path: "create", help: true},
		{line: `-h kanban create`, path: "create", help: true},
		{line: `kanban create --priority`, fail: true},
		{line: `kanban create --priority x`, fail: true},
		{line: `--priority x kanban create T`, fail: true},
		{line: `kanban create --triage=maybe X`, fail: true},
		{line: `--json=maybe kanban list`, fail: true},
		{line: `kanban create --parnet t1 X`, fail: true},
		{line: `kanban create -Z X`, fail: true},
		{line: `--assignee res kanban stats`, fail: true},
		{line: "kanban create a\xffb", fail: true},
	} {
		inv, err := arrange(app, split(c.line))
		if c.fail {
			if f := explainError(err); err == nil || f.exit != exitUsage {
				t.Errorf("%s: got %v, want a usage error", c.line, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if inv.last() == nil || inv.last().Name != c.path || inv.help != c.help ||
			strings.Join(inv.flags, " ") != c.flags || strings.Join(inv.global, " ") != c.global || strings.Join(inv.args, " ") != c.args {
			t.Errorf("%s: got %s, flags %q, global %q, args %q, help %v", c.line, inv.name(), inv.flags, inv.global, inv.args, inv.help)
		}
	}
}

// FuzzArrange: whatever is typed is sorted out or refused, and what is sorted
// out is what cli sees.
func FuzzArrange(f *testing.F) {
	for _, k := range known {
		f.Add("kanban " + k.line)
	}
	f.Add("-b -- kanban\x00--json=")
	app := Tree(newDesk(f).env(nil, nil))
	f.Fuzz(func(t *testing.T, line string) {
		argv := strings.Split(line, " ")
		inv, err := arrange(app, argv)
		if err != nil {
			if explainError(err).exit != exitUsage {
				t.Fatalf("%q: got %v, want a usage error", argv, err)
			}
			return
		}
		if out := inv.argv(); !slices.Equal(out[len(out)-len(inv.args):], inv.args) {
			t.Fatalf("%q became %q", argv, out)
		}
	})
}

func TestWrongWords(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct{ line, want string }{
		{``, `Usage: hermes \[flags\] COMMAND`},
		{`frobnicate`, `hermes has no verb "frobnicate"\n  hermes --help lists`},
		{`bord`, `did you mean hermes board\?`},
		{`lsit`, `did you mean hermes kanban list\?`},
		{`create x`, `did you mean hermes kanban create\?`},
		{`kanban`, `hermes kanban wants a verb`},
		{`kanban crate x --body y`, `has no verb "crate"\n  did you mean hermes kanban create\?`},
		{`kanban recipe rum`, `did you mean hermes kanban recipe run\?`},
		{`kanban list --statsu ready`, `has no flag --statsu\n  did you mean --status\?`},
		{`kanban list --statsu=ready`, `has no flag --statsu\n`},
		{`kanban list --status redy`, `"redy" is not a status`},
		{`kanban list --sort priorty`, `did you mean --sort priority\?`},
		{`kanban list x`, `does not want "x"`},
		{`kanban list --limit -1`, `--limit cannot be negative`},
		{`kanban show`, `wants a task\n  hermes kanban show --help`},
		{`kanban show t1 t2`, `does not want "t2"`},
		{`kanban show seven`, `"seven" is not a task id`},
		{`kanban show t0`, `"t0" is not a task id`},
		{`kanban show t99999999999999999999`, `is not a task id`},
		{`kanban create`, `wants a title`},
		{`kanban create a b`, `does not want "b"`},
		{`kanban create a --priority 99999999999`, `out of range`},
		{`kanban create a --max-retries -1`, `from 1 on`},
		{`kanban create a --max-runtime soon`, `--max-runtime "soon" is not a duration`},
		{`kanban create a --max-runtime 99999999999d`, `is not a duration`},
		{`kanban create a --at yesterday`, `"yesterday" is not a time`},
		{`kanban create a --initial-status done`, `neither running nor blocked`},
		{`kanban create a --branch x`, `--branch goes with --workspace repo`},
		{`kanban create a --parent t1:maybe`, `maybe`},
		{`kanban unblock t1 --choice 0`, `from 1 to at most 6`},
		{`kanban unblock t1 EUR --choice 1`, `exclude each other`},
		{`kanban prioritize t1 high`, `"high" is not a priority`},
		{`kanban block t1 --kind mood`, `is none of needs_input`},
		{`kanban link t1`, `wants a parent and a child`},
		{`kanban link t1 t2 --needs some`, `neither pass nor any`},
		{`kanban complete t1 t2 --summary x`, `one task at a time`},
		{`kanban edit t1`, `nothing to change`},
		{`kanban watch --type frob`, `--type "frob" is unknown`},
		{`kanban watch --interval 0`, `too short`},
		{`kanban runs t1 --state-type mood --state-name x`, `neither status nor outcome`},
		{`kanban diag --severity loud`, `is none of warning, error, critical`},
		{`kanban detach t1 x`, `is not the ID of an attachment`},
		{`-p No/pe kanban assignees`, `is not the name of a profile`},
	} {
		out, words, code := d.hermes(split(c.line)...)
		if code != 2 || out != "" || !matches(c.want, words) {
			t.Errorf("hermes %s: got exit %d, stdout %q and\n%swant exit 2 and %q", c.line, code, out, words, c.want)
		}
	}
	if _, words, _ := d.hermes("kanban", "create", "--json", "--bdoy", "x", "T"); reads[map[string]failure](t, words)["error"].Hint != "did you mean --body?" {
		t.Errorf("with --json got %s", words)
	}
}

// TestManyTreesAtOnce: nothing in a tree is shared, and no word that is typed
// ends the process: not one of them, whichever verb it is.
func TestManyTreesAtOnce(t *testing.T) {
	d := newDesk(t)
	d.does("create", "there is a board")
	var paths [][]string
	eachCommand(Tree(d.env(nil, nil)).Commands, nil, func(path []string, _ *cli.Command) { paths = append(paths, path) })
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for k, path := range paths {
				if (k+i)%4 != 0 { // each path is still taken by eight at once
					continue
				}
				wrong := append(slices.Clone(path), fmt.Sprintf("--no-such-flag-%d", i))
				noun := append(slices.Clone(path[:len(path)-1]), fmt.Sprintf("nonsense%d", i), "x")
				for _, args := range [][]string{wrong, noun, append(slices.Clone(path), "--help")} {
					var out, words bytes.Buffer
					code := run(context.Background(), d.env(&out, &words, args...))
					if want := map[bool]int{true: 0, false: 2}[args[len(args)-1] == "--help"]; code != want || out.Len()+words.Len() == 0 {
						t.Errorf("hermes %q: got exit %d, want %d\n%s", args, code, want, words.String())
					}
				}
			}
		})
	}
	wg.Wait()
}

// eachCommand walks the commands of a tree, hidden ones too.
func eachCommand(commands []*cli.Command, above []string, f func(path []string, c *cli.Command)) {
	for _, c := range commands {
		path := append(slices.Clone(above), c.Name)
		f(path, c)
		eachCommand(c.Subcommands, path, f)
	}
}

func TestHelp(t *testing.T) {
	d := newDesk(t)
	eachCommand(Tree(d.env(nil, nil)).Commands, nil, func(path []string, c *cli.Command) {
		out, words, code := d.hermes(append(path, "--help")...)
		name := "hermes " + strings.Join(path, " ")
		if code != 0 || words != "" || !strings.HasPrefix(out, name+": ") || !strings.Contains(out, "\nUsage: "+name) || !strings.Contains(out, "\nExit status: 0 done, ") {
			t.Errorf("%s --help: got exit %d\n%s%s", name, code, out, words)
		}
		if c.Usage == "" {
			t.Errorf("%s has no usage", name)
		}
		if longest := slices.MaxFunc(strings.Split(c.Description, "\n"), func(a, b string) int { return len(a) - len(b) }); len(longest) > 130 {
			t.Errorf("%s: a line of its help is too long: %q", name, longest)
		}
		for _, f := range c.Flags {
			v, _ := f.(cli.VisibleFlag)
			if d, ok := f.(cli.DocGenerationFlag); v.IsVisible() && (!ok || d.GetUsage() == "") {
				t.Errorf("%s: --%s is not explained", name, f.Names()[0])
			}
		}
	})
	if out, _, code := d.hermes("help"); code != 0 || !matches(`(?s)Usage: hermes .*\n  kanban +tasks of a board\n.*--board, -b VALUE.*hermes demo\n`, out) {
		t.Errorf("hermes help: got exit %d\n%s", code, out)
	}
}
