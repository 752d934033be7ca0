package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// python is the command line of the public Python system: every verb, each of
// its aliases and flags. A flag that stands for itself begins with a dash.
var python = []struct{ verbs, flags string }{
	{"init", ""},
	{"boards list", "--json --all"},
	{"boards ls", "--json --all"},
	{"boards create", "--name --description --icon --color --switch --default-workdir"},
	{"boards new", "--switch"},
	{"boards rm", "--delete"},
	{"boards remove", ""},
	{"boards delete", ""},
	{"boards switch", ""},
	{"boards use", ""},
	{"boards show", ""},
	{"boards current", ""},
	{"boards rename", ""},
	{"boards set-default-workdir", ""},
	{"boards export", "-o --no-attachments --include-logs --json"},
	{"boards import", "--as --switch --json"},
	{"create", "--body --body-file --assignee --parent --workspace --branch --project --tenant --priority --triage --idempotency-key --max-runtime --created-by --skill --max-retries --model --provider --completion-contract --goal --goal-max-turns --initial-status --json"},
	{"swarm", "--worker --verifier --synthesizer --tenant --priority --created-by --idempotency-key --json"},
	{"recipe validate", "--json"},
	{"recipe run", "--inputs --bindings --key --json"},
	{"recipe show", "--json"},
	{"recipe export", "--output --overwrite"},
	{"list", "--mine --assignee --status --tenant --session --archived --sort --workflow-template-id --step-key --json"},
	{"ls", "--json"},
	{"show", "--json --state-type --state-name"},
	{"assign", ""},
	{"reassign", "--reclaim --reason"},
	{"set-model", "--provider"},
	{"reclaim", "--reason"},
	{"diagnostics", "--severity --task --json"},
	{"diag", ""},
	{"link", ""},
	{"unlink", ""},
	{"claim", "--ttl"},
	{"comment", "--author --max-len"},
	{"attach", "--content-type --name --author"},
	{"attachments", "--json"},
	{"attach-rm", ""},
	{"complete", "--result --summary --metadata --force"},
	{"edit", "--result --summary --metadata --title --body --priority"},
	{"block", "--ids --kind"},
	{"schedule", "--ids"},
	{"unblock", "--reason"},
	{"request-review", "--summary --reviewer --metadata --force"},
	{"request-changes", ""},
	{"reopen-review", "--reason"},
	{"promote", "--ids --force --dry-run --json"},
	{"archive", "--rm"},
	{"tail", "--interval"},
	{"watch", "--assignee --tenant --kinds --interval"},
	{"dispatch", "--dry-run --max --failure-limit --json"},
	{"daemon", "--interval --max --failure-limit --pidfile -v --force"},
	{"stats", "--json"},
	{"log", "--tail"},
	{"runs", "--json --state-type --state-name"},
	{"heartbeat", "--note"},
	{"assignees", "--json"},
	{"context", ""},
	{"notify-subscribe", "--platform --chat-id --thread-id --user-id --user-id-alt --chat-type --notifier-profile --delivery-mode --parent-chat-id --guild-id"},
	{"notify-list", "--json"},
	{"notify-unsubscribe", "--platform --chat-id --thread-id"},
	{"specify", "--all --tenant --author --json"},
	{"decompose", "--all --tenant --author --json"},
	{"gc", "--event-retention-days --log-retention-days"},
	{"repair", "--json"},
	{"authorize-existing-pr", "--pr --repo --branch --reason"},
}

