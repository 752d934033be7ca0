//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// client sends commands, and each again under the same id until it is answered.
type client struct {
	p     *place
	name  string
	l     *ledger
	board api.Board
	tries int
}

// do returns false when ctx ended before there was an answer.
func (c *client) do(ctx context.Context, what string, id events.CommandID, cmd boards.Command) (boards.Result, bool) {
	for ; ctx.Err() == nil; c.tries++ {
		if c.board == nil {
			b, err := c.dial(ctx)
			if err != nil {
				pauseFor(3 * time.Millisecond)
				continue
			}
			c.board = b
		}
		res, err := c.board.Do(ctx, personal(Env{User: c.name}), id, cmd)
		var no *boards.Rejection
		switch {
		case err == nil:
			c.l.acknowledged(id, what, res)
			return res, true
		case errors.As(err, &no):
			c.p.t.Errorf("%s: refused: %v", what, err)
			return res, false
		}
		c.board.Close()
		c.board = nil
	}
	return boards.Result{}, false
}

// dial reaches a gateway only: what is under test is that one.
func (c *client) dial(ctx context.Context) (api.Board, error) {
	entries, err := c.p.home.List(ctx)
	if err != nil || len(entries) != 1 || entries[0].Holder == nil || entries[0].Holder.Socket == "" {
		return nil, api.ErrNoOwner
	}
	return api.Dial(ctx, entries[0].Holder.Socket, version())
}

// work creates tasks until stop is closed; every third is completed by the
// client, every sixth, none of these, is for an agent.
func (c *client) work(ctx context.Context, stop <-chan struct{}) {
	defer func() {
		if c.board != nil {
			c.board.Close()
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		task := boards.NewTask{Title: fmt.Sprintf("%s %d", c.name, n)}
		switch {
		case n%30 == 1:
			task.Assignee = "brief"
		case n%6 == 1:
			task.Assignee = "quick"
		}
		res, ok := c.do(ctx, "create "+task.Title, owner.NewCommandID(), boards.CreateTasks{Tasks: []boards.NewTask{task}})
		if ok && n%3 == 0 {
			c.do(ctx, "complete "+task.Title, owner.NewCommandID(), boards.CompleteTask{Task: res.Tasks[0]})
		}
		pauseFor(10 * time.Millisecond) // it is for the gateways to be busy, not for the machine
	}
}

// commandLine is a client that is a new process for every call.
func (p *place) commandLine(l *ledger, name string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		title, key := fmt.Sprintf("%s %d", name, n), fmt.Sprintf("%s-%d", name, n)
		for {
			out, errs, code := p.hermes("kanban", "create", title, "--idempotency-key", key, "-q")
			if code == exitOK {
				task, err := events.ParseTaskID(strings.TrimSpace(out))
				if err != nil {
					p.t.Errorf("%s: %q", title, out)
				}
				l.mu.Lock()
				l.acks[events.ForeignCommandID(events.BoardID{}, name, key)] = ack{what: title, tasks: []events.TaskID{task}}
				l.mu.Unlock()
				pauseFor(20 * time.Millisecond)
				break
			}
			if code == exitUsage || code == exitNotFound || code == exitDamaged {
				p.t.Errorf("%s: exit %d: %s", title, code, errs)
				return
			}
			select {
			case <-stop: // unknown outcome, never acknowledged
				return
			default:
			}
		}
	}
}

// kills is how many gateways a test ends; HERMES_TEST_KILLS says more.
func kills(t testing.TB, usual int) int {
	if n, err := strconv.Atoi(os.Getenv("HERMES_TEST_KILLS")); err == nil && n > 0 {
		return n
	}
	return usual
}

// storm has clients work while disturb goes on.
func (p *place) storm(l *ledger, clients int, disturb func()) (tries int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	var all sync.WaitGroup
	working := make([]*client, clients)
	for i := range working {
		working[i] = &client{p: p, name: fmt.Sprintf("client-%d", i), l: l}
		all.Go(func() { working[i].work(ctx, stop) })
	}
	all.Go(func() { p.commandLine(l, "typist", stop) })
	defer func() { // also when disturb fails the test
		close(stop)
		late := time.AfterFunc(patience, cancel) // who got no answer by now gets none
		defer late.Stop()
		all.Wait()
		for _, c := range working {
			tries += c.tries
		}
		if ctx.Err() != nil {
			p.t.Error("clients got no answer after the storm")
		}
	}()
	disturb()
	return 0
}

