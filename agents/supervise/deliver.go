package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// verdictFile holds a verdict from before it is sent until the run has ended.
const verdictFile = "verdict.json"

// patience is how long a worker's call waits for a board that does not answer.
const patience = 30 * time.Second

type keptVerdict struct {
	ID      events.CommandID `json:"id"`
	Name    string           `json:"name"`
	Command jsontext.Value   `json:"command"`
}

// verdict puts a verdict on disk, then sends it. Where the board refuses it the
// run goes on and may give another.
func (r *run) verdict(ctx context.Context, id events.CommandID, c boards.Command) (boards.Result, error) {
	body, err := boards.EncodeCommand(c)
	if err != nil {
		return boards.Result{}, err
	}
	kept, err := json.Marshal(keptVerdict{ID: id, Name: c.CommandName(), Command: body})
	if err != nil {
		return boards.Result{}, err
	}
	path := filepath.Join(r.spec.Dir(), verdictFile)
	if err := writeDurably(path, kept); err != nil {
		return boards.Result{}, fmt.Errorf("keep the verdict: %w", err)
	}
	var res boards.Result
	err = r.insist(ctx, patience, func() error {
		res, err = r.deps.Door.Do(ctx, id, c)
		return err
	})
	var rej *boards.Rejection
	if errors.As(err, &rej) {
		os.Remove(path)
	}
	return res, err
}

// redeliver sends a verdict that an earlier try kept but may not have delivered.
func (r *run) redeliver(ctx context.Context) error {
	path := filepath.Join(r.spec.Dir(), verdictFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil // none kept
	}
	var kept keptVerdict
	if err := json.Unmarshal(b, &kept); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c, err := boards.DecodeCommand(kept.Name, kept.Command)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	err = r.insist(ctx, time.Hour, func() error {
		_, err := r.deps.Door.Do(ctx, kept.ID, c)
		return err
	})
	if err == nil {
		os.Remove(path)
	}
	return err
}

// report sends the end of the run, again and again until the board has it. A
// kept verdict goes first.
func (r *run) report(ctx context.Context, e end) error {
	if err := r.redeliver(ctx); err != nil {
		r.deps.Warn(err)
	}
	r.reportRefusals(ctx)
	sum, err := r.out.seal()
	if err != nil {
		r.deps.Warn(err)
	}
	a := r.spec.Assignment
	c := boards.EndRun{
		Run: a.Run, Outcome: e.outcome, RanMS: time.Since(r.started).Milliseconds(), Transcript: sum, Kept: true,
		Evidence: r.out.evidence(), Reason: e.reason, Signal: int32(e.status.Signal),
		Usage: events.Usage{Source: "none"},
	}
	if e.exited && e.status.Signal == 0 {
		code := int32(e.status.Code)
		c.Exit = &code
	}
	id := events.ForeignCommandID(a.Board, "end", a.Run.String())
	err = r.insist(ctx, 24*time.Hour, func() error {
		_, err := r.deps.Door.Do(ctx, id, c)
		return err
	})
	if err != nil {
		return fmt.Errorf("report the end of %s: %w", a.Run, err)
	}
	return nil
}

// reportRefusals puts the refused calls of the last minute on record.
func (r *run) reportRefusals(ctx context.Context) {
	if r.server == nil {
		return
	}
	for code, n := range r.server.Refused() {
		c := boards.RefuseCalls{Run: r.spec.Assignment.Run, Code: code, Count: n}
		if _, err := r.deps.Door.Do(ctx, newID(), c); err != nil {
			r.deps.Warn(fmt.Errorf("record refused calls: %w", err))
		}
	}
}

// insist calls do until it succeeds, is refused for good, or the time is over.
func (r *run) insist(ctx context.Context, most time.Duration, do func() error) error {
	deadline := time.Now().Add(most)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := do()
		if err == nil || final(err) || time.Now().After(deadline) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// final reports whether an error will not go away by itself.
func final(err error) bool {
	var rej *boards.Rejection
	if errors.As(err, &rej) {
		return rej.Code != boards.CodeFull && rej.Code != boards.CodeInternal
	}
	var e *api.Error
	return errors.As(err, &e) && (e.Code == api.CodeForbidden || e.Code == api.CodeNotFound)
}

// writeDurably replaces a file so that it is whole or absent after a crash.
func writeDurably(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".kept-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