// known are command lines as users of the Python system type them, in an order
// that makes sense on one board. says is in the words of a refusal, which ends
// with 2 and tells what to type instead.
var known = []struct{ line, says string }{
	{`init`, ""},
	{`create "Prices EU" --body text --assignee res --tenant acme --priority 3 --idempotency-key k1 --max-runtime 2h --skill web --skill csv --max-retries 2 --model m --json`, ""},
	{`create "Prices US" --body-file body.txt --workspace scratch --initial-status running`, ""},
	{`create Report --parent t1 --parent t2 --workspace worktree:/repo --branch report`, ""},
	{`create Idea --triage`, ""},
	{`create Question --initial-status blocked`, ""},
	{`create x --workspace worktree`, "want scratch, dir:/path or repo:/path"},
	{`create x --project p`, "--workspace repo:/path"},
	{`create x --created-by me`, "HERMES_USER"},
	{`create x --provider p`, "agent's configuration"},
	{`create x --completion-contract a/b`, "--reviewer AGENT"},
	{`create x --goal`, "--reviewer AGENT"},
	{`create x --goal-max-turns 3`, "--max-runtime"},
	{`swarm Goal --worker res:EU:web,csv --worker res:US --verifier qa --synthesizer writer --tenant acme --priority 2 --idempotency-key s1 --json`, ""},
	{`swarm Goal --worker res:EU --synthesizer writer --created-by me`, "HERMES_USER"},
	{`recipe validate recipe.yaml --json`, ""},
	{`recipe show research --json`, ""},
	{`recipe run research --inputs inputs.json --key r1 --json`, ""},
	{`recipe run research --bindings b.json --key r1`, "recipes/ of the profile"},
	{`recipe export research --output f --overwrite`, "recipes/ of the profile"},
	{`list --mine --assignee res --status ready --tenant acme --archived --sort created-desc --json`, ""},
	{`list --session s`, "no meaning here"},
	{`list --workflow-template-id w`, "recipe list"},
	{`list --step-key s`, "recipe list"},
	{`ls --json`, ""},
	{`show t1 --json --state-type outcome --state-name crashed`, ""},
	{`assign t1 web`, ""},
	{`reassign t1 res --reclaim --reason why`, ""},
	{`assign t2 res`, ""},
	{`assign t2 none`, ""},
	{`set-model t1 m2`, ""},
	{`set-model t1 none`, ""},
	{`set-model t1 m --provider p`, "agent's configuration"},
	{`diagnostics --severity warning --task t5 --json`, ""},
	{`diag`, ""},
	{`unlink t2 t3`, ""},
	{`link t2 t3`, ""},
	{`comment t1 two words`, ""},
	{`comment t1 x --author me`, "HERMES_USER"},
	{`comment t1 x --max-len 10`, "kanban attach"},
	{`attach t1 body.txt --name b.txt`, ""},
	{`attach t1 body.txt --content-type text/plain`, "leave it out"},
	{`attach t1 body.txt --author me`, "HERMES_USER"},
	{`attachments t1 --json`, ""},
	{`claim t1 --ttl 900`, ""},
	{`heartbeat t1 --note alive`, ""},
	{`log t1 --tail 100`, ""},
	{`runs t1 --json --state-type status --state-name running`, ""},
	{`block t1 which currency --kind needs_input --ids t2 t3`, ""},
	{`unblock t1 --reason EUR`, ""},
	{`unblock t2 t3`, ""},
	{`schedule t1 later on --ids t2`, ""},
	{`promote t1 now --ids t2 --force`, ""},
	{`promote t3 --dry-run --json`, ""},
	{`edit t1 --title "Prices" --body text --priority 4`, ""},
	{`edit t1 --result r`, "kanban comment"},
	{`edit t1 --summary s`, "kanban comment"},
	{`edit t1 --metadata {}`, "kanban comment"},
	{`claim t1`, ""},
	{`request-review t1 --summary done --reviewer qa --metadata {"rows":1} --force`, "kanban stop"},
	{`request-review t1 --summary done --reviewer qa --metadata {"rows":1}`, ""},
	{`request-changes t1 row 3 is empty`, ""},
	{`claim t1`, ""},
	{`request-review t1 --summary again --reviewer qa`, ""},
	{`reopen-review t1 --reason "not yet"`, ""},
	{`complete t1 --result r --summary s --metadata {"rows":1}`, ""},
	{`claim t2`, ""},
	{`complete t2 --force`, ""},
	{`claim t3`, ""},
	{`reclaim t3 --reason hangs`, ""},
	{`specify t4 --all`, "--title"},
	{`specify t4 --author me`, "HERMES_USER"},
	{`specify t4 --tenant x`, "name the task"},
	{`decompose --all`, "--graph FILE"},
	{`decompose t4 --author me`, "HERMES_USER"},
	{`decompose t4 --tenant x`, "name the task"},
	{`decompose t4 --json`, "--graph"},
	{`specify t4 --json`, ""},
	{`archive t5`, ""},
	{`archive t5 --rm`, "archive hides the task"},
	{`context t3`, ""},
	{`stats --json`, ""},
	{`assignees --json`, ""},
	{`dispatch --dry-run --json`, ""},
	{`dispatch --max 3`, "policy set board_cap"},
	{`dispatch --failure-limit 3`, "policy set failure_limit"},
	{`daemon --interval 60 --max 3 --failure-limit 2 --pidfile f -v --force`, "hermes gateway start"},
	{`notify-subscribe t1 --platform telegram --chat-id 1 --thread-id 2 --user-id 3 --user-id-alt 4 --chat-type dm --delivery-mode notify --parent-chat-id 5 --guild-id 6`, ""},
	{`notify-subscribe t1 --platform telegram --chat-id 1 --notifier-profile p`, "leave it out"},
	{`notify-subscribe t1 --platform telegram --chat-id 1 --delivery-mode wake`, "leave it out"},
	{`notify-list t1 --json`, ""},
	{`notify-unsubscribe t1 --platform telegram --chat-id 1 --thread-id 2`, ""},
	{`gc`, ""},
	{`gc --event-retention-days 30`, "never removed"},
	{`gc --log-retention-days 30`, "policy set keep_log"},
	{`repair --json`, "hermes board verify"},
	{`authorize-existing-pr t1 --pr 1 --repo r --branch b --reason why`, "kanban unblock"},
	{`boards create other --name Other --description words --switch`, ""},
	{`boards create x --icon i`, "title only"},
	{`boards create x --color c`, "title only"},
	{`boards create x --default-workdir d`, "workspace"},
	{`boards new third --switch`, ""},
	{`boards list --json --all`, ""},
	{`boards ls --json --all`, ""},
	{`boards switch other`, ""},
	{`boards use other`, ""},
	{`boards show`, ""},
	{`boards current`, ""},
	{`boards rename other "New title"`, ""},
	{`boards set-default-workdir other /path`, "--workspace dir:/path"},
	{`boards export other -o f --no-attachments --include-logs --json`, ""},
	{`boards import f --as x --switch --json`, ""},
	{`boards rm third --delete`, "--yes"},
	{`boards remove third`, "--yes"},
	{`boards delete third`, "--yes"},
}

