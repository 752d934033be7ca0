package dispatcher

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Options is what a Dispatcher works with. All but Warn, UntilIdle and Ticked are required.
type Options struct {
	Board   Board
	Agents  Agents
	Starter Starter
	Slots   *Slots
	// Warn is told of trouble that the dispatcher goes on from; nil = nobody
	// is. It must not block.
	Warn func(error)
	// UntilIdle lets Run return once nothing can start and no run is open.
	UntilIdle bool
	// Ticked is called after each look at the board: how long it took. May be nil.
	Ticked func(took time.Duration)
}

// Dispatcher starts and watches the runs of one board. There must never be two
// for a board: whoever holds the board has it.
type Dispatcher struct {
	o     Options
	heard terms
	facts atomic.Pointer[Facts]
	info  atomic.Pointer[api.DispatchInfo]
	drain atomic.Bool
	nudge chan struct{}               // capacity 1: tick again now
	wall  func(time.Time) events.Time // what the wall clock says at an instant; it may be stepped

	// Owned by the goroutine of Run.
	runs    map[events.RunID]*watched
	refused map[events.TaskID]Refusal
	said    map[report]bool // of budgets, since Run began
	starve  time.Duration   // how long to wait for others' slots next time; 0 = not waiting

	helpers sync.WaitGroup // every goroutine that Run has started
	reports chan func()    // what they report, to be done by the goroutine of Run
}

// Timing of the loop.
const (
	safetyTick  = 30 * time.Second      // in case a wake was missed
	soon        = time.Second           // until something on its way is looked at again
	troubleWait = 5 * time.Second       // after the board did not take a command
	refusalWait = 5 * time.Second       // before a refused claim is tried again
	refusedMany = 64                    // so many refused claims are no accident: no hurry with the next
	starveMin   = 20 * time.Millisecond // between looks at slots that others have
	starveMax   = 2 * time.Second       //
	startTime   = 30 * time.Second      // for making one supervisor
)

var me = boards.Principal{Actor: events.Actor{Kind: events.Dispatcher, Name: "dispatcher"}}

// New returns a Dispatcher that does nothing before Run.
func New(o Options) *Dispatcher {
	d := &Dispatcher{
		o:       o,
		heard:   terms{last: map[events.RunID]time.Time{}},
		nudge:   make(chan struct{}, 1),
		wall:    events.TimeOf,
		runs:    map[events.RunID]*watched{},
		refused: map[events.TaskID]Refusal{},
		said:    map[report]bool{},
		reports: make(chan func()),
	}
	d.facts.Store(&Facts{})
	return d
}

// Run starts and watches runs until ctx ends or, after [Dispatcher.Drain], no
// run is open. It claims nothing after that, and leaves open runs alone. It
// returns nil when everything it started in this process has ended. Call it once.
func (d *Dispatcher) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		d.helpers.Wait()
		d.facts.Store(&Facts{})
		d.info.Store(nil)
	}()
	since := d.wall(time.Now())
	wake, drop := d.o.Board.Wake()
	defer drop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if !d.await(ctx, wake, timer.C) {
			return nil
		}
		now := time.Now()
		p := d.tick(ctx, now)
		if ctx.Err() != nil {
			return nil
		}
		d.publish(since, now)
		if d.o.Ticked != nil {
			d.o.Ticked(time.Since(now))
		}
		if p.idle && (d.drain.Load() || d.o.UntilIdle) {
			return nil
		}
		timer.Reset(max(0, time.Until(p.next)))
	}
}

// await blocks until there is something to look at, and takes all there is, for
// one tick answers it all. It returns false when ctx has ended.
func (d *Dispatcher) await(ctx context.Context, wake <-chan struct{}, timer <-chan time.Time) bool {
	var woken, expired bool
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		woken = true
	case <-timer:
		expired = true
	case <-d.nudge:
	case report := <-d.reports:
		report()
	}
	for more := true; more; {
		select {
		case <-wake:
			woken = true
		case <-timer:
			expired = true
		case <-d.nudge:
		case report := <-d.reports:
			report()
		default:
			more = false
		}
	}
	switch {
	case woken:
		d.starve = 0
	case expired:
		d.starve = min(2*d.starve, starveMax)
	}
	return true
}

// plan is what a tick found out: when to look again at the latest, and whether
// there is nothing to wait for.
type plan struct {
	next time.Time
	busy bool // it is not known yet whether there is something to do
	idle bool
}

func (p *plan) by(at time.Time) {
	if at.Before(p.next) {
		p.next = at
	}
}

