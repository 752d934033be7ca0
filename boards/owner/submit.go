package owner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// pending is a command on its way through the writer.
type pending struct {
	by     boards.Principal
	id     events.CommandID
	c      boards.Command
	check  events.Check
	seen   uint64      // the log had been searched for id up to here
	tried  bool        // an append of it had an unknown outcome: finding it is no repeat
	full   bool        // a full board refused it once; the ballast is given up for it
	until  time.Time   // how long it waits for a frozen board; zero = it has not met one
	answer chan answer // capacity 1; the writer answers once
}

type answer struct {
	result boards.Result
	err    error
}

func (p *pending) reply(r boards.Result, err error) { p.answer <- answer{r, err} }

// Do implements [api.Board]. It needs Run to be running. When ctx ends Do
// stops waiting, but the command may still be carried out: sent again under
// the same id it is answered, not doubled.
func (o *Owner) Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	if id.IsZero() || c == nil {
		return boards.Result{}, &boards.Rejection{Code: boards.CodeBadCommand, Detail: "a command needs an id and a content"}
	}
	check, err := checkOf(by, c)
	if err != nil {
		return boards.Result{}, &boards.Rejection{Code: boards.CodeBadCommand, Detail: err.Error()}
	}
	p := &pending{by: by, id: id, c: c, check: check, answer: make(chan answer, 1)}
	seen := o.seq.Load()
	if entry, found, err := o.store.Log().Command(id); err == nil {
		if found {
			return o.recall(ctx, entry, check)
		}
		p.seen = seen
	} // else the writer looks, once the log is there again
	if err := o.admit(c); err != nil {
		return boards.Result{}, err
	}
	return o.submit(ctx, p)
}

func (o *Owner) submit(ctx context.Context, p *pending) (boards.Result, error) {
	if o.stopped.Err() != nil || !o.queue.put(p) { // without the first a busy board would never be let go of
		return boards.Result{}, o.goneError()
	}
	select {
	case a := <-p.answer:
		return a.result, a.err
	case <-ctx.Done():
		return boards.Result{}, ctx.Err()
	}
}

// recall answers a command that was carried out before.
func (o *Owner) recall(ctx context.Context, entry events.CommandEntry, check events.Check) (boards.Result, error) {
	if entry.Check != check {
		return boards.Result{}, mismatch()
	}
	log := o.store.Log()
	records := make([]events.Record, 0, entry.Count)
	for next := entry.First; len(records) < entry.Count; {
		entries, err := log.Read(ctx, next, entry.Count-len(records), false)
		if err == nil && len(entries) == 0 {
			err = fmt.Errorf("%w: record %d is missing", events.ErrDamaged, next)
		}
		if err != nil {
			return boards.Result{}, o.readError(err)
		}
		for _, e := range entries {
			r, err := events.Decode(e.Record)
			if err != nil {
				return boards.Result{}, o.readError(err)
			}
			records = append(records, r)
		}
		next += uint64(len(entries))
	}
	result := boards.ResultOf(records)
	result.Repeat = true
	return result, nil
}

func mismatch() error {
	return &boards.Rejection{Code: boards.CodeMismatch, Detail: "this command id was used for something else",
		Hint: "send it under a new id"}
}

// admit refuses what must not reach the rules: files that are not stored, and
// new work while there is no room.
func (o *Owner) admit(c boards.Command) error {
	for _, a := range artifactsOf(c) {
		if err := o.store.HasArtifact(a); err != nil {
			return &boards.Rejection{Code: boards.CodeNoArtifact, Task: taskOf(c), Detail: fmt.Sprintf("artifact %s is not stored: %v", a.SHA256, err)}
		}
	}
	if boards.IsIntake(c) {
		if why := o.space.closed(); why != "" {
			return fullRejection(c, why)
		}
	}
	return nil
}

func fullRejection(c boards.Command, why string) error {
	return &boards.Rejection{Code: boards.CodeFull, Task: taskOf(c), Detail: "the board takes nothing new on: " + why,
		Hint: "free some disk (hermes board gc), or raise the quota: hermes board policy set max_bytes N"}
}

// artifactsOf returns the stored files that a command names.
func artifactsOf(c boards.Command) []events.Artifact {
	switch c := c.(type) {
	case boards.AttachFile:
		return []events.Artifact{c.Artifact}
	case boards.CompleteTask:
		return c.Artifacts
	case boards.RequestReview:
		return c.Artifacts
	}
	return nil
}

// taskOf returns the task of the commands that this package itself refuses.
func taskOf(c boards.Command) events.TaskID {
	switch c := c.(type) {
	case boards.AttachFile:
		return c.Task
	case boards.CompleteTask:
		return c.Task
	case boards.RequestReview:
		return c.Task
	case boards.CommentTask:
		return c.Task
	case boards.EditTask:
		return c.Task
	}
	return 0
}

// isVital reports whether a command ends or releases something, or changes
// what is allowed: for these the last room is given up.
func isVital(c boards.Command) bool {
	switch c.(type) {
	case boards.EndRun, boards.StopRun, boards.CompleteTask, boards.RequestReview, boards.ApproveTask, boards.RequestChanges,
		boards.BlockTask, boards.ArchiveTask, boards.SetPolicy, boards.PauseBoard, boards.HoldAgent, boards.ReleaseAgent, boards.AcceptBoard:
		return true
	}
	return false
}

func errFrozen() error {
	return &api.Error{Code: api.CodeFrozen, Message: "the board is frozen: it is not known whether the last commit reached the disk",
		Hint: "send the same command again under the same id"}
}

// goneError says why this owner answers no more.
func (o *Owner) goneError() error {
	if err := o.failure(); err != nil {
		return &api.Error{Code: api.CodeDamaged, Message: err.Error(), Hint: "hermes board verify"}
	}
	return &api.Error{Code: api.CodeBusy, Message: "the board's owner is letting go of it", Hint: "try again"}
}

// readError explains an error of the log to whoever only asked.
func (o *Owner) readError(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case o.Frozen():
		return errFrozen()
	case errors.Is(err, events.ErrClosed):
		return o.goneError()
	case errors.Is(err, events.ErrDamaged):
		return &api.Error{Code: api.CodeDamaged, Message: err.Error(), Hint: "hermes board verify"}
	}
	return err
}
