package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
	"github.com/hermesboard/hermes/sandbox"
)

func gcVerb(env Env) *cli.Command {
	return verb(env, "gc", "[BOARD]", "remove what the policy no longer keeps", `
Removed are stored files that no event names, the folders that ended runs worked
in, and the logs of ended runs, each when its time in the policy has passed
(keep_orphan, keep_scratch, keep_log). A folder that the next attempt would go
on in stays, without its logs, and so does whatever this program did not make. Containers and
control groups that dead supervisors left go at once, of every board.`,
		[]cli.Flag{flag("dry-run", "", "only say what would go")}, runBoardGC)
}

// litter is something gc removes.
type litter struct {
	Kind  string `json:"kind"` // artifact, workspace, log, run or sandbox
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

func runBoardGC(ctx context.Context, x *call) error {
	if err := x.named(0); err != nil {
		return err
	}
	open := x.boardToChange
	if x.flag("dry-run") {
		open = x.board
	}
	b, err := open(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	g := &collector{paths: home.Paths(info.Slug), dry: x.flag("dry-run"), now: time.Now(), gone: []litter{},
		named: map[events.Digest]bool{}, ended: map[events.RunID]events.Time{}, view: projections.NewView()}
	if err := g.survey(ctx, b); err != nil {
		return err
	}
	err = errors.Join(g.artifacts(ctx), g.runs(ctx), g.sandboxes(ctx))
	if x.json() {
		return errors.Join(x.emit(g.gone), err)
	}
	g.print(x)
	return err
}

func (g *collector) print(x *call) {
	var total int64
	for _, l := range g.gone {
		fmt.Fprintf(x.Stdout, "%-10s %-9s %s\n", l.Kind, size(l.Bytes), l.Name)
		total += l.Bytes
	}
	done := "removed"
	if g.dry {
		done = "would remove"
	}
	fmt.Fprintf(x.Stdout, "%s %s, %s\n", done, plural(len(g.gone), "thing", "things"), size(total))
}

// collector knows what is still needed, and removes the rest.
type collector struct {
	paths  registry.Paths
	dry    bool
	now    time.Time
	policy events.Policy
	named  map[events.Digest]bool       // by any event, as anything
	ended  map[events.RunID]events.Time // runs
	view   *projections.View
	gone   []litter
}

// survey reads the log. A digest counts as named wherever it stands in a record.
func (g *collector) survey(ctx context.Context, b api.Board) (err error) {
	if g.policy, _, err = b.Policy(ctx); err != nil {
		return err
	}
	var decoder events.Decoder
	return readAll(ctx, readerOf(b), 1, 0, func(e events.Entry) error {
		r, err := decoder.Decode(e.Record)
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		for d := range digestsIn(e.Record) {
			g.named[d] = true
		}
		if _, ok := r.Data.(events.RunEnded); ok {
			g.ended[r.Run] = r.Time
		}
		g.view.Apply(&r)
		return nil
	})
}

// digestsIn yields everything in a record that reads as a digest.
func digestsIn(record []byte) func(func(events.Digest) bool) {
	const digits = 2 * len(events.Digest{})
	return func(yield func(events.Digest) bool) {
		for i := 0; i+digits+1 < len(record); i++ {
			if record[i] != '"' || record[i+1+digits] != '"' {
				continue
			}
			var d events.Digest
			if _, err := hex.Decode(d[:], record[i+1:i+1+digits]); err == nil && !yield(d) {
				return
			}
		}
	}
}

// over reports whether a time to keep has passed since t.
func (g *collector) over(t time.Time, keepMS int64) bool {
	return g.now.Sub(t) > time.Duration(keepMS)*time.Millisecond
}

// artifacts removes stored files that no event names.
func (g *collector) artifacts(ctx context.Context) error {
	keep := time.Duration(g.policy.KeepOrphanMS) * time.Millisecond
	entries, err := os.ReadDir(g.paths.Artifacts)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !g.over(info.ModTime(), g.policy.KeepOrphanMS) {
			continue
		}
		if d, err := events.ParseDigest(e.Name()); err == nil && !g.named[d] {
			g.gone = append(g.gone, litter{"artifact", e.Name(), info.Size()})
		}
	}
	if g.dry {
		return nil
	}
	_, err = registry.OpenArtifacts(g.paths.Artifacts).Sweep(ctx, func(d events.Digest) bool { return g.named[d] }, keep)
	return err
}

// runs removes what ended runs left behind.
func (g *collector) runs(ctx context.Context) error {
	root, err := os.OpenRoot(g.paths.Runs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if workspace.IsAside(e.Name()) {
			if info, err := e.Info(); err == nil && g.over(info.ModTime(), g.policy.KeepLogMS) {
				errs = append(errs, g.drop(ctx, root, "run", e.Name()))
			}
			continue
		}
		run, err := events.ParseRunID(e.Name())
		ended, known := g.ended[run]
		if err != nil || !e.IsDir() || !known {
			continue
		}
		switch goesOn := g.goesOn(run); {
		case goesOn && g.over(ended.Time(), g.policy.KeepLogMS):
			for _, name := range supervise.Logs {
				errs = append(errs, g.dropFile(root, "log", e.Name()+"/"+name))
			}
		case goesOn:
		case g.over(ended.Time(), g.policy.KeepLogMS):
			errs = append(errs, g.drop(ctx, root, "run", e.Name()))
		case g.over(ended.Time(), g.policy.KeepScratchMS):
			for _, part := range workspace.Parts {
				errs = append(errs, g.drop(ctx, root, "workspace", e.Name()+"/"+part))
			}
		}
	}
	return errors.Join(errs...)
}

// sandboxes removes what dead supervisors left of any board.
func (g *collector) sandboxes(ctx context.Context) error {
	if g.dry {
		return nil // who is dead is only known by removing it
	}
	containers, err := reapContainers(ctx)
	groups, sweepErr := sandbox.SweepCgroups()
	if containers > 0 {
		g.gone = append(g.gone, litter{"sandbox", plural(containers, "container", "containers"), 0})
	}
	if groups > 0 {
		g.gone = append(g.gone, litter{"sandbox", plural(groups, "control group", "control groups"), 0})
	}
	return errors.Join(err, sweepErr)
}

// goesOn reports whether the next attempt at a task may go on in a run's folder:
// it was the last one, and the task is not over.
func (g *collector) goesOn(run events.RunID) bool {
	t := g.view.Task(run.Task)
	return t != nil && t.Attempts == run.N && t.Status != events.Done && t.Status != events.Archived
}

// dropFile removes a file of a run and notes how much it held.
func (g *collector) dropFile(root *os.Root, kind, name string) error {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if !g.dry {
		if err := root.Remove(name); err != nil {
			return err
		}
	}
	g.gone = append(g.gone, litter{kind, name, info.Size()})
	return nil
}

// drop removes a folder of a run and notes what it held.
func (g *collector) drop(ctx context.Context, root *os.Root, kind, name string) error {
	info, err := root.Lstat(name)
	if err != nil || !info.IsDir() {
		return nil
	}
	var bytes int64
	err = fs.WalkDir(root.FS(), name, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // an agent may have made it unreadable; removing it says so
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	if err == nil && !g.dry {
		_, err = workspace.Remove(ctx, root.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", filepath.Join(root.Name(), name), err)
	}
	g.gone = append(g.gone, litter{kind, name, bytes})
	return nil
}
