package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

func verifyVerb(env Env) *cli.Command {
	return verb(env, "verify", "[BOARD]", "check a board's log from the first event to the last", `
Checked: positions without a gap; every record and text in its one form, and as
it was hashed; the root of all records and every signed checkpoint; the state
built twice, and as its owner has it; every start against the rules. A second
verifier that shares no code with the first must find the same. Of a board that
no process holds, the pages of the file too.

What this does not prove: that the last second before a crash is there, and
anything against somebody who has the board's key.`, nil, runVerify)
}

// verifyReport is what a full check of a board came to.
type verifyReport struct {
	Board       string        `json:"board"`
	OK          bool          `json:"ok"`
	Events      uint64        `json:"events"`
	Root        events.Digest `json:"root"`
	Checkpoints int           `json:"checkpoints"` // signed ones that the log agrees with
	Signed      uint64        `json:"signed"`      // position of the last of them
	Starts      int           `json:"starts"`      // run against the rules again
	Erased      int           `json:"erased"`      // texts that are gone
	File        bool          `json:"file"`        // the file's pages were checked too
	Problems    []problem     `json:"problems"`
}

func runVerify(ctx context.Context, x *call) error {
	if err := x.named(0); err != nil {
		return err
	}
	home, e, err := x.place(ctx)
	if err != nil {
		return err
	}
	defer home.Close()
	report, err := verifyBoard(ctx, x.Env, home, e.Slug)
	if err != nil {
		return err
	}
	return x.printVerified(report)
}

// printVerified prints a report; the error is the exit code.
func (x *call) printVerified(r verifyReport) error {
	if x.json() {
		if err := x.emit(r); err != nil {
			return err
		}
	} else {
		verdict := "good"
		if !r.OK {
			verdict = "DAMAGED"
		}
		fmt.Fprintf(x.Stdout, "%s   %s   %s\n", r.Board, verdict, r.words())
		for _, p := range r.Problems {
			fmt.Fprintf(x.Stdout, "  %s\n", line(p.String()))
		}
	}
	if !r.OK {
		return exitError(exitDamaged)
	}
	return nil
}

// words says in one line what was found.
func (r verifyReport) words() string {
	if !r.OK {
		return fmt.Sprintf("%s in %s", plural(len(r.Problems), "problem", "problems"), plural(int(r.Events), "event", "events"))
	}
	parts := []string{plural(int(r.Events), "event", "events"), "root " + brief(r.Root)}
	switch {
	case r.Checkpoints == 0:
		parts = append(parts, "nothing signed yet")
	case r.Signed == r.Events:
		parts = append(parts, "signature good")
	default:
		parts = append(parts, fmt.Sprintf("signature good up to %d", r.Signed))
	}
	parts = append(parts, "state rebuilt from the log is the same", "every start was allowed")
	if r.Erased > 0 {
		parts = append(parts, plural(r.Erased, "text", "texts")+" erased")
	}
	if !r.File {
		parts = append(parts, "pages of the file not checked (in use)")
	}
	return strings.Join(parts, ", ")
}

// verifyBoard checks everything about a board that can be checked, whoever
// holds it. What is wrong with the board is in the report; an error is about
// the attempt.
func verifyBoard(ctx context.Context, _ Env, home *registry.Home, slug string) (verifyReport, error) {
	r := verifyReport{Board: slug, Problems: []problem{}}
	if err := r.verifyFile(ctx, home); err != nil {
		return r, err
	}
	if len(r.Problems) > 0 {
		return r, nil
	}
	b, err := reach(ctx, home, slug, owner.Options{Version: version()})
	var q *registry.QuarantinedError
	if errors.As(err, &q) {
		r.blame(q)
		return r, nil
	}
	if err != nil {
		return r, err
	}
	defer b.Close()
	if err := r.verifyLog(ctx, home, b); err != nil {
		return r, err
	}
	r.OK = len(r.Problems) == 0
	return r, nil
}

// blame puts what set the board aside into the report.
func (r *verifyReport) blame(q *registry.QuarantinedError) {
	r.Events, r.Root = q.Found.Seq, q.Found.Root
	r.Problems = append(r.Problems, problem{What: q.Error()})
}

// verifyFile has a child check the file, and compares its head with what was
// signed. Of a board that another process holds there is nothing to see here.
func (r *verifyReport) verifyFile(ctx context.Context, home *registry.Home) error {
	var found []problem
	q, err := home.Examine(ctx, r.Board, &registry.HoldOptions{
		Log: longLived, // a child looks also where there is no doubt
		VerifyChild: func(ctx context.Context, path string) (err error) {
			found, err = verifyFile(ctx, path)
			r.File = true
			return err
		},
	})
	var taken *registry.HeldError
	switch {
	case errors.As(err, &taken):
		return nil
	case err != nil:
		return err
	case q != nil:
		r.blame(q)
		r.Problems = append(r.Problems, found...)
	}
	return nil
}

// verifyLog reads the log once and checks it up to where it stands now.
func (r *verifyReport) verifyLog(ctx context.Context, home *registry.Home, b api.Board) error {
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	// The checkpoints before the head: a board in use may sign more meanwhile.
	signed, err := loadSigned(home, info.Board)
	if err != nil {
		return err
	}
	if info, err = b.Info(ctx); err != nil {
		return err
	}
	a := newAuditor(r, info.Head, signed)
	if err := a.read(ctx, b); err != nil {
		return err
	}
	return a.close(ctx, b)
}
