//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
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

// ledger is kept outside of the board: what clients were told had happened.
type ledger struct {
	mu   sync.Mutex
	acks map[events.CommandID]ack
}

// ack is the answer to a command.
type ack struct {
	what  string
	first uint64
	tasks []events.TaskID
}

func newLedger() *ledger { return &ledger{acks: make(map[events.CommandID]ack)} }

func (l *ledger) acknowledged(id events.CommandID, what string, res boards.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks[id] = ack{what, res.First, res.Tasks}
}

// audit compares what clients were told with what the log holds. Commands are
// found in it by their id, tasks made by the title that only their client gave.
func (l *ledger) audit(log []events.Record, titles map[string]int) (wrong []string) {
	first := make(map[events.CommandID]uint64)
	made := make(map[events.CommandID][]events.TaskID)
	for _, r := range log {
		if first[r.Cmd] == 0 {
			first[r.Cmd] = r.Seq
		}
		if _, ok := r.Data.(events.TaskCreated); ok {
			made[r.Cmd] = append(made[r.Cmd], r.Task)
		}
	}
	for id, a := range l.acks {
		switch {
		case first[id] == 0:
			wrong = append(wrong, fmt.Sprintf("lost: %s was acknowledged as event %d", a.what, a.first))
		case first[id] != a.first || !slices.Equal(made[id], a.tasks):
			wrong = append(wrong, fmt.Sprintf("changed: %s was acknowledged as event %d making %v, the log has event %d making %v", a.what, a.first, a.tasks, first[id], made[id]))
		}
	}
	for title, n := range titles {
		if n > 1 {
			wrong = append(wrong, fmt.Sprintf("doubled: %q exists %d times", title, n))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// wholeLog is the whole log, and how often each title was given.
func wholeLog(t testing.TB, b api.Board) (log []events.Record, titles map[string]int) {
	t.Helper()
	titles = make(map[string]int)
	for from := uint64(1); ; {
		entries, err := b.Read(t.Context(), from, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return log, titles
		}
		for _, e := range entries {
			r, err := events.Decode(e.Record)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := r.Data.(events.TaskCreated); ok {
				f, err := events.DecodeText(e.Text)
				if err != nil {
					t.Fatal(err)
				}
				titles[f.Fields.Title]++
			}
			log = append(log, r)
		}
		from = entries[len(entries)-1].Seq + 1
	}
}

// census watches from outside which runs have processes, for as long as it runs.
type census struct {
	p    *place
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	looks int
	most  int      // runs with processes at one moment
	two   []string // tasks that had two at once
}

func (p *place) census() *census {
	c := &census{p: p, stop: make(chan struct{}), done: make(chan struct{})}
	go c.run()
	return c
}

func (c *census) run() {
	defer close(c.done)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
			c.look()
		}
	}
}

func (c *census) look() {
	byTask := make(map[string]map[string]proc)
	n := 0
	for _, s := range c.p.processes() {
		task, run := s.get("HERMES_TASK"), s.get("HERMES_RUN")
		if run == "" {
			continue
		}
		if byTask[task] == nil {
			byTask[task] = make(map[string]proc)
		}
		byTask[task][run] = s
		n++
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	c.most = max(c.most, len(byTask))
	for task, runs := range byTask {
		if len(runs) < 2 {
			continue
		}
		// They were seen one after the other: they overlap if all still live.
		if alive := slices.DeleteFunc(slices.Collect(maps.Values(runs)), func(s proc) bool { return !s.alive() }); len(alive) > 1 {
			c.two = append(c.two, fmt.Sprintf("%s has processes of %v", task, slices.Sorted(maps.Keys(runs))))
		}
	}
}

func (c *census) end() (looks, most int, two []string) {
	close(c.stop)
	<-c.done
	return c.looks, c.most, c.two
}

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

// work creates tasks until stop is closed; of three, one is completed by the
// client, one is for an agent and one stays.
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
		if n%21 == 1 {
			task.Assignee = "quick"
		}
		res, ok := c.do(ctx, "create "+task.Title, owner.NewCommandID(), boards.CreateTasks{Tasks: []boards.NewTask{task}})
		if ok && n%3 == 0 {
			c.do(ctx, "complete "+task.Title, owner.NewCommandID(), boards.CompleteTask{Task: res.Tasks[0]})
		}
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
// then ends all gateways.
func (p *place) settle(gs ...*running) {
	p.t.Helper()
	eventually(p.t, "all work ends", func() bool {
		b := p.open()
		defer b.Close()
		left, err := b.List(p.t.Context(), projections.ListQuery{Assignees: []string{"quick"}, Statuses: []events.Status{events.Ready, events.Running}})
		info, infoErr := b.Info(p.t.Context())
		return err == nil && infoErr == nil && len(left) == 0 && info.OpenRuns == 0
	})
	for _, g := range gs {
		g.signal(syscall.SIGTERM)
		g.ends(stopWithin)
	}
	p.nothingLeft()
}

// judge checks the board against the ledger.
func (p *place) judge(l *ledger) (records int) {
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
	return len(log)
}

// resolved puts the commands of the command line, known by their key alone,
// under the ids the log has for the tasks they said they had made.
func (l *ledger) resolved(board events.BoardID, log []events.Record) *ledger {
	made := make(map[events.TaskID]events.Record)
	for _, r := range log {
		if _, ok := r.Data.(events.TaskCreated); ok {
			made[r.Task] = r
		}
	}
	out := newLedger()
	for id, a := range l.acks {
		if a.first == 0 && len(a.tasks) == 1 {
			if r, ok := made[a.tasks[0]]; ok {
				id, a.first = r.Cmd, r.Seq
			} else {
				a.first = 1
			}
		}
		out.acks[id] = a
	}
	return out
}

func TestGatewayKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	l, c := newLedger(), p.census()
	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 1))
	n := kills(t, 20)
	g := p.spawn()
	tries := p.storm(l, 3, func() {
		for range n {
			pauseFor(time.Duration(20+chance.IntN(280)) * time.Millisecond)
			if g.over() {
				t.Fatalf("a gateway ended by itself: %v\n%s", g.err, g.log)
			}
			g.signal(syscall.SIGKILL)
			<-g.done
			g = p.spawn()
		}
	})
	p.settle(g)
	looks, most, two := c.end()
	if len(two) > 0 {
		t.Errorf("two live trees for one task: %v", two)
	}
	if most == 0 {
		t.Error("the census saw no agent at all")
	}
	records := p.judge(l)
	t.Logf("%d kills (seed %d): %d commands acknowledged, %d sent again, %d events; census of %d looks, at most %d runs at once",
		n, seed, len(l.acks), tries, records, looks, most)
	if len(l.acks) < 2*n {
		t.Errorf("only %d commands were acknowledged", len(l.acks))
	}
}

