package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

func acceptVerb(env Env) *cli.Command {
	return verb(env, "accept", "BOARD", "go on with a board that is not what was signed", `
Example:
  hermes board accept acme --reason "restored from Monday's copy"

Shows what is missing and asks. That you accepted it, and what, becomes an
event; from there on the board is signed anew.`,
		[]cli.Flag{str("reason", "", "why; it is kept"), flag("yes", "y", "do not ask")}, runAccept)
}

func runAccept(ctx context.Context, x *call) error {
	if err := x.named(1); err != nil {
		return err
	}
	if x.str("reason") == "" {
		return &usageError{msg: "accept wants --reason: it is kept with the board", hint: "hermes board accept " + x.slug + " --reason …"}
	}
	home, e, err := x.place(ctx)
	if err != nil {
		return err
	}
	defer home.Close()
	q, err := home.Examine(ctx, e.Slug, holdOptions(home))
	if err != nil {
		return inUse(err)
	}
	if q == nil && e.State != registry.Quarantined {
		return &boards.Rejection{Code: boards.CodeAlready, Detail: fmt.Sprintf("nothing is wrong with board %s", e.Slug)}
	}
	if q != nil {
		x.say("%s", missing(q))
	}
	if err := x.confirm("go on with board "+e.Slug+" as it is", ""); err != nil {
		return err
	}
	return x.accept(ctx, home, e.Slug)
}

// missing says what is wrong with a board, and what is gone for good.
func missing(q *registry.QuarantinedError) string {
	s := fmt.Sprintf("board %s (%s): %s", q.Slug, q.Problem, printable(q.Detail))
	if q.MissingTo > 0 {
		s += fmt.Sprintf("\n  events %d–%d were acknowledged and are gone", q.MissingFrom, q.MissingTo)
	}
	if q.Found.Seq > 0 {
		s += fmt.Sprintf("\n  it would go on from event %d, root %s", q.Found.Seq, brief(q.Found.Root))
	}
	return s
}

// accept writes board.accepted and has the board signed anew from there.
func (x *call) accept(ctx context.Context, home *registry.Home, slug string) (err error) {
	held, q, err := home.HoldAccepting(ctx, slug, holdOptions(home))
	if err != nil {
		return inUse(err)
	}
	if q == nil {
		if x.json() {
			return errors.Join(x.emit(map[string]string{"board": slug}), held.Release())
		}
		fmt.Fprintf(x.Stdout, "%s is in order again\n", slug)
		return held.Release()
	}
	o, err := owner.Open(ctx, held, x.ownerOptions(home))
	if err != nil {
		return errors.Join(err, held.Release())
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	_, err = x.do(ctx, o, boards.AcceptBoard{Accepted: acceptedOf(q), Reason: x.str("reason")})
	if err != nil {
		return err
	}
	info, err := o.Info(ctx)
	if err != nil {
		return err
	}
	if err := held.AnchorReset(info.Head); err != nil {
		return err
	}
	if x.json() {
		return x.emit(struct {
			Board    string               `json:"board"`
			Accepted events.BoardAccepted `json:"accepted"`
			Head     events.Head          `json:"head"`
		}{slug, acceptedOf(q), info.Head})
	}
	fmt.Fprintf(x.Stdout, "%s goes on from event %d; check it: hermes board verify %s\n", slug, info.Head.Seq, slug)
	return nil
}

func acceptedOf(q *registry.QuarantinedError) events.BoardAccepted {
	a := events.BoardAccepted{Problem: string(q.Problem), MissingFrom: q.MissingFrom, MissingTo: q.MissingTo}
	if q.MissingTo != 0 && q.MissingTo == q.Anchored.Seq {
		a.AnchorRoot = q.Anchored.Root
	}
	return a
}

func checkpointVerb(env Env) *cli.Command {
	return verb(env, "checkpoint", "[BOARD]", "print the last signed checkpoint and the key it can be checked with", `
The note is a C2SP signed note: keep it elsewhere, and nobody can rewrite what
it covers without being found.`, nil, func(ctx context.Context, x *call) error {
		if err := x.named(0); err != nil {
			return err
		}
		home, e, err := x.place(ctx)
		if err != nil {
			return err
		}
		defer home.Close()
		key, err := home.VerifierKey(e.Board)
		if err != nil {
			return err
		}
		c, ok := lastCheckpoint(home, e.Board)
		if !ok {
			return fmt.Errorf("board %s: %w: no checkpoint can be read", e.Slug, events.ErrDamaged)
		}
		if x.json() {
			return x.emit(struct {
				Board string        `json:"board"`
				Time  events.Time   `json:"time"`
				Seq   uint64        `json:"seq"`
				Root  events.Digest `json:"root"`
				Note  string        `json:"note"`
				Key   string        `json:"key"`
			}{e.Slug, c.Time, c.Head.Seq, c.Head.Root, c.Note, key})
		}
		_, err = fmt.Fprintf(x.Stdout, "%s\nkey %s\n", printable(c.Note), key)
		return err
	})
}
