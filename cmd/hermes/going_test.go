//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// goingScripts are agents that look for what an earlier attempt left. What they
// found is their summary.
var goingScripts = map[string]string{
	"asker": `
look() { for f in workspace/mine state/kept inputs/attempt-1/workspace/mine inputs/attempt-2/workspace/mine; do
  case $f in workspace/*) at=$HERMES_WORKSPACE/${f#*/};; state/*) at=$HERMES_STATE/${f#*/};; *) at=$HERMES_INPUTS/${f#*/};; esac
  [ -e $at ] && printf '%s ' $f; done; $HERMES_BIN worker show --context | grep -q 'the blue one' && printf 'answered '; }
found=$(look)
echo work > $HERMES_WORKSPACE/mine; echo state > $HERMES_STATE/kept
case $HERMES_RUN in
*.1) $HERMES_BIN worker block 'Which colour?' --option red --option blue;;
*) $HERMES_BIN worker complete "found: $found";;
esac`,
	"crasher": `
[ -e $HERMES_INPUTS/attempt-1/workspace/mine ] && exec $HERMES_BIN worker complete "clean: $(ls $HERMES_WORKSPACE | wc -l)"
echo work > $HERMES_WORKSPACE/mine; $HERMES_BIN worker heartbeat up; exit 3`,
}

func (p *place) blocked(id string) func() bool {
	return func() bool { return p.show(id).Status == events.Blocked }
}

// TestGoesOn: after an answer the same agent finds its workspace and its state;
// with --fresh, and after a crash, what was left lies among its inputs.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, goingScripts, nil)
	p.gateway()
	answered, fresh, crashed := p.create("asker"), p.create("asker"), p.create("crasher")
	for _, id := range []string{answered, fresh} {
		eventually(t, id+" asks", p.blocked(id))
	}
	p.must("kanban", "unblock", answered, "the blue one")
	p.must("kanban", "unblock", fresh, "the blue one", "--fresh")
	for id, want := range map[string]string{
		answered: "found: workspace/mine state/kept answered ",
		fresh:    "found: state/kept inputs/attempt-1/workspace/mine answered ",
		crashed:  "clean: 0",
	} {
		eventually(t, id+" is done", p.done(id))
		d := p.show(id)
		if d.Handoff == nil || strings.TrimSpace(d.Handoff.Summary) != strings.TrimSpace(want) {
			t.Errorf("%s: got %+v, want %q", id, d.Handoff, want)
		}
	}
	if runs := p.show(answered).Runs; len(runs) != 2 || runs[1].Continues != runs[0].Run {
		t.Errorf("got %+v, want two, and the second to say what it goes on from", runs)
	}
}

// TestDispatchInterrupted: the program says that it was interrupted, and the
// run goes on.
func TestDispatchInterrupted(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	id := p.create("long")
	cmd := p.command(t.Context(), "kanban", "dispatch")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	agent := p.agentOf(id)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("got exit %d, want %d", code, exitInterrupted)
	}
	if !agent.alive() {
		t.Error("the run did not go on")
	}
}

// TestOwnRecipe: a recipe in the profile's folder makes its tasks once for one key.
func TestOwnRecipe(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{"quick": agentScripts["quick"]}, nil)
	dir := filepath.Join(p.dir, "recipes")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `name: pair
about: two in a row
roles:
  - name: one
    assignee: quick
    title: first
    body: say so
  - name: two
    assignee: quick
    title: second
    body: say so, too
    after: [{role: one}]
`
	if err := os.WriteFile(filepath.Join(dir, "pair.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.must("kanban", "recipe", "validate", filepath.Join(dir, "pair.yaml"))
	p.gateway()
	first := p.must("kanban", "recipe", "run", "pair", "--key", "monday", "-q")
	if again := p.must("kanban", "recipe", "run", "pair", "--key", "monday", "-q"); again != first {
		t.Errorf("got %q, then %q", first, again)
	}
	b := p.open()
	defer b.Close()
	eventually(t, "both are done", func() bool {
		done, err := b.List(t.Context(), projections.ListQuery{Statuses: []events.Status{events.Done}})
		return err == nil && len(done) == 2
	})
}

// TestStatusOfTheDispatcher: gateway status says whether runs are started, since
// when, and when it was looked last.
func TestStatusOfTheDispatcher(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	g := p.gateway()
	eventually(t, "it looks", func() bool { return strings.Contains(p.must("gateway", "status", "--json"), `"last_tick"`) })
	if out := p.must("gateway", "status"); !strings.Contains(out, "alive") || !strings.Contains(out, "ago") {
		t.Errorf("got %s", out)
	}
	g.signal(syscall.SIGTERM)
	g.ends(stopWithin)
	if out, _, _ := p.hermes("gateway", "status"); strings.Contains(out, "alive") {
		t.Errorf("after its end: %s", out)
	}
}

// TestReview: findings go back to whoever did the work, with its workspace, and
// what it answers them with is judged again.
func TestReview(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{
		"impl": `echo x >> $HERMES_WORKSPACE/tries; words=$($HERMES_BIN worker show --context | grep -q 'too short' && echo longer || echo brief)
exec $HERMES_BIN worker request-review "$words, try $(wc -l < $HERMES_WORKSPACE/tries)" --reviewer critic --artifact $HERMES_WORKSPACE/tries`,
		"critic": `[ -e $HERMES_INPUTS/$HERMES_TASK/tries ] || exit 1
$HERMES_BIN worker show --context | grep -q 'longer, try' && exec $HERMES_BIN worker approve fine
exec $HERMES_BIN worker request-changes 'too short'`,
	}, nil)
	p.gateway()
	id := p.create("impl")
	p.endsAs(id, "review_requested", "changes_requested", "review_requested", "approved")
	d := p.show(id)
	if d.Status != events.Done || d.Runs[2].Continues != d.Runs[0].Run || d.Runs[2].Summary != "longer, try 2" {
		t.Errorf("got %v, third run %+v", d.Status, d.Runs[2])
	}
	for i, who := range []string{"impl", "critic", "impl", "critic"} {
		if r := d.Runs[i]; r.Agent != who {
			t.Errorf("run %d was of %s, want %s", i+1, r.Agent, who)
		}
	}
}

// TestCrashLoop: what fails again and again is put before a person, with the
// last words of its output, and diagnostics names it.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	p := newPlace(t, map[string]string{"broken": `$HERMES_BIN worker heartbeat up; echo "out of paper"; exit 9`}, nil)
	p.gateway()
	id := p.create("broken")
	p.endsAs(id, "crashed", "crashed", "crashed")
	eventually(t, "it is given up", p.blocked(id))
	d := p.show(id)
	if d.Block == nil || d.Block.Kind != events.BlockGaveUp || !strings.Contains(d.Runs[2].Evidence, "out of paper") {
		t.Errorf("got %+v, evidence %q", d.Block, d.Runs[2].Evidence)
	}
	if out := p.must("kanban", "why", id); !strings.Contains(out, "gave up after 3 attempts") || !strings.Contains(out, "hermes kanban retry "+id) {
		t.Errorf("why: %s", out)
	}
	if out, _, _ := p.hermes("kanban", "diagnostics"); !strings.Contains(out, id) {
		t.Errorf("diagnostics: %s", out)
	}
}
