package boards_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
)

var (
	seed  = flag.Uint64("seed", 0, "walk only from this seed")
	walks = flag.Int("walks", 32, "number of random walks")
	steps = flag.Int("steps", 1500, "commands of a walk")
)

// TestWalk sends random commands and checks after every event that the state
// holds together, that the task moved as the table says, and that deciding
// changed nothing; at the end, that all walks together met every event type and
// every code the rules can give.
func TestWalk(t *testing.T) {
	seen := walked{types: map[events.Type]int{}, codes: map[boards.Code]int{}, moves: map[string]int{}, outcomes: map[events.Outcome]int{}}
	n := *walks
	if testing.Short() {
		n = min(n, 4)
	}
	seeds := []uint64{*seed}
	if *seed == 0 {
		seeds = seeds[:0]
		for i := range n {
			seeds = append(seeds, uint64(i)+1)
		}
	}
	for _, s := range seeds {
		if err := seen.walk(s, *steps); err != nil {
			t.Fatalf("walk -seed=%d -steps=%d: %v", s, *steps, err)
		}
	}
	if *seed != 0 || n < 32 || *steps < 1500 {
		return
	}
	for _, k := range events.Catalog() {
		if seen.types[k.Type] == 0 {
			t.Errorf("no walk reached event type %s", k.Type)
		}
	}
	for _, c := range codes {
		if seen.codes[c] == 0 {
			t.Errorf("no walk was refused with %s", c)
		}
	}
	for _, o := range boards.Ends() {
		if seen.outcomes[o] == 0 {
			t.Errorf("no run of any walk ended %v", o)
		}
	}
	for _, row := range boards.TransitionTable() {
		if seen.moves[row[0]] == 0 {
			t.Errorf("no walk moved a task by %s", row[0])
		}
	}
	for _, story := range []string{"gave up", "continued", "waived", "stayed", "waited for a dependency", "block loop", "block gave_up", "block stopped",
		"block needs_input", "block capability", "block transient", "block dependency", "block person"} {
		if seen.moves[story] == 0 {
			t.Errorf("no walk came to: %s", story)
		}
	}
	t.Logf("stories: %v", seen.moves)
	t.Logf("events: %v", seen.types)
	t.Logf("refused: %v", seen.codes)
}

// codes are those that Decide can give; the others are the owner's.
var codes = []boards.Code{
	boards.CodeUnknownCommand, boards.CodeBadCommand, boards.CodeNotFound, boards.CodeWrongStatus, boards.CodeNotYours,
	boards.CodeStaleRun, boards.CodeCycle, boards.CodeEdgeOpen, boards.CodeRunOpen, boards.CodePaused, boards.CodeAgentHeld,
	boards.CodeTooEarly, boards.CodeNoArtifact, boards.CodeNoSuchCard, boards.CodeAlready, boards.CodeTooMany,
}

// walked is what walks have met.
type walked struct {
	types    map[events.Type]int
	codes    map[boards.Code]int
	moves    map[string]int
	outcomes map[events.Outcome]int
}

func (seen *walked) walk(seed uint64, steps int) error {
	w := boardstest.NewWalker(seed)
	for i := range w.Records {
		seen.types[w.Records[i].Data.Type()]++
	}
	var fault error
	auditor := audit{tasks: map[events.TaskID]*audited{}, held: map[string]events.Time{}}
	w.After = func(r *events.Record) {
		if err := auditor.read(r); err != nil && fault == nil {
			fault = fmt.Errorf("record %d of %v: %w", r.Seq, r.Task, err)
		}
		if err := w.State.Check(); err != nil && fault == nil {
			fault = fmt.Errorf("after %d %s: %w", r.Seq, r.Data.Type(), err)
		}
		if r.Run != (events.RunID{}) && r.Run.Task != r.Task && fault == nil {
			fault = fmt.Errorf("record %d of %v has run %v", r.Seq, r.Task, r.Run)
		}
		if r.Cause >= r.Seq && fault == nil {
			fault = fmt.Errorf("record %d has cause %d", r.Seq, r.Cause)
		}
	}
	for i := range steps {
		by, c := w.Next()
		before, place := w.State.AppendSnapshot(nil), places(w.State)
		drafts, err := boards.Decide(w.State, c, boards.Env{Now: w.Now, By: by})
		if after := w.State.AppendSnapshot(nil); !bytes.Equal(before, after) {
			return fmt.Errorf("command %d: deciding %s changed the state", i, c.CommandName())
		}
		again, err2 := w.Do(by, c)
		if (err == nil) != (err2 == nil) || len(again) != len(drafts) {
			return fmt.Errorf("command %d: %s decided differently the second time", i, c.CommandName())
		}
		if fault == nil {
			fault = seen.outcome(w, by, c, again, err, place)
		}
		if fault != nil {
			return fmt.Errorf("command %d, %s %+v by %+v: %w", i, c.CommandName(), c, by, fault)
		}
	}
	return replays(w)
}

