package supervise

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// patience is how long a worker's call waits for a board that does not answer.
const patience = 30 * time.Second

// report sends the end of the run, again and again until the board has it. A
// kept verdict goes first.
func (r *run) report(ctx context.Context, e end) error {
	if err := r.verdict.redeliver(ctx, time.Hour); err != nil {
		r.deps.Warn(err)
	}
	r.reportRefusals(ctx)
	if e.outcome != events.OutcomeOverBudget {
		r.reportBudgets(ctx, r.usage(), false)
	}
	a := r.spec.Assignment
	c := boards.EndRun{
		Run: a.Run, Outcome: e.outcome, RanMS: time.Since(r.started).Milliseconds(), Kept: r.kept,
		Reason: agents.Plain(e.reason), Signal: int32(e.status.Signal), RetryAfter: e.retry.Milliseconds(),
		Usage: r.usage(), Egress: r.meter.Egress(),
	}
	r.remember()
	if r.out != nil {
		var err error
		if c.Transcript, err = r.out.seal(); err != nil {
			r.deps.Warn(err)
		}
		c.Evidence = r.out.evidence(r.spec.hide)
	}
	if r.raw != nil {
		r.raw.close()
	}
	if c.Evidence == "" {
		c.Evidence = c.Reason // the next attempt is shown what there is
	}
	if e.exited && e.status.Signal == 0 {
		code := int32(e.status.Code)
		c.Exit = &code
	}
	id := events.ForeignCommandID(a.Board, "end", fmt.Sprintf("%s %d", a.Run, a.Fence))
	err := insist(ctx, 24*time.Hour, final, func() error {
		_, err := r.deps.Door.Do(ctx, id, c)
		return err
	})
	switch {
	case over(err):
		r.deps.Warn(fmt.Errorf("the end of %s is on record already: %w", a.Run, err))
		return nil
	case err != nil:
		return fmt.Errorf("report the end of %s: %w", a.Run, err)
	}
	return nil
}

// hide replaces the values of variables that were passed on to the agent.
func (s Spec) hide(text string) string {
	for _, pass := range s.Env {
		if k, v, _ := strings.Cut(pass, "="); len(v) >= 8 {
			text = strings.ReplaceAll(text, v, "["+k+"]")
		}
	}
	return text
}

// reportRefusals puts the refused calls since the last time on record.
func (r *run) reportRefusals(ctx context.Context) {
	if r.server == nil {
		return
	}
	for code, n := range r.server.Refused() {
		c := boards.RefuseCalls{Run: r.spec.Assignment.Run, Code: code, Count: n}
		if _, err := r.deps.Door.Do(ctx, newID(), c); err != nil {
			r.deps.Warn(fmt.Errorf("record refused calls: %w", err))
			if !final(err) {
				r.server.Unreported(code, n)
			}
		}
	}
}

// newID names a command that is sent once.
func newID() (id events.CommandID) {
	rand.Read(id[:])
	return id
}

// insist calls do until it succeeds, an error is hopeless, or the time is over.
func insist(ctx context.Context, most time.Duration, hopeless func(error) bool, do func() error) error {
	deadline := time.Now().Add(most)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := do()
		if err == nil || hopeless(err) || time.Now().After(deadline) {
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

// refused reports whether an error is somebody's no.
func refused(err error) bool {
	var rej *boards.Rejection
	return errors.As(err, &rej) || closed(err)
}

// final is refused for what matters most: a full board and a broken rule may
// be mended.
func final(err error) bool {
	var rej *boards.Rejection
	if errors.As(err, &rej) {
		return rej.Code != boards.CodeFull && rej.Code != boards.CodeInternal
	}
	return closed(err)
}

func closed(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && (e.Code == api.CodeForbidden || e.Code == api.CodeNotFound)
}

// over reports whether an error says that the run has ended on the board.
func over(err error) bool {
	var rej *boards.Rejection
	if errors.As(err, &rej) {
		return rej.Code == boards.CodeStaleRun || rej.Code == boards.CodeAlready || rej.Code == boards.CodeNotFound
	}
	return closed(err)
}

// patient is the run's door for its agent: a board that does not answer for a
// moment is waited for.
type patient struct{ api.Door }

func (p patient) Do(ctx context.Context, id events.CommandID, c boards.Command) (res boards.Result, err error) {
	err = insist(ctx, patience, refused, func() error { res, err = p.Door.Do(ctx, id, c); return err })
	return res, err
}

func (p patient) Show(ctx context.Context, task events.TaskID) (d projections.Detail, err error) {
	err = insist(ctx, patience, refused, func() error { d, err = p.Door.Show(ctx, task); return err })
	return d, err
}

func (p patient) List(ctx context.Context, q projections.ListQuery) (cards []projections.Card, err error) {
	err = insist(ctx, patience, refused, func() error { cards, err = p.Door.List(ctx, q); return err })
	return cards, err
}