// TestPythonVerbs: every verb, alias and flag of the Python system does what
// its users expect or says what to type instead.
func TestPythonVerbs(t *testing.T) {
	d := newDesk(t)
	d.writes("body.txt", "the body")
	d.writes("recipe.yaml", "name: r\nabout: one role\nroles:\n  - name: a\n    title: Do it\n    assignee: res\n")
	d.writes("inputs.json", `{"topic":"backups"}`)
	covered := map[string][]string{}
	for _, k := range known {
		args := append([]string{"kanban", "--board", "default"}, split(k.line)...)
		inv, err := arrange(Tree(d.env(nil, nil)), args)
		if err != nil {
			t.Errorf("%s: %v", k.line, err)
			continue
		}
		verb := typed(inv, args)
		covered[verb] = append(covered[verb], args...)
		if strings.HasPrefix(verb, "boards ") && !strings.Contains(k.line, "boards show") && !strings.Contains(k.line, "current") {
			args = append([]string{"kanban"}, split(k.line)...)
		}
		out, words, code := d.hermes(args...)
		switch {
		case verb == "boards export" || verb == "boards import":
			if code == 2 && !strings.Contains(words, "has no use here") {
				t.Errorf("%s: got\n%swant it done, or what to do instead", k.line, words)
			}
		case k.says == "" && code != 0:
			t.Errorf("%s: got exit %d, want 0\n%s%s", k.line, code, out, words)
		case k.says != "" && (code != 2 || !strings.Contains(words, k.says)):
			t.Errorf("%s: got exit %d and\n%swant exit 2 and %q", k.line, code, words, k.says)
		}
	}
	covered["tail"], covered["watch"], covered["attach-rm"] = []string{"--interval"}, []string{"--assignee", "--tenant", "--kinds", "--interval"}, nil // tests of their own
	for _, p := range python {
		args, ok := covered[p.verbs]
		if !ok {
			t.Errorf("no line tries %s", p.verbs)
		}
		for _, f := range strings.Fields(p.flags) {
			if !slices.Contains(args, f) {
				t.Errorf("no line tries %s %s", p.verbs, f)
			}
		}
	}
}

// typed is the verb of an invocation as it was typed, aliases kept.
func typed(inv invocation, args []string) string {
	var words []string
	for _, c := range inv.path[1:] {
		i := slices.IndexFunc(args, func(a string) bool { return slices.Contains(c.Names(), a) })
		words = append(words, args[i])
	}
	return strings.Join(words, " ")
}

// TestBoardsMirror: hermes kanban boards has every verb of hermes board.
func TestBoardsMirror(t *testing.T) {
	app := Tree(newDesk(t).env(nil, nil))
	mirror := findCommand(findCommand(app.Commands, "kanban").Subcommands, "boards")
	for _, c := range findCommand(app.Commands, "board").Subcommands {
		if m := findCommand(mirror.Subcommands, c.Name); m == nil || !slices.EqualFunc(m.Flags, c.Flags, func(a, b cli.Flag) bool { return slices.Equal(a.Names(), b.Names()) }) {
			t.Errorf("hermes kanban boards has no %s, or with other flags", c.Name)
		}
	}
}
