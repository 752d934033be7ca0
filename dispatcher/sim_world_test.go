package dispatcher

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// sim is a host with one board, its gateway, the processes of its runs, and
// people. All but the dispatcher happens in the goroutine that drives it, one
// event after the other, at instants that no two share; the dispatcher then
// settles before the next. So a seed is a history.
type sim struct {
	t      *testing.T
	seed   uint64
	mutant mutant
	pace   int // how many times rarer than usual people and trouble are
	most   int // tasks
	dir    string
	slots  *Slots
	begun  time.Time
	poked  chan struct{}
	agents simAgents
	skew   atomic.Int64 // of the wall clock, ns

	mu     sync.Mutex // guards all below
	faults bool
	queue  agenda
	log    *simLog
	gate   *gateway // nil before the first
	judge  *judge
	trees  map[events.RunID]*tree
	former []boards.Principal
	others []*os.File // slots that other boards have
	pids   int64
	seen   map[string]int
	failed string
	other  *projections.View // what a mutant shows the dispatcher
	over   chan struct{}     // closed when the simulation is over
}

// event is something that happens at an instant.
type event struct {
	at   time.Time
	name string
	f    func()
}

type agenda []event

func (q agenda) Len() int      { return len(q) }
func (q agenda) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q agenda) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].name, q[j].name)) < 0
}
func (q *agenda) Push(x any) { *q = append(*q, x.(event)) }
func (q *agenda) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func newSim(t *testing.T, seed uint64, m mutant, policy func(*events.Policy, *rand.Rand)) *sim {
	s := &sim{
		t: t, seed: seed, mutant: m, pace: 1, most: 60, dir: t.TempDir(), begun: time.Now(), poked: make(chan struct{}, 1),
		trees: map[events.RunID]*tree{}, seen: map[string]int{}, over: make(chan struct{}),
	}
	rng := s.random("policy", 0)
	n := 1 + rng.IntN(5)
	p := events.DefaultPolicy(int32(n))
	p.Reviewer = "critic"
	policy(&p, rng)
	slots, err := OpenSlots(s.dir, n)
	if err != nil {
		t.Fatal(err)
	}
	s.slots = slots
	s.judge = newJudge(s)
	s.log = newSimLog(s)
	create := boards.CreateBoard{Board: simID(1, 1), Slug: "acme", Title: "Acme", Policy: p}
	if _, err := s.log.commit(person("kai"), s.log.newID(), create); err != nil {
		t.Fatal(err)
	}
	s.faults = true
	s.startGateway()
	return s
}

// simPolicy makes every cap and time bite in some seed.
func simPolicy(p *events.Policy, rng *rand.Rand) {
	p.TermMS = []int64{60_000, 300_000, 900_000}[rng.IntN(3)]
	p.PersonTermMS = 600_000
	p.BoardCap = int32(rng.IntN(5))
	p.AgentCap = int32(rng.IntN(3))
	p.TenantCap = int32(rng.IntN(3))
	p.AgentCaps = []events.Cap{{Name: "critic", Max: 1}}
	if rng.IntN(2) == 0 {
		p.DefaultAssignee = "coder"
	}
	if rng.IntN(3) == 0 {
		p.MaxRuntimeMS = 3_600_000
	}
	if rng.IntN(3) == 0 {
		p.HostSlots--
	}
	p.HostSlots = max(p.HostSlots, 1)
}

// random returns numbers that depend on the seed and the name alone.
func (s *sim) random(name string, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed, hash(name)^n))
}

func hash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// after lets something happen. The name keeps it from sharing its instant, and
// is its place in line if it does: goroutines come here in no order.
func (s *sim) after(d time.Duration, name string, f func()) {
	jitter := time.Duration(1 + (hash(name)^uint64(time.Since(s.begun)))%997)
	heap.Push(&s.queue, event{time.Now().Add(d + jitter), name, f})
}

// every repeats something at random distances around d.
func (s *sim) every(d time.Duration, name string, f func(*rand.Rand)) {
	rng := s.random(name, 0)
	var again func()
	again = func() {
		s.after(time.Duration(s.pace)*time.Duration(rng.Int64N(int64(2*d))), name, func() {
			f(rng)
			again()
		})
	}
	again()
}

func (s *sim) poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

func (s *sim) saw(what string) { s.seen[what]++ }

// fail notes the first broken promise.
func (s *sim) fail(format string, args ...any) {
	if s.failed == "" {
		s.failed = fmt.Sprintf("after %v: ", time.Since(s.begun).Round(time.Millisecond)) + fmt.Sprintf(format, args...)
	}
}

// wall reads the wall clock.
func (s *sim) wall() events.Time { return s.wallAt(time.Now()) }

func (s *sim) wallAt(now time.Time) events.Time {
	return events.TimeOf(now.Add(time.Duration(s.skew.Load())))
}

// inOrder returns the trees in the order in which they were made.
func (s *sim) inOrder() []*tree {
	var list []*tree
	for run, t := range s.trees {
		if t.gone() && s.log.view.Run(run) == nil && !t.agent {
			delete(s.trees, run)
			continue
		}
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *tree) int { return cmp.Compare(a.pid, b.pid) })
	return list
}

func (s *sim) restartAfter(rng *rand.Rand) time.Duration {
	if rng.IntN(4) == 0 {
		return time.Duration(rng.IntN(40)) * time.Minute
	}
	return time.Duration(rng.IntN(20_000)) * time.Millisecond
}

