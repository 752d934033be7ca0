package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// history is a board that answers from records.
type history struct {
	api.Board
	records []events.Record
	policy  events.Policy
}

func (h *history) Policy(context.Context) (events.Policy, uint64, error) { return h.policy, 2, nil }

func (h *history) Read(_ context.Context, from uint64, _ int) ([]events.Entry, error) {
	var list []events.Entry
	for _, r := range h.records[min(from-1, uint64(len(h.records))):] {
		b, err := events.Encode(r)
		if err != nil {
			return nil, err
		}
		list = append(list, events.Entry{Seq: r.Seq, Record: b})
	}
	return list, nil
}

// What ended runs left goes when its time has passed, unless the next attempt
// would go on there; what is not a run's is not touched.
func TestCollectRuns(t *testing.T) {
	now := time.Now()
	h := &history{policy: events.DefaultPolicy(1)}
	id := events.ULID{1}
	add := func(r events.Record, age time.Duration) {
		r.Seq, r.ID, r.Cmd, r.Time = uint64(len(h.records)+1), id, id, events.TimeOf(now.Add(-age))
		r.Actor = events.Actor{Kind: events.System}
		h.records = append(h.records, r)
	}
	attempt := func(task events.TaskID, n uint32, age time.Duration, ended bool) {
		run := events.RunID{Task: task, N: n}
		add(events.Record{Task: task, Run: run, Data: events.RunClaimed{Phase: events.Ready, Agent: "a", Role: events.RoleWorker, Token: events.Digest{1, byte(task)}, Policy: 2}}, age)
		if ended {
			add(events.Record{Task: task, Run: run, Data: events.RunEnded{Outcome: events.OutcomeLost, To: events.Ready}}, age)
		}
	}
	const (
		day      = 24 * time.Hour
		oldAside = "t1.1-before-7-ABCDEF"
		newAside = "t2.1-before-9-GHIJKL"
	)
	for task := events.TaskID(1); task <= 4; task++ {
		add(events.Record{Task: task, Data: events.TaskCreated{Status: events.Ready}}, 50*day)
	}
	attempt(1, 1, 40*day, true) // older than logs are kept
	attempt(1, 2, 10*day, true) // older than workspaces are
	attempt(1, 3, 10*day, true) // the next one goes on here
	attempt(2, 1, 40*day, false)
	attempt(3, 1, 3*day, true)
	attempt(3, 2, 1*day, true)
	attempt(4, 1, 40*day, true) // the next one goes on here, without old logs

	dir := t.TempDir()
	paths := registry.Paths{Artifacts: filepath.Join(dir, "artifacts"), Runs: filepath.Join(dir, "runs")}
	outside := filepath.Join(dir, "outside")
	for _, d := range []string{paths.Artifacts, outside} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range []string{"t1.1", "t1.2", "t1.3", "t2.1", "t3.1", "t3.2", "t4.1", "t9.1", "notes", oldAside, newAside, "t1.1-before-x-ABCDEF"} {
		if err := os.MkdirAll(filepath.Join(paths.Runs, run, "workspace", "deep"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"log", "workspace/deep/file"} {
			if err := os.WriteFile(filepath.Join(paths.Runs, run, name), []byte("12345"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(paths.Runs, "t4.1", "log.raw.1"), []byte("123"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(paths.Runs, oldAside), now, now.Add(-31*day)); err != nil {
		t.Fatal(err)
	}
	// A link that an agent left must not lead out.
	if err := os.WriteFile(filepath.Join(outside, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(paths.Runs, "t1.2", "workspace", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(paths.Runs, "t1.2", "inputs")); err != nil {
		t.Fatal(err)
	}

	want := []litter{{"run", "t1.1", 10}, {"run", oldAside, 10}, {"workspace", "t1.2/workspace", 5}, {"log", "t4.1/log", 5}, {"log", "t4.1/log.raw.1", 3}}
	for _, dry := range []bool{true, false} {
		g := &collector{paths: paths, dry: dry, now: now, named: map[events.Digest]bool{}, ended: map[events.RunID]events.Time{}, view: projections.NewView()}
		if err := g.survey(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if err := g.runs(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(g.gone, want) {
			t.Errorf("dry %v: got %v, want %v", dry, g.gone, want)
		}
	}
	for name, want := range map[string]bool{
		"runs/t1.1": false, "runs/t1.2/workspace": false, "runs/t1.2/log": true, "runs/t1.3/workspace/deep/file": true,
		"runs/t2.1/workspace": true, "runs/t3.1/workspace": true, "runs/t9.1/workspace": true, "runs/notes/workspace": true,
		"runs/" + oldAside: false, "runs/" + newAside: true, "runs/t1.1-before-x-ABCDEF": true, "runs/t4.1/workspace/deep/file": true, "runs/t4.1/log": false, "outside/mine": true,
	} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: got there %v, want %v", name, err == nil, want)
		}
	}
}
