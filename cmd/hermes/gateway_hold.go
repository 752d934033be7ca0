package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
)

const (
	glanceEvery = 500 * time.Millisecond // how often it is glanced at whether there are new boards, or another configuration
	lookEvery   = 5 * time.Second        // how often it is read in any case, and a board in trouble tried again
	shortWait   = 10 * time.Millisecond  // first wait for a holder that does not serve
	longWait    = 50 * time.Millisecond  // last wait for one
)

var gatewayPrincipal = boards.Principal{Actor: events.Actor{Kind: events.Gateway, Name: "gateway"}}

// hold keeps the boards that are there, and those that are made meanwhile. It
// takes none after taking has ended, and returns when it has let go of all.
func (g *gateway) hold(taking, serving context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	if swept, err := g.home.Sweep(taking); err != nil {
		g.warn("", err)
	} else if len(swept) > 0 {
		g.log.Info().Strs("swept", swept).Msg("removed what was left of boards that were never finished")
	}
	all.Go(func() {
		if n, err := reapContainers(taking); err != nil && taking.Err() == nil {
			g.warn("", err)
		} else if n > 0 {
			g.log.Info().Int("containers", n).Msg("removed what dead supervisors left")
		}
	})
	g.heedOperator() // before there is anything that would have to be dropped for it
	tick := time.NewTicker(glanceEvery)
	defer tick.Stop()
	var seen, looked time.Time
	said := ""
	for {
		changed := g.as.touched()
		if now := time.Now(); !changed.Equal(seen) || now.Sub(looked) >= lookEvery {
			seen, looked = changed, now
			entries, err := g.home.List(taking)
			if err != nil && taking.Err() == nil && err.Error() != said {
				said = err.Error()
				g.warn("", err)
			}
			g.as.reload()
			holds := g.as.holds()
			if g.heedOperator() { // all are dropped, to be taken again
				holds = noBoards
			}
			g.dropOthers(holds)
			for _, e := range entries {
				if taking.Err() == nil && holds(e.Slug) && g.wants(e.Slug, e.State) {
					taking, serving := g.keeping(taking, serving, e.Slug)
					all.Go(func() { g.keep(taking, serving, e.Slug) })
				}
			}
		}
		select {
		case <-tick.C:
		case <-g.freed:
			seen = time.Time{}
		case <-taking.Done():
			return
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// modified is when a file or folder was last changed; zero = it cannot be told.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// wants reports whether a board is to be kept that is not yet.
func (g *gateway) wants(slug string, state registry.State) bool {
	if state == registry.Archived || len(g.only) > 0 && !slices.Contains(g.only, slug) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kept[slug] == nil
}

// keeping notes a board as kept until it is dropped, which ends both contexts.
func (g *gateway) keeping(taking, serving context.Context, slug string) (context.Context, context.Context) {
	serving, stop := context.WithCancel(serving)
	taking, settle := context.WithCancel(taking)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kept[slug] = func() { settle(); stop() }
	return taking, serving
}

// noBoards is what a gateway holds that lets go of all.
func noBoards(string) bool { return false }

// dropOthers lets go of the boards that are no longer to be held here. Their
// runs go on by themselves, and with whoever takes the board.
func (g *gateway) dropOthers(holds func(slug string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for slug, drop := range g.kept {
		if !holds(slug) {
			drop()
		}
	}
}

// keep holds and serves a board, or waits until whoever holds it lets go, over
// and over until taking ends or the board is gone.
func (g *gateway) keep(taking, serving context.Context, slug string) {
	defer func() {
		dropped := taking.Err() != nil
		g.mu.Lock()
		defer g.mu.Unlock()
		g.kept[slug]() // nothing is kept any more: frees its contexts
		delete(g.kept, slug)
		if dropped {
			select {
			case g.freed <- struct{}{}:
			default: // it is known that some were
			}
		}
	}()
	said, waiting, next := "", false, shortWait
	for taking.Err() == nil {
		err := g.serve(taking, serving, slug)
		var taken *registry.HeldError
		switch {
		case errors.Is(err, registry.ErrNoBoard):
			return
		case errors.As(err, &taken):
			if !waiting && taken.Holder.Socket != "" {
				waiting = true
				g.log.Info().Str("board", slug).Int("holder", taken.Holder.PID).Msg("waiting")
			}
			if awaitGone(taking, taken.Holder.Socket) {
				next = shortWait
				continue
			}
			pause(taking, next) // it comes or goes, or does one call
			next = min(2*next, longWait)
			continue
		case err != nil && !errors.Is(err, context.Canceled) && err.Error() != said:
			said = err.Error()
			g.warn(slug, err)
		}
		waiting, next = false, shortWait
		pause(taking, lookEvery)
	}
}

// serve holds a board now and serves it until serving ends. The error is a
// [*registry.HeldError] if another process holds it.
func (g *gateway) serve(taking, serving context.Context, slug string) error {
	opts := holdOptions(g.home)
	opts.Log.LongLived = true
	held, err := g.home.Hold(taking, slug, 0, opts)
	if err != nil {
		return err
	}
	unclean := held.Unclean()
	s, err := g.open(held, false)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.services[slug] = s
	g.mu.Unlock()
	if taking.Err() != nil { // the end was told while the board was being opened
		s.disp.Drain()
	}
	g.log.Info().Str("board", slug).Int("runs", s.openRuns()).Bool("after_crash", unclean).Msg("holding")
	err = s.Run(serving)
	g.mu.Lock()
	delete(g.services, slug)
	g.mu.Unlock()
	g.log.Info().Str("board", slug).Int("runs", s.openRuns()).Msg("let go")
	return err
}

// awaitGone returns true when whoever listens at a socket has ended, and false
// if nobody does or ctx has ended. It costs nothing meanwhile: the kernel
// tells. It may return true early.
func awaitGone(ctx context.Context, socket string) bool {
	if socket == "" {
		return false
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return false
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	// After one request the connection is idle, and closed by a server that
	// stops; one that never asked anything would be waited for.
	if _, err := io.WriteString(c, "GET /v1/hello HTTP/1.1\r\nHost: hermes\r\n\r\n"); err != nil {
		return true
	}
	io.Copy(io.Discard, c)
	return ctx.Err() == nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (g *gateway) held() []*service {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []*service
	for _, s := range g.services {
		out = append(out, s)
	}
	return out
}

func (g *gateway) openRuns() (n int) {
	for _, s := range g.held() {
		n += s.openRuns()
	}
	return n
}