// settle waits until the agents have done all their tasks and no run is open,
// then ends all gateways. It is patient for as long as there is progress.
func (p *place) settle(gs ...*running) {
	p.t.Helper()
	most := -1
	for done := false; !done; {
		before := most
		eventually(p.t, "work goes on to its end", func() bool {
			b := p.open()
			defer b.Close()
			left, err := b.List(p.t.Context(), projections.ListQuery{Assignees: []string{"quick", "brief"}, Statuses: []events.Status{events.Ready, events.Running}})
			info, infoErr := b.Info(p.t.Context())
			if err != nil || infoErr != nil {
				return false
			}
			most, done = len(left), len(left) == 0 && info.OpenRuns == 0
			return done || most < before || before < 0
		})
	}
	for _, g := range gs {
		g.signal(syscall.SIGTERM)
		g.ends(stopWithin)
	}
	p.nothingLeft()
}

// judge checks the board against the ledger and returns its whole log.
func (p *place) judge(l *ledger) []events.Record {
	p.t.Helper()
	if out := p.must("board", "verify", "acme"); !strings.Contains(out, "good") {
		p.t.Errorf("verify: %s", out)
	}
	b := p.open()
	defer b.Close()
	info, err := b.Info(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	log, titles := wholeLog(p.t, b)
	for i, r := range log {
		if r.Seq != uint64(i+1) {
			p.t.Fatalf("record %d has position %d", i+1, r.Seq)
		}
	}
	for _, w := range l.resolved(info.Board, log).audit(log, titles) {
		p.t.Error(w)
	}
	return log
}

// killing ends gateways at any moment while clients work, and returns what the
// census found wrong.
func (p *place) killing(n int) (wrong []string) {
	p.t.Helper()
	l, c := newLedger(), p.census()
	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 1))
	throughout := p.create("patient") // a run that outlives them all
	g := p.spawn()
	tries := p.storm(l, 3, func() {
		for range n {
			if chance.IntN(2) == 0 { // at any moment of its start, otherwise while it serves
				pauseFor(slowly(time.Duration(chance.IntN(80)) * time.Millisecond))
			} else {
				before := l.size()
				eventually(p.t, "it serves", func() bool { return g.over() || l.size() > before })
				pauseFor(time.Duration(chance.IntN(300)) * time.Millisecond)
			}
			if g.over() {
				p.t.Fatalf("a gateway ended by itself: %v\n%s", g.err, g.log)
			}
			g.signal(syscall.SIGKILL)
			<-g.done
			g = p.spawn()
		}
		eventually(p.t, "the last one serves", func() bool { return l.size() >= 2*n })
	})
	eventually(p.t, "the census sees an agent", c.saw)
	p.let(throughout, "patient")
	p.settle(g)
	looks, most, two := c.end()
	log := p.judge(l)
	p.t.Logf("%d kills (seed %d): %d commands acknowledged, %d sent again, %d events; census of %d looks, %d runs seen, at most %d at once",
		n, seed, len(l.acks), tries, len(log), looks, len(c.last), most)
	return append(two, c.outlived(log)...)
}

// killScripts are agents for gateways that are killed: some live long enough to
// be found by the next one.
var killScripts = map[string]string{"quick": agentScripts["quick"], "brief": "sleep 0.3; " + agentScripts["quick"],
	"patient": "until test -e $HERMES_STATE/go; do sleep 0.2; done; " + agentScripts["quick"]}

func TestGatewayKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, w := range newPlace(t, killScripts, nil).killing(kills(t, 20)) {
		t.Error(w)
	}
}

// TestBlindGatewayIsCaught: a gateway that takes every process for gone is
// found out by the same census, of living trees and of ends on record.
func TestBlindGatewayIsCaught(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	p.env = append(p.env, blindVariable+"=1")
	c, g := p.census(), p.gateway()
	id := p.create("long")
	p.agentOf(id)
	g.signal(syscall.SIGKILL)
	<-g.done
	p.gateway()
	eventually(t, "the census sees two trees of one task", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.two) > 0
	})
	c.end()
	b := p.open()
	defer b.Close()
	log, _ := wholeLog(t, b)
	if wrong := c.outlived(log); len(wrong) == 0 {
		t.Error("nobody noticed that the first run had processes after its end")
	}
}
