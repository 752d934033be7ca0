package dispatcher

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// simLog is a board in memory with the real rules, whose commits are unknown
// at times: it is then frozen and folded anew, as an owner does it. All of it
// is guarded by the lock of the simulation.
type simLog struct {
	s        *sim
	rng      *rand.Rand
	state    *boards.State
	view     *projections.View
	records  []events.Record
	folded   int // records that state and view have
	commands map[events.CommandID][2]int
	ids      uint64
	last     events.Time
	thawed   chan struct{} // not nil while frozen
	wakes    map[chan struct{}]bool
}

var (
	errFrozen = errors.New("the board is frozen")
	errDead   = errors.New("the gateway is dead")
)

func newSimLog(s *sim) *simLog {
	return &simLog{
		s: s, rng: s.random("log", 0), state: boards.NewState(), view: projections.NewView(),
		commands: map[events.CommandID][2]int{}, wakes: map[chan struct{}]bool{},
	}
}

func person(name string) boards.Principal {
	return boards.Principal{Actor: events.Actor{Kind: events.Human, Name: name, Via: "cli"}}
}

// simID makes a ULID of two numbers.
func simID(kind, n uint64) (id events.ULID) {
	_ = id.SetTime(kind)
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

func (l *simLog) newID() events.CommandID {
	l.ids++
	return simID(2, l.ids)
}

// commit carries out a command once. errFrozen means that it may have happened.
func (l *simLog) commit(by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	if l.thawed != nil {
		return boards.Result{}, errFrozen
	}
	if at, found := l.commands[id]; found && !l.s.mutant.forgetsCommands {
		res := boards.ResultOf(l.records[at[0] : at[0]+at[1]])
		res.Repeat = true
		l.s.saw("repeated command")
		return res, nil
	}
	now := max(l.last, l.s.wall())
	drafts, err := boards.Decide(l.state, c, boards.Env{Now: now, By: by})
	if err != nil || len(drafts) == 0 {
		return boards.Result{}, err
	}
	made := make([]events.Record, len(drafts))
	first := uint64(len(l.records)) + 1
	for i, d := range drafts {
		r := events.Record{
			Seq: first + uint64(i), ID: simID(3, first+uint64(i)), Time: now, Task: d.Task, Run: d.Run, Tenant: d.Tenant,
			Actor: by.Actor, Cmd: id, Cause: d.Cause, Data: d.Data,
		}
		if d.After > 0 {
			r.Cause = first + uint64(d.After) - 1
		}
		made[i] = r
	}
	unknown := l.s.faults && l.rng.IntN(120) == 0
	if !unknown || l.rng.IntN(2) == 0 {
		l.commands[id] = [2]int{len(l.records), len(made)}
		l.records = append(l.records, made...)
		l.last = now
	} else {
		l.s.saw("unknown commit that did not happen")
	}
	if unknown {
		l.s.saw("unknown commit")
		l.freeze()
		return boards.Result{}, errFrozen
	}
	l.fold()
	return boards.ResultOf(made), nil
}

// freeze stops the board for a while; then everything is folded anew.
func (l *simLog) freeze() {
	l.thawed = make(chan struct{})
	d := time.Duration(l.rng.IntN(3000)) * time.Millisecond
	if l.rng.IntN(4) == 0 {
		d *= 30
		l.s.saw("long freeze")
	}
	l.s.after(d, "thaw", func() {
		l.refold()
		close(l.thawed)
		l.thawed = nil
	})
}

// fold makes new records visible, and checks each.
func (l *simLog) fold() {
	for ; l.folded < len(l.records); l.folded++ {
		r := &l.records[l.folded]
		bent := l.s.mutant.bend(r)
		if !l.s.mutant.losesFromRules(r) {
			l.state.Evolve(bent)
		}
		if !l.s.mutant.losesFromView(r) {
			l.view.Apply(bent)
		}
		l.s.judge.record(r)
	}
	l.s.judge.command()
	for w := range l.wakes {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// refold drops what is in memory and makes it anew from the log.
func (l *simLog) refold() {
	l.state, l.view = l.s.judge.replay(l.records[:l.folded])
	l.fold()
}

// gateway is one life of a dispatcher and its owner. It is the Board and the
// Starter of that dispatcher. Once it is dead nothing it does has an effect.
type gateway struct {
	s      *sim
	d      *Dispatcher
	rng    *rand.Rand
	since  time.Time
	stop   context.CancelFunc
	ended  chan struct{} // closed when Run has returned
	dead   bool
	gone   chan struct{} // closed when dead
	calls  int           // until it is killed; negative = never
	ending bool          // told to stop
}

// call is what every call of the dispatcher goes through. It says whether the
// gateway dies of this call, before or after its effect.
func (g *gateway) call() (dead, dies bool) {
	if g.dead {
		return true, false
	}
	if g.calls--; g.calls != 0 || !g.s.faults {
		return false, false
	}
	if g.rng.IntN(2) == 0 {
		g.s.saw("killed before a call")
		g.die()
		return true, false
	}
	g.s.saw("killed after a call")
	return false, true
}

// die kills the gateway: supervisors that wait on its pipe read its end.
func (g *gateway) die() {
	if g.dead {
		return
	}
	g.dead = true
	close(g.gone)
	g.stop()
	for _, t := range g.s.inOrder() {
		if t.g == g && !t.released {
			t.abort()
		}
	}
	g.s.after(g.s.restartAfter(g.rng), "restart", g.s.startGateway)
	g.s.poke()
}

// Do implements Board.
func (g *gateway) Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	patience := time.After(30 * time.Second)
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	dead, dies := g.call()
	if dead {
		return boards.Result{}, errDead
	}
	if _, claim := c.(boards.ClaimTask); claim && g.s.faults && g.rng.IntN(80) == 0 {
		g.s.saw("refused claim")
		return boards.Result{}, &boards.Rejection{Code: boards.CodeInternal, Detail: "the rule broke"}
	}
	for {
		res, err := g.s.log.commit(by, id, c)
		if dies {
			g.die()
			return boards.Result{}, errDead
		}
		if !errors.Is(err, errFrozen) {
			g.s.mutant.after(g.s, c, err)
			return res, err
		}
		thawed := g.s.log.thawed
		g.s.poke()
		g.s.mu.Unlock()
		select {
		case <-thawed:
		case <-patience:
			err = fmt.Errorf("for 30 s: %w", errFrozen)
		case <-ctx.Done():
			err = ctx.Err()
		case <-g.gone:
			err = errDead
		}
		g.s.mu.Lock()
		if g.dead {
			return boards.Result{}, errDead
		}
		if err != errFrozen {
			return boards.Result{}, err
		}
	}
}

// View implements Board.
func (g *gateway) View(f func(*projections.View)) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if v := g.s.mutant.view(g.s); v != nil {
		f(v)
		return
	}
	f(g.s.log.view)
}

// Wake implements Board.
func (g *gateway) Wake() (<-chan struct{}, func()) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	w := make(chan struct{}, 1)
	wakes := g.s.log.wakes
	wakes[w] = true
	return w, func() {
		g.s.mu.Lock()
		defer g.s.mu.Unlock()
		delete(wakes, w)
	}
}

// Assignment implements Board.
func (g *gateway) Assignment(run events.RunID) (boards.Assignment, error) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	v := g.s.log.view
	r := v.Run(run)
	if g.dead || r == nil {
		return boards.Assignment{}, fmt.Errorf("no open run %v", run)
	}
	p, _ := v.Policy()
	p.TermMS = r.ExpiresMS // of the claim, whatever the policy says since
	return boards.Assignment{Run: run, Fence: r.Fence, Agent: r.Agent, Role: r.Role, Tenant: r.Tenant, Phase: r.Phase, Policy: p}, nil
}
