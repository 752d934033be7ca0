package main

import (
	"context"
	"errors"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
)

// boardFound is a board of the home, opened if it can be.
type boardFound struct {
	entry registry.Entry
	board api.Board // nil = cannot be opened; trouble says why
	info  api.Info
	err   error // why not
}

// survey opens the boards of the home one after another, in the order of their
// names and without the archived ones, and calls f for each, also for those
// that cannot be opened; then those of other accounts whose operator this user
// is. An error of f ends it.
func (x *call) survey(ctx context.Context, home *registry.Home, f func(boardFound) error) error {
	entries, err := x.visible(ctx, home)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.State == registry.Archived {
			continue
		}
		if err := x.visit(ctx, home, e, f); err != nil {
			return err
		}
	}
	return x.surveyAccounts(ctx, home, f)
}

func (x *call) visit(ctx context.Context, home *registry.Home, e registry.Entry, f func(boardFound) error) error {
	found := boardFound{entry: e}
	found.board, found.err = x.reach(ctx, home, e.Slug)
	if found.err == nil {
		defer found.board.Close()
		found.info, found.err = found.board.Info(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if found.err != nil {
		found.board = nil
		var q *registry.QuarantinedError
		if errors.As(found.err, &q) {
			found.entry.State, found.entry.Quarantine = registry.Quarantined, q
		}
	}
	return f(found)
}

// everyBoard calls f for every board that can be opened. One that cannot is
// named on stderr and does not stop the others.
func (x *call) everyBoard(ctx context.Context, f func(b api.Board, info api.Info) error) error {
	_, err := x.everyBoardBut(ctx, f)
	return err
}

// everyBoardBut is everyBoard that also returns why boards were left out; nil
// = none was.
func (x *call) everyBoardBut(ctx context.Context, f func(b api.Board, info api.Info) error) (left, err error) {
	if b, ok := seated(ctx); ok { // the only one there is for this call
		info, err := b.Info(ctx)
		if err != nil {
			return nil, err
		}
		return nil, f(b, info)
	}
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	defer home.Close()
	err = x.survey(ctx, home, func(found boardFound) error {
		if found.board != nil {
			return f(found.board, found.info)
		}
		left = errors.Join(left, found.err)
		why := explainError(found.err)
		x.say("hermes: left out board %s: %s", found.entry.Slug, printable(why.Message))
		if why.Hint != "" {
			x.say("  %s", printable(why.Hint))
		}
		return nil
	})
	return left, err
}
