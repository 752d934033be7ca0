package dispatcher

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// memBoard is a board in memory with the real rules.
type memBoard struct {
	mu     sync.Mutex // guards all below
	b      *boardstest.Board
	v      *projections.View
	wakes  map[chan struct{}]bool
	refuse func(boards.Command) error // nil = nothing
}

func newBoard(t *testing.T, policy events.Policy) *memBoard {
	b, err := boardstest.Create(policy)
	if err != nil {
		t.Fatal(err)
	}
	m := &memBoard{b: b, v: projections.NewView(), wakes: map[chan struct{}]bool{}}
	for i := range b.Records {
		m.v.Apply(&b.Records[i])
	}
	return m
}

func (m *memBoard) Do(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	if ctx.Err() != nil {
		return boards.Result{}, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		if err := m.refuse(c); err != nil {
			return boards.Result{}, err
		}
	}
	m.b.Now = events.TimeOf(time.Now())
	records, err := m.b.Do(by, c)
	if err != nil {
		return boards.Result{}, err
	}
	for i := range records {
		m.v.Apply(&records[i])
	}
	for w := range m.wakes {
		select {
		case w <- struct{}{}:
		default:
		}
	}
	return boards.ResultOf(records), nil
}

func (m *memBoard) View(f func(*projections.View)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.v)
}

func (m *memBoard) Wake() (<-chan struct{}, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := make(chan struct{}, 1)
	m.wakes[w] = true
	return w, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.wakes, w)
	}
}

func (m *memBoard) Assignment(run events.RunID) (a boards.Assignment, err error) {
	m.View(func(v *projections.View) {
		r := v.Run(run)
		if r == nil {
			err = errors.New("no such run")
			return
		}
		p, _ := v.Policy()
		a = boards.Assignment{Board: v.Board().ID, Slug: v.Board().Slug, Run: run, Fence: r.Fence, Agent: r.Agent, Role: r.Role, Phase: r.Phase, Policy: p}
	})
	return a, err
}

// must carries out a command that the rules must take.
func (m *memBoard) must(t *testing.T, by boards.Principal, c boards.Command) boards.Result {
	t.Helper()
	res, err := m.Do(context.Background(), by, events.CommandID{}, c)
	if err != nil {
		t.Fatalf("%s: %v", c.CommandName(), err)
	}
	return res
}

func (m *memBoard) create(t *testing.T, n int, change func(*boards.NewTask)) []events.TaskID {
	t.Helper()
	var c boards.CreateTasks
	for range n {
		task := boards.NewTask{Title: "x", Assignee: "coder"}
		if change != nil {
			change(&task)
		}
		c.Tasks = append(c.Tasks, task)
	}
	return m.must(t, boardstest.Kai, c).Tasks
}

// history returns the payloads of a task's records of one type, with their times.
func history[P events.Payload](m *memBoard) (list []P, at []time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.b.Records {
		if p, ok := r.Data.(P); ok {
			list, at = append(list, p), append(at, r.Time.Time())
		}
	}
	return list, at
}

func (m *memBoard) status(task events.TaskID) events.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.v.Task(task).Status
}

// goodAgents lets every agent start.
type goodAgents struct{}

func (goodAgents) Agent(string) Agent {
	return Agent{Role: events.RoleWorker, Backend: "native", Runtime: "command"}
}

// starter makes supervisors that are goroutines. Each does what the script says.
type starter struct {
	board  *memBoard
	script func(*process)
	renew  func(events.RunID)
	refuse error  // of Start
	unfit  string // what keeps agents from working in repositories

	mu     sync.Mutex // guards all below
	undead bool       // Stop does not help
	alive  map[events.RunID]*process
	most   int
	stops  []events.RunID
}

// process stands for the processes of one run.
type process struct {
	s        *starter
	a        boards.Assignment
	slot     *os.File
	released chan struct{}
	abort    chan struct{}
	stop     chan struct{}
	done     chan struct{}
}