// outcome checks what one command came to and counts it.
func (seen *walked) outcome(w *boardstest.Walker, by boards.Principal, c boards.Command, records []events.Record, err error, before []string) error {
	if err != nil {
		var r *boards.Rejection
		if !errors.As(err, &r) || r.Code == "" || r.Detail == "" {
			return fmt.Errorf("refused with %#v", err)
		}
		seen.codes[r.Code]++
		return nil
	}
	for i := range records {
		seen.types[records[i].Data.Type()]++
		seen.notable(&records[i])
		b, err := events.Encode(records[i])
		if err != nil {
			return err
		}
		if err := events.CheckCanonical(b); err != nil {
			return err
		}
	}
	if err := w.State.Settled(); err != nil {
		return err
	}
	after := places(w.State)
	for i, to := range after {
		from := "-"
		if i < len(before) {
			from = before[i]
		}
		if from == to && !concerns(records, events.TaskID(i+1)) {
			continue
		}
		command := c.CommandName()
		if !seen.moved(command, from, to) && !seen.moved("(edge met)", from, to) && !seen.moved("(edge opened)", from, to) &&
			!(from == "-" && seen.moved("create_tasks", from, to)) && (from != to || command != "decompose_task" && command != "link_tasks") {
			return fmt.Errorf("t%d went from %s to %s, which the table does not have", i+1, from, to)
		}
	}
	return nil
}

// notable counts what only a long story brings about.
func (seen *walked) notable(r *events.Record) {
	count := func(what string, is bool) {
		if is {
			seen.moves[what]++
		}
	}
	switch p := r.Data.(type) {
	case events.RunEnded:
		seen.outcomes[p.Outcome]++
		count("gave up", p.GaveUp)
	case events.RunClaimed:
		count("continued", p.Continues != events.RunID{})
	case events.TaskBlocked:
		count("block "+p.Kind.String(), true)
		count("waited for a dependency", p.To == events.Todo)
	case events.TaskPromoted:
		count("waived", len(p.Waived) > 0)
	case events.TaskReopened:
		count("stayed", len(p.Stay) > 0)
	}
}

func concerns(records []events.Record, id events.TaskID) bool {
	return slices.ContainsFunc(records, func(r events.Record) bool { return r.Task == id })
}

// moved counts a move by a command and reports whether the table has it.
func (seen *walked) moved(command, from, to string) bool {
	for _, row := range boards.TransitionTable() {
		dest := strings.Fields(row[3])
		if row[0] == command && slices.Contains(strings.Fields(row[2]), from) &&
			(slices.Contains(dest, to) || from == to && slices.Contains(dest, "same")) {
			seen.moves[command]++
			return true
		}
	}
	return false
}

func places(s *boards.State) []string {
	list := make([]string, s.Tasks())
	for i := range list {
		list[i] = boards.Place(s, events.TaskID(i+1))
	}
	return list
}

// replays checks that the records alone give the state back, from the start
// and from a snapshot at any point.
func replays(w *boardstest.Walker) error {
	want := w.State.AppendSnapshot(nil)
	whole := boards.NewState()
	cut := len(w.Records) / 3
	var half []byte
	for i := range w.Records {
		if i == cut {
			half = whole.AppendSnapshot(nil)
		}
		b, err := events.Encode(w.Records[i])
		if err != nil {
			return err
		}
		r, err := events.Decode(b)
		if err != nil {
			return err
		}
		whole.Evolve(&r)
	}
	if !bytes.Equal(whole.AppendSnapshot(nil), want) {
		return errors.New("the log folds to another state")
	}
	rest, err := boards.LoadSnapshot(half)
	if err != nil {
		return err
	}
	if !bytes.Equal(rest.AppendSnapshot(nil), half) {
		return errors.New("a snapshot loads as another state")
	}
	for i := cut; i < len(w.Records); i++ {
		rest.Evolve(&w.Records[i])
	}
	if !bytes.Equal(rest.AppendSnapshot(nil), want) {
		return errors.New("a snapshot and the rest of the log fold to another state")
	}
	return rest.Check()
}

func TestWalkIsDeterministic(t *testing.T) {
	a, b := boardstest.Walk(3, 400), boardstest.Walk(3, 400)
	if len(a) != len(b) || len(a) < 200 {
		t.Fatalf("got %d and %d records, want as many and more than 200", len(a), len(b))
	}
	for i := range a {
		x, err := events.Encode(a[i])
		y, err2 := events.Encode(b[i])
		if err != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Fatalf("record %d differs: %s, %s (%v, %v)", i, x, y, err, err2)
		}
	}
}