// TestLedgerSeesWhatItMust feeds the audit with clients that lie.
func TestLedgerSeesWhatItMust(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil, nil)
	b := p.open()
	defer b.Close()
	by := personal(Env{User: "kai"})
	create := func(id events.CommandID, title string) boards.Result {
		res, err := b.Do(t.Context(), by, id, boards.CreateTasks{Tasks: []boards.NewTask{{Title: title}}})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	l := newLedger()
	honest := owner.NewCommandID()
	l.acknowledged(honest, "honest", create(honest, "honest"))
	hasty := owner.NewCommandID() // acknowledges before it sends, and is killed in between
	l.acknowledged(hasty, "hasty", boards.Result{First: 9, Tasks: []events.TaskID{2}})
	create(owner.NewCommandID(), "forgetful") // does not keep its id, and sends again under another
	create(owner.NewCommandID(), "forgetful")
	wrong := owner.NewCommandID()
	res := create(wrong, "confused")
	res.Tasks = []events.TaskID{77}
	l.acknowledged(wrong, "confused", res)
	log, titles := wholeLog(t, b)
	var kinds []string
	for _, w := range l.audit(log, titles) {
		kind, _, _ := strings.Cut(w, ":")
		kinds = append(kinds, kind)
	}
	if want := []string{"changed", "doubled", "lost"}; !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
}

// TestCensusSeesTwoTrees has a second supervisor start a task that runs.
func TestCensusSeesTwoTrees(t *testing.T) {
	t.Parallel()
	p := newPlace(t, agentScripts, nil)
	g := p.gateway()
	task := p.create("long")
	first := p.agentOf(task)
	c := p.census()
	second := p.command(t.Context(), "version")
	second.Path, second.Args = "/bin/sleep", []string{"sleep", "30"}
	second.Env = append(slices.Clone(first.env), "")
	for i, e := range second.Env {
		if strings.HasPrefix(e, "HERMES_RUN=") {
			second.Env[i] = "HERMES_RUN=" + task + ".2"
		}
	}
	second.Env = slices.DeleteFunc(second.Env, func(e string) bool { return e == "" || strings.HasPrefix(e, "HERMES_MARK=") })
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the census reports it", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.two) > 0
	})
	c.end()
	second.Process.Kill()
	second.Wait()
	g.signal(stopRuns)
	g.ends(stopWithin)
}
