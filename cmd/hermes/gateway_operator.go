package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
)

const (
	accountWait   = 2 * time.Second // for the gateways of other accounts, all together
	maxAccountOwn = 200             // boards of one account that are looked at
)

// newOperator reads gateway.operator: uid:N or group:NAME; empty = nobody, nil.
func newOperator(s string) (*api.Operator, error) {
	if s == "" {
		return nil, nil
	}
	var o api.Operator
	var err error
	kind, id, _ := strings.Cut(s, ":")
	switch kind {
	case "uid":
		o.User = true
		o.ID, err = strconv.Atoi(id)
	case "group":
		var g *user.Group
		if g, err = user.LookupGroup(id); err == nil {
			o.Group = true
			o.ID, err = strconv.Atoi(g.Gid)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("gateway.operator: %w", err)
	}
	return &o, nil
}

// listenShared listens where the operator, who has another account, can reach a
// board whose own socket is at a path.
func listenShared(getenv func(string) string, socket string) (net.Listener, error) {
	dir, err := openShared(getenv, "boards", true)
	if err != nil {
		return nil, err
	}
	return api.ListenShared(filepath.Join(dir, filepath.Base(socket)))
}

// heedOperator lets in whom the configuration names by now. If that is another
// than before, all boards are let go of, to be taken again with its door.
func (g *gateway) heedOperator() (changed bool) {
	now, err := newOperator(g.as.latest.Load().Config.Gateway.Operator)
	if err != nil {
		if said := err.Error(); said != g.noOperator {
			g.noOperator = said
			g.warn("", err)
		}
	}
	before := g.operator.Swap(now)
	if before == nil || now == nil {
		return before != now
	}
	return *before != *now
}

// accountBoards finds the boards of other accounts of this host that let this
// user in as their operator, by name. The board acme of the account hermes-acme
// is called hermes-acme:acme. Whoever asks closes them.
func accountBoards(ctx context.Context, getenv func(string) string) []boardFound {
	ctx, cancel := context.WithTimeout(ctx, accountWait)
	defer cancel()
	var mu sync.Mutex
	var list []boardFound
	var all sync.WaitGroup
	for _, o := range othersShared(getenv, "boards") {
		sockets, _ := filepath.Glob(filepath.Join(o.Dir, "*.sock")) // the pattern is well formed
		for _, socket := range sockets[:min(len(sockets), maxAccountOwn)] {
			all.Go(func() {
				if f, ok := dialAccount(ctx, o.UID, socket); ok {
					mu.Lock()
					defer mu.Unlock()
					list = append(list, f)
				}
			})
		}
	}
	all.Wait()
	slices.SortFunc(list, func(a, b boardFound) int { return strings.Compare(a.entry.Slug, b.entry.Slug) })
	return list
}

// accountName is the name of an account; one without is called by its number.
func accountName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprint("uid", uid)
}

// dialAccount opens a board of another account. One that does not answer, or not
// to this user, is not there, nor one that another account's process serves.
func dialAccount(ctx context.Context, uid int, socket string) (boardFound, bool) {
	c, err := api.DialUser(ctx, socket, version(), uid)
	if err != nil {
		return boardFound{}, false
	}
	info, err := c.Info(ctx)
	if err == nil {
		_, err = registry.ParseSlug(info.Slug) // another account says so
	}
	if err != nil {
		c.Close()
		return boardFound{}, false
	}
	info.Slug = accountName(uid) + ":" + info.Slug
	e := registry.Entry{Slug: info.Slug, Board: info.Board, State: registry.InUse, Holder: &registry.Holder{PID: info.Owner.PID, Socket: socket}, Bytes: info.Bytes}
	return boardFound{entry: e, board: c, info: info}, true
}

// surveyAccounts calls f for the boards of other accounts that this user may
// look at as their operator.
func (x *call) surveyAccounts(ctx context.Context, home *registry.Home, f func(boardFound) error) error {
	if p, err := x.profile(home); err != nil || !p.MayOpenAll() {
		return err
	}
	var failed error
	for _, found := range accountBoards(ctx, x.Getenv) {
		if failed == nil {
			if err := f(found); !errors.Is(err, api.ErrNoOwner) { // its gateway ended just now
				failed = err
			}
		}
		found.board.Close()
	}
	return failed
}

// accountBoard opens the board of another account if that is what an invocation
// names. Whoever asks closes it.
func (x *call) accountBoard(ctx context.Context, home *registry.Home) (b api.Board, ok bool, err error) {
	name := cmp.Or(x.slug, x.str("board"), x.getenv("BOARD"))
	if !strings.Contains(name, ":") {
		return nil, false, nil
	}
	p, err := x.profile(home)
	if err != nil {
		return nil, true, err
	}
	if p.MayOpenAll() {
		for _, f := range accountBoards(ctx, x.Getenv) {
			if f.entry.Slug == name && b == nil {
				b = f.board
			} else {
				f.board.Close()
			}
		}
	}
	if b == nil {
		return nil, true, hiddenBoard(name)
	}
	return b, true, nil
}