// startGateway begins the next life of the gateway, from the log.
func (s *sim) startGateway() {
	if s.log.thawed != nil {
		s.after(time.Second, "restart", s.startGateway)
		return
	}
	n := uint64(0)
	if s.gate != nil {
		select {
		case <-s.gate.ended:
		default:
			s.fail("Run has not returned although its context has ended")
			return
		}
		s.saw("restart of the gateway")
		s.log.refold()
		n = uint64(s.log.folded)
	}
	ctx, stop := context.WithCancel(context.Background())
	g := &gateway{s: s, rng: s.random("gateway", n), since: time.Now(), stop: stop, ended: make(chan struct{}), gone: make(chan struct{})}
	if g.rng.IntN(2) == 0 {
		g.calls = 1 + g.rng.IntN(200)
	}
	g.d = New(Options{Board: g, Agents: &s.agents, Starter: g, Slots: s.slots})
	g.d.wall = s.wallAt
	s.gate = g
	go func() {
		defer close(g.ended)
		if err := g.d.Run(ctx); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.fail("Run: %v", err)
		}
	}()
}

// serves reports whether a dispatcher works on the board.
func (s *sim) serves() bool {
	return s.gate != nil && !s.gate.dead && !s.gate.ending && s.log.thawed == nil
}

// trouble schedules what goes wrong on a host.
func (s *sim) trouble() {
	s.every(40*time.Minute, "kill", func(*rand.Rand) {
		if s.serves() && s.faults {
			s.saw("gateway killed")
			s.gate.die()
		}
	})
	s.every(3*time.Hour, "stop", func(rng *rand.Rand) {
		if s.serves() && s.faults {
			s.saw("gateway stopped")
			s.gate.ending = true
			s.gate.stop()
			g := s.gate
			s.after(time.Minute, "stopped", g.die)
		}
	})
	s.every(6*time.Hour, "reboot", func(*rand.Rand) {
		if s.faults {
			s.saw("reboot")
			for _, t := range s.inOrder() {
				t.die()
			}
			if s.gate != nil {
				s.gate.die()
			}
		}
	})
	s.every(90*time.Minute, "clock", s.stepClock)
	s.every(30*time.Minute, "slots", func(rng *rand.Rand) {
		if len(s.others) > 0 || !s.faults {
			for _, f := range s.others {
				_ = f.Close()
			}
			s.others = nil
			return
		}
		if f, err := s.slots.Take("another board"); err == nil && f != nil {
			s.saw("slot taken by another board")
			s.others = append(s.others, f)
		}
	})
	s.every(30*time.Minute, "agents", func(rng *rand.Rand) {
		bad := ""
		if s.faults && rng.IntN(2) == 0 {
			bad = simNames[rng.IntN(len(simNames))]
			s.saw("agent that cannot be started")
		}
		s.agents.set(bad)
	})
}

// stepClock moves the wall clock, as a person, NTP or a suspend does.
func (s *sim) stepClock(rng *rand.Rand) {
	if !s.faults {
		return
	}
	step := time.Duration(rng.IntN(7200)) * time.Second
	if rng.IntN(2) == 0 {
		s.saw("clock stepped forwards")
		s.skew.Add(int64(step))
		return
	}
	s.saw("clock stepped backwards")
	s.skew.Add(-int64(step))
}

// drive lets everything happen until an instant, or the first broken promise.
func (s *sim) drive(until time.Time) {
	for {
		synctest.Wait()
		s.mu.Lock()
		s.judge.world()
		now := time.Now()
		if s.failed != "" || !now.Before(until) {
			s.mu.Unlock()
			return
		}
		next := until
		if len(s.queue) > 0 && s.queue[0].at.Before(until) {
			next = s.queue[0].at
		}
		if !next.After(now) {
			heap.Pop(&s.queue).(event).f()
			s.mu.Unlock()
			continue
		}
		s.mu.Unlock()
		timer := time.NewTimer(next.Sub(now))
		select {
		case <-timer.C:
		case <-s.poked:
		}
		timer.Stop()
	}
}

// end stops everything and returns the first broken promise.
func (s *sim) end() string {
	s.mu.Lock()
	close(s.over)
	s.faults = false
	if s.failed == "" && s.log.thawed == nil {
		s.log.refold()
		s.judge.written()
	}
	g := s.gate
	if !g.dead {
		g.die()
	}
	for _, t := range s.trees {
		t.die()
	}
	for _, f := range s.others {
		_ = f.Close()
	}
	s.mu.Unlock()
	<-g.ended
	return s.failed
}

// simAgents knows every agent; one of them cannot be started at times.
type simAgents struct {
	mu  sync.Mutex // guards bad
	bad string
}

var simNames = []string{"coder", "writer", "critic"}

func (a *simAgents) set(bad string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bad = bad
}

// Agent implements Agents.
func (a *simAgents) Agent(name string) Agent {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name == a.bad {
		return Agent{Problem: RuntimeMissing}
	}
	role := events.RoleWorker
	if name == "writer" {
		role = events.RoleOrchestrator
	}
	return Agent{Role: role, Backend: "native", Runtime: "command"}
}

// facts is what a dispatcher that knows everything would know.
func (s *sim) facts() Facts {
	taken := len(s.others)
	for _, t := range s.trees {
		if t.super {
			taken++
		}
	}
	f := Facts{Dispatcher: Serving, Slots: s.slots.n, Free: s.slots.n - taken, Agents: map[string]Agent{}}
	policy, _ := s.log.view.Policy()
	for _, lane := range s.log.view.Lanes() {
		name := who(projections.Lane{Agent: lane.Agent}, &policy)
		f.Agents[name] = s.agents.Agent(name)
	}
	return f
}
