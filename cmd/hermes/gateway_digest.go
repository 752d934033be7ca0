package main

import (
	"context"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

// digest sends the digest of the boards that are held, and to an operator of
// all the others there are.
func (g *gateway) digest(ctx context.Context, as *setup) {
	t := as.voice.teller
	if t.digest < 0 {
		return
	}
	d := &notify.Digester{At: t.digest, Zone: t.opts.Zone, Platforms: t.opts.Platforms, Boards: g.digestBoards, Warn: g.warnAll}
	if as.MayOpenAll() {
		d.Gateways = func() (up, all int) {
			up, all, err := countGateways(ctx, g.home)
			if err != nil {
				g.warnAll(err)
			}
			return up, all
		}
		d.All, d.Others = as.ownerAt, g.otherBoards
	}
	d.Run(ctx)
}

func (g *gateway) digestBoards(context.Context) (list []notify.Board, err error) {
	for _, s := range g.sorted() {
		list = append(list, s.owner)
	}
	return list, nil
}

// ownerAt reports whether a destination is where an owner of the profile alone
// reads.
func (s *setup) ownerAt(to events.Destination) bool {
	for _, p := range s.Config.Telegram.Allow {
		if p.Role == "owner" && p.Chat == "" && to == (events.Destination{Platform: "telegram", Chat: p.ID}) {
			return true
		}
	}
	return false
}

// otherBoards calls f for the boards that the profile may open and this process
// does not hold, and for those of other accounts that let this user look.
func (g *gateway) otherBoards(ctx context.Context, f func(notify.OtherBoard) error) error {
	entries, err := g.home.List(ctx)
	if err != nil {
		return err
	}
	as := g.as.latest.Load()
	for _, e := range entries {
		if e.State == registry.Archived || !as.MayOpen(e.Slug) || g.heldBoard(e.Slug) != nil {
			continue
		}
		b, err := reach(ctx, g.home, e.Slug, owner.Options{Version: version()})
		if err == nil {
			err = f(notify.OtherBoard{Name: e.Slug, Board: b})
			b.Close()
		} else {
			err = f(notify.OtherBoard{Name: e.Slug, Err: err})
		}
		if err != nil {
			return err
		}
	}
	for _, found := range accountBoards(ctx, g.env.Getenv) {
		if err == nil {
			err = f(notify.OtherBoard{Name: found.entry.Slug, Board: found.board})
		}
		found.board.Close()
	}
	return err
}