// tick does what is due: schedules, open runs, new starts.
func (d *Dispatcher) tick(ctx context.Context, now time.Time) plan {
	p := plan{next: now.Add(safetyTick)}
	if err := d.promote(ctx, now); err != nil {
		d.trouble(&p, now, err)
		return p
	}
	if err := d.reportBudgets(ctx, now); err != nil {
		d.trouble(&p, now, err)
		return p
	}
	open, err := d.watch(ctx, now, &p)
	if err != nil {
		d.trouble(&p, now, err)
		return p
	}
	started, err := d.startAll(ctx, now, &p)
	if err != nil {
		d.trouble(&p, now, err)
		return p
	}
	p.idle = open == 0 && started == 0 && d.starve == 0 && !p.busy
	d.o.Board.View(func(v *projections.View) {
		if at := v.NextTimer(d.wall(now)); at != 0 {
			// The timer runs on the monotonic clock: of the wall clock only the distance counts.
			p.by(now.Add(max(at.Sub(d.wall(now)), time.Millisecond)))
		}
	})
	return p
}

// trouble is an error that ends a tick: the board is frozen, gone or full.
func (d *Dispatcher) trouble(p *plan, now time.Time, err error) {
	d.warn(err)
	p.by(now.Add(troubleWait))
}

func (d *Dispatcher) warn(err error) {
	if d.o.Warn != nil && err != nil && !errors.Is(err, context.Canceled) {
		d.o.Warn(err)
	}
}

// do sends a command under a new id. What the rules refuse comes back as a
// rejection, all else as an error.
func (d *Dispatcher) do(ctx context.Context, c boards.Command) (boards.Result, *boards.Rejection, error) {
	id, err := newCommandID()
	if err != nil {
		return boards.Result{}, nil, err
	}
	res, err := d.o.Board.Do(ctx, me, id, c)
	var refused *boards.Rejection
	if errors.As(err, &refused) {
		return res, refused, nil
	}
	return res, nil, err
}

// dueAtOnce bounds how many schedules one tick fulfils; the commits wake the next.
const dueAtOnce = 100

// promote moves on the tasks whose start time has come.
func (d *Dispatcher) promote(ctx context.Context, now time.Time) error {
	var due []events.TaskID
	d.o.Board.View(func(v *projections.View) { due = v.Due(d.wall(now), dueAtOnce) })
	for _, task := range due {
		_, refused, err := d.do(ctx, boards.PromoteTask{Task: task})
		if err != nil {
			return err
		}
		if refused != nil && refused.Code != boards.CodeWrongStatus && refused.Code != boards.CodeTooEarly {
			d.warn(refused)
		}
	}
	return nil
}

// poke makes the loop look again.
func (d *Dispatcher) poke() {
	select {
	case d.nudge <- struct{}{}:
	default:
	}
}

// Drain lets Run claim nothing more and return once no run is open. Safe for
// concurrent use.
func (d *Dispatcher) Drain() {
	d.drain.Store(true)
	d.poke()
}

// Renewed notes that a run has renewed its term. It never blocks for long and
// is safe for concurrent use.
func (d *Dispatcher) Renewed(run events.RunID) { d.heard.renew(run, time.Now()) }

// Explain says why a task does not go on, from what the dispatcher last knew
// beyond the board. Safe for concurrent use, under the lock that guards the View.
func (d *Dispatcher) Explain(v *projections.View, task events.TaskID, now events.Time) projections.Why {
	f := *d.facts.Load()
	f.Agents = only(d.o.Agents, v, task)
	return Why(v, task, f, now)
}

// ExplainAbsent returns an Explain for a board on which nobody starts runs.
func ExplainAbsent(agents Agents) func(v *projections.View, task events.TaskID, now events.Time) projections.Why {
	return func(v *projections.View, task events.TaskID, now events.Time) projections.Why {
		return Why(v, task, Facts{Agents: only(agents, v, task)}, now)
	}
}

// only asks about the one agent that matters for a task.
func only(agents Agents, v *projections.View, task events.TaskID) map[string]Agent {
	t := v.Task(task)
	if t == nil {
		return nil
	}
	p, _ := v.Policy()
	name := who(projections.Lane{Agent: t.Who()}, &p)
	if name == "" {
		return nil
	}
	return map[string]Agent{name: agents.Agent(name)}
}

// Info says how the dispatcher is doing; nil while Run is not running. Safe
// for concurrent use.
func (d *Dispatcher) Info() *api.DispatchInfo { return d.info.Load() }

// publish makes what the tick knew visible to Info.
func (d *Dispatcher) publish(since events.Time, now time.Time) {
	f := d.facts.Load()
	d.info.Store(&api.DispatchInfo{
		Since: since, LastTick: d.wall(now), Slots: f.Slots, Free: f.Free, Stopping: d.drain.Load(),
	})
}
