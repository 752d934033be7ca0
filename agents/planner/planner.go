package planner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Board is what a planner needs of a board.
type Board interface {
	Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error)
	Show(ctx context.Context, task events.TaskID) (projections.Detail, error)
	Why(ctx context.Context, task events.TaskID) (projections.Why, error)
}

// Planner plans the ideas of one board. It is safe for concurrent use.
type Planner struct {
	Config Config
	Board  Board
	Slug   string
	Agents func() []Agent
	Getenv func(string) string
	NewID  func() events.CommandID
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// FailedError says that the program was asked and failed; the failure is on record.
type FailedError struct {
	Task events.TaskID
	Err  error
}

// Error returns what went wrong.
func (e *FailedError) Error() string { return fmt.Sprintf("planning %s: %v", e.Task, e.Err) }

// Unwrap returns the cause.
func (e *FailedError) Unwrap() error { return e.Err }

// Plan asks the program about one idea and writes what it answers. A
// *boards.Rejection comes from the cheap checks, before the program is
// started, or from the rules; a *[FailedError] is on record.
func (p *Planner) Plan(ctx context.Context, by boards.Principal, kind Kind, task events.TaskID) (boards.Result, error) {
	req, err := p.prepare(ctx, kind, task)
	if err != nil {
		return boards.Result{}, err
	}
	out, err := p.ask(ctx, req)
	var c boards.Command
	if err == nil {
		c, err = command(req, out)
	}
	if err == nil {
		var res boards.Result
		res, err = p.Board.Do(ctx, by, p.NewID(), c)
		var rej *boards.Rejection
		if err == nil || !errors.As(err, &rej) || rej.Code != boards.CodeBadCommand && rej.Code != boards.CodeTooMany {
			return res, err
		}
	}
	if ctx.Err() != nil {
		return boards.Result{}, ctx.Err() // our own end is not the planner's failure
	}
	_, failErr := p.Board.Do(ctx, by, p.NewID(), boards.FailPlan{Task: task, Evidence: cut(err.Error())})
	return boards.Result{}, errors.Join(&FailedError{Task: task, Err: err}, failErr)
}

// prepare checks all that can be checked for nothing.
func (p *Planner) prepare(ctx context.Context, kind Kind, task events.TaskID) (Request, error) {
	d, err := p.Board.Show(ctx, task)
	if err != nil {
		return Request{}, err
	}
	refuse := func(code boards.Code, format string, a ...any) (Request, error) {
		return Request{}, &boards.Rejection{Code: code, Task: task, Detail: fmt.Sprintf(format, a...)}
	}
	if d.Status != events.Triage {
		return refuse(boards.CodeWrongStatus, "%s is %s: only an idea in triage is planned", task, d.Status)
	}
	if kind == Decompose {
		for _, e := range d.Events {
			if e.Type == (events.TaskDecomposed{}).Type() {
				return refuse(boards.CodeAlready, "%s was decomposed before", task)
			}
		}
	}
	w, err := p.Board.Why(ctx, task)
	if err != nil {
		return Request{}, err
	}
	if until := w.Hold.Until.Time(); w.Hold.Until != 0 && time.Now().Before(until) {
		return refuse(boards.CodeTooEarly, "planning %s failed before; the next attempt may be made at %s", task, until.Local().Format("15:04:05"))
	}
	if strings.TrimSpace(d.Title+d.Body) == "" {
		return refuse(boards.CodeBadCommand, "%s says nothing that could be planned", task)
	}
	agents := p.Agents()
	if len(agents) == 0 {
		return refuse(boards.CodeNotFound, "this profile has no agent to give tasks to")
	}
	if _, err := exec.LookPath(p.Config.Command[0]); err != nil {
		return refuse(boards.CodeNotFound, "the planner's program is missing: %v", err)
	}
	return request(kind, p.Slug, d, agents), nil
}

// ask runs the program.
func (p *Planner) ask(ctx context.Context, req Request) ([]byte, error) {
	in, err := json.Marshal(req, json.Deterministic(true), json.FormatNilSliceAsNull(false))
	if err != nil {
		return nil, err
	}
	limit, err := p.Config.timeout()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Config.Command[0], p.Config.Command[1:]...)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Dir = "/"
	cmd.WaitDelay = 5 * time.Second
	for _, name := range append([]string{"PATH", "HOME", "LANG", "TMPDIR"}, p.Config.Env...) {
		if v := p.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	out, errs := &bounded{max: maxAnswer}, &bounded{max: 4 << 10, drop: true}
	cmd.Stdout, cmd.Stderr = out, errs
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case out.over:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	case err != nil:
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(errs.kept)))
	}
	return out.kept, nil
}

// bounded keeps at most max bytes; more are an error, or with drop left out.
type bounded struct {
	kept []byte
	max  int
	drop bool
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), b.max-len(b.kept))
	b.kept = append(b.kept, p[:room]...)
	if room < len(p) {
		b.over = true
		if !b.drop {
			return room, errors.New("too long")
		}
	}
	return len(p), nil
}

// cut keeps evidence within what an event holds.
func cut(s string) string {
	const most = 4 << 10
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s), "\uFFFD")
}