func (s *starter) Start(_ context.Context, a boards.Assignment, token string, slot *os.File) (Supervisor, error) {
	if s.refuse != nil {
		return nil, s.refuse
	}
	fd, err := syscall.Dup(int(slot.Fd()))
	if err != nil {
		return nil, err
	}
	p := &process{
		s: s, a: a, slot: os.NewFile(uintptr(fd), "slot"),
		released: make(chan struct{}), abort: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(token) != 2*tokenBytes {
		return nil, errors.New("no token")
	}
	s.alive[a.Run] = p
	s.most = max(s.most, len(s.alive))
	go p.live()
	return p, nil
}

func (p *process) live() {
	defer p.end()
	select {
	case <-p.abort:
	case <-p.stop:
	case <-p.released:
		p.s.script(p)
	}
}

func (p *process) end() {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	delete(p.s.alive, p.a.Run)
	p.slot.Close()
	close(p.done)
}

func (p *process) Process() events.RunStarted {
	return events.RunStarted{Boot: "boot", PID: int64(100 + p.a.Fence), StartTime: 1}
}
func (p *process) Release() error        { close(p.released); return nil }
func (p *process) Abort()                { close(p.abort) }
func (p *process) Done() <-chan struct{} { return p.done }

func (s *starter) Fits(_ context.Context, _ string, w events.Workspace) (problem, detail string) {
	if s.unfit == "" || w.Kind != events.Repo {
		return "", ""
	}
	return RuntimeMissing, s.unfit
}

func (s *starter) Look(_ context.Context, r Ref) (Life, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive[r.Run] != nil {
		return Living, nil
	}
	return Gone, nil
}

func (s *starter) Stop(ctx context.Context, r Ref, grace time.Duration) error {
	s.mu.Lock()
	p := s.alive[r.Run]
	s.stops = append(s.stops, r.Run)
	s.mu.Unlock()
	select {
	case <-time.After(grace):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	undead := s.undead
	s.mu.Unlock()
	if undead {
		return errors.New("will not die")
	}
	if p != nil {
		close(p.stop)
		<-p.done
	}
	return nil
}

func (p *process) by() boards.Principal {
	return boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: p.a.Agent}, Run: p.a.Run, Fence: p.a.Fence, Role: p.a.Role}
}

func (p *process) do(c boards.Command) error {
	_, err := p.s.board.Do(context.Background(), p.by(), events.CommandID{}, c)
	return err
}

// work lets time pass, with renewals; false if the process was stopped.
func (p *process) work(d time.Duration, renew bool) bool {
	until := time.After(d)
	tick := time.NewTicker(millis(p.a.Policy.TermMS) / 3)
	defer tick.Stop()
	for {
		select {
		case <-until:
			return true
		case <-p.stop:
			return false
		case <-tick.C:
			if renew {
				p.s.renew(p.a.Run)
			}
		}
	}
}

// completes is the script of a run that works for so long and succeeds.
func completes(d time.Duration) func(*process) {
	return func(p *process) {
		if p.work(d, true) {
			_ = p.do(boards.CompleteTask{Task: p.a.Run.Task, Summary: "done"})
			_ = p.do(boards.EndRun{Run: p.a.Run, Outcome: events.OutcomeCompleted})
		}
	}
}

// bubble is a dispatcher with all around it, in a synctest bubble.
type bubble struct {
	*memBoard
	*starter
	d     *Dispatcher
	mu    sync.Mutex // guards warns
	warns []error
	halt  func()
}

// begin starts a dispatcher on a board; halt stops it and waits for it.
func begin(t *testing.T, board *memBoard, s *starter, o Options) *bubble {
	t.Helper()
	if o.Slots == nil {
		var err error
		if o.Slots, err = OpenSlots(t.TempDir(), 4); err != nil {
			t.Fatal(err)
		}
	}
	if s.alive == nil {
		s.alive = map[events.RunID]*process{}
	}
	s.board = board
	x := &bubble{memBoard: board, starter: s}
	o.Board, o.Starter = board, s
	if o.Agents == nil {
		o.Agents = goodAgents{}
	}
	o.Warn = func(err error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.warns = append(x.warns, err)
	}
	x.d = New(o)
	s.renew = x.d.Renewed
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.d.Run(ctx) }()
	x.halt = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		done <- nil
	}
	synctest.Wait()
	return x
}

func (x *bubble) warned() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.warns)
}
