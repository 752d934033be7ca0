package owner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/projections"
)

// rawLoop appends 512 bytes to a growing file and syncs, for a while.
func rawLoop(b testing.TB, dir string, d time.Duration) (perSecond float64, p50 time.Duration) {
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 512)
	var took []time.Duration
	start := time.Now()
	for time.Since(start) < d {
		t := time.Now()
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
		if err := fdatasync(f); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(t))
	}
	slices.Sort(took)
	return float64(len(took)) / time.Since(start).Seconds(), took[len(took)/2]
}

// life creates, claims and completes one task.
func life(ctx context.Context, o *Owner, i int64) error {
	r, err := o.Do(ctx, kai, NewCommandID(), create("A task with a title of ordinary length"))
	if err != nil {
		return err
	}
	task := r.Tasks[0]
	token := events.DigestOf(fmt.Appendf(nil, "token %d", i))
	c, err := o.Do(ctx, dispatcher, NewCommandID(), boards.ClaimTask{Task: task, Agent: "writer", Role: events.RoleWorker, Token: token})
	if err != nil {
		return err
	}
	worker := boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: "writer"}, Run: c.Run, Fence: c.Fence, Role: events.RoleWorker}
	_, err = o.Do(ctx, worker, NewCommandID(), boards.CompleteTask{Task: task, Summary: "all is well"})
	return err
}

// countingLog counts commits.
type countingLog struct {
	events.Log
	n atomic.Int64
}

func (l *countingLog) Append(ctx context.Context, head uint64, batch []events.Commit) (events.Head, error) {
	l.n.Add(1)
	return l.Log.Append(ctx, head, batch)
}

// contest has clients run against raw appends, in turns because the disk's
// mood changes, and reports the medians of the turns.
type contest struct {
	dir     string
	log     *countingLog
	clients int
	// round does one client's work once and returns how many commands it was.
	round func(i int64) (commands int, err error)
}

func (c *contest) run(b *testing.B) {
	const turns, rawTime, ourTime = 15, 100 * time.Millisecond, 250 * time.Millisecond
	var raw, ours, latency, cpu, batch []float64
	var rounds atomic.Int64
	for range turns {
		rate, rawP50 := rawLoop(b, c.dir, rawTime)
		var n atomic.Int64
		var mu sync.Mutex
		var took []time.Duration
		var wait sync.WaitGroup
		commits, used, start := c.log.n.Load(), cpuTime(), time.Now()
		for range c.clients {
			wait.Go(func() {
				var mine []time.Duration
				for time.Since(start) < ourTime {
					t := time.Now()
					commands, err := c.round(rounds.Add(1))
					if err != nil {
						b.Error(err)
						return
					}
					mine = append(mine, time.Since(t)/time.Duration(commands))
					n.Add(int64(commands))
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, mine...)
			})
		}
		wait.Wait()
		done, elapsed := float64(n.Load()), time.Since(start).Seconds()
		if done == 0 {
			b.FailNow()
		}
		slices.Sort(took)
		raw = append(raw, rate)
		ours = append(ours, done/elapsed/rate)
		latency = append(latency, float64(took[len(took)/2])/float64(rawP50))
		cpu = append(cpu, float64((cpuTime()-used).Nanoseconds())/1000/done)
		batch = append(batch, done/float64(c.log.n.Load()-commits))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(raw), "raw/s")
	b.ReportMetric(median(ours), "x_raw")
	b.ReportMetric(median(latency), "p50_x_raw")
	b.ReportMetric(median(cpu), "cpu_us/op")
	b.ReportMetric(median(batch), "op/commit")
}

// cpuTime is what this process has used so far, in and for itself.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func newContest(b *testing.B, clients int) (*contest, *Owner) {
	s := newTestStore(b, boltlog.Options{})
	log := &countingLog{Log: s.log}
	s.log = log
	o := run(b, s, Options{})
	return &contest{dir: s.dir, log: log, clients: clients}, o
}

// Each benchmark is one line; what is to be reached stands beside it as goal_.
// Run them with -benchtime 1x, on a machine that has nothing else to do.

// Clients of this process create, claim and complete.
func benchmarkClients(b *testing.B, clients int) {
	c, o := newContest(b, clients)
	seed := time.Now().UnixNano()
	c.round = func(i int64) (int, error) { return 3, life(b.Context(), o, seed+i) }
	c.run(b)
}

func BenchmarkClients1(b *testing.B) {
	benchmarkClients(b, 1)
	b.ReportMetric(2.8, "goal_p50_x_raw")
}

func BenchmarkClients8(b *testing.B) { benchmarkClients(b, 8) }

func BenchmarkClients64(b *testing.B) {
	benchmarkClients(b, 64)
	b.ReportMetric(12, "goal_x_raw")
}

// BenchmarkSocket64 is 64 clients on the board's socket, a connection each,
// where people create, claim and complete. Their side of the work counts too.
func BenchmarkSocket64(b *testing.B) {
	b.ReportMetric(5, "goal_x_raw")
	c, o := newContest(b, 64)
	socket := filepath.Join(c.dir, "run", "s")
	l, err := api.Listen(socket)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- (&api.Server{Board: o, Doors: o.Door, Version: "1"}).Serve(ctx, l) }()
	client, err := api.Dial(ctx, socket, "1")
	if err != nil {
		b.Fatal(err)
	}
	c.round = func(int64) (int, error) { return 3, ownLife(b.Context(), client) }
	c.run(b)
	if err := client.Close(); err != nil {
		b.Error(err)
	}
	cancel()
	if err := <-served; err != nil {
		b.Error(err)
	}
}

// ownLife has a person create, claim and complete a task.
func ownLife(ctx context.Context, board api.Board) error {
	r, err := board.Do(ctx, kai, NewCommandID(), create("A task with a title of ordinary length"))
	if err != nil {
		return err
	}
	task := r.Tasks[0]
	if _, err := board.Do(ctx, kai, NewCommandID(), boards.ClaimTask{Task: task, Agent: "writer", Role: events.RoleWorker}); err != nil {
		return err
	}
	_, err = board.Do(ctx, kai, NewCommandID(), boards.CompleteTask{Task: task, Summary: "all is well"})
	return err
}

// bigStore is a board with so many tasks, ten events each, written in bulk.
func bigStore(b testing.TB, tasks int) *testStore {
	b.Helper()
	s := newTestStore(b, boltlog.Options{})
	rules := boards.NewState()
	if err := fold(b.Context(), s.log, 1, s.log.Head().Seq, rules.Evolve); err != nil {
		b.Fatal(err)
	}
	st := newStamper(0)
	var batch []events.Commit
	head := s.log.Head().Seq
	flush := func() {
		h, err := s.log.Append(b.Context(), head, batch)
		if err != nil {
			b.Fatal(err)
		}
		head, batch = h.Seq, nil
	}
	add := func(by boards.Principal, c boards.Command) {
		drafts, err := boards.Decide(rules, c, boards.Env{Now: st.now(), By: by})
		if err != nil {
			b.Fatal(err)
		}
		id := NewCommandID()
		records, encoded, err := st.stamp(drafts, by.Actor, id, rules.Head(), st.now())
		if err != nil {
			b.Fatal(err)
		}
		for i := range records {
			rules.Evolve(&records[i])
		}
		if batch = append(batch, events.Commit{ID: id, Records: encoded}); len(batch) == 10_000 {
			flush()
		}
	}
	for i := 1; i <= tasks; i++ {
		task := events.TaskID(i)
		add(kai, create(fmt.Sprintf("Task %d of the big board", i)))
		if i%100 == 0 {
			continue // stays ready
		}
		for range 5 {
			add(kai, boards.CommentTask{Task: task, Body: "a comment"})
		}
		add(kai, boards.PrioritizeTask{Task: task, Priority: int32(i % 7)})
		add(dispatcher, boards.ClaimTask{Task: task, Agent: "writer", Role: events.RoleWorker, Token: events.DigestOf(fmt.Append(nil, i))})
		run := events.RunID{Task: task, N: 1}
		open, _ := rules.OpenRun(task)
		worker := boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: "writer"}, Run: run, Fence: open.Fence, Role: events.RoleWorker}
		add(worker, boards.CompleteTask{Task: task, Summary: "done"})
		add(worker, boards.EndRun{Run: run, Outcome: events.OutcomeCompleted})
	}
	flush()
	return s
}

func heapMiB() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkBigBoard folds a million events over 100,000 tasks, opens it again
// from snapshots, and asks for lists.
func BenchmarkBigBoard(b *testing.B) {
	s := bigStore(b, 100_000)
	before := heapMiB()
	var rates, cpu []float64
	var o *Owner
	for range 3 {
		start, used := time.Now(), cpuTime()
		var err error
		if o, err = newOwner(s, Options{}); err != nil {
			b.Fatal(err)
		}
		rates = append(rates, float64(o.head.Seq)/time.Since(start).Seconds())
		cpu = append(cpu, float64((cpuTime()-used).Nanoseconds())/1000/float64(o.head.Seq))
	}
	b.ReportMetric(float64(o.head.Seq), "events")
	b.ReportMetric(median(rates), "fold_events/s")
	b.ReportMetric(median(cpu), "fold_cpu_us/event")
	b.ReportMetric(700_000, "goal_fold_events/s")
	b.ReportMetric(heapMiB()-before, "heap_MiB")

	start := time.Now()
	rules := o.writer.rules.AppendSnapshot(nil)
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "encode_rules_ms")
	start = time.Now()
	view := o.view.AppendSnapshot(nil)
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "encode_view_ms")
	o.save(body{o.head, rules}, body{o.head, view})
	o, rules, view = nil, nil, nil
	before = heapMiB()
	var reopen []float64
	for range 5 {
		o = nil
		start = time.Now()
		var err error
		if o, err = newOwner(s, Options{}); err != nil {
			b.Fatal(err)
		}
		reopen = append(reopen, float64(time.Since(start).Microseconds())/1000)
	}
	b.ReportMetric(median(reopen), "reopen_ms")
	b.ReportMetric(250, "goal_reopen_ms")
	b.ReportMetric(heapMiB()-before, "reopened_heap_MiB")
	b.ReportMetric(200, "goal_reopened_heap_MiB")

	q := projections.ListQuery{Statuses: []events.Status{events.Ready}, Limit: 50}
	var lists []float64
	for range 200 {
		start = time.Now()
		if cards, err := o.List(b.Context(), q); err != nil || len(cards) != 50 {
			b.Fatalf("got %d cards, %v, want 50", len(cards), err)
		}
		lists = append(lists, float64(time.Since(start).Nanoseconds())/1e6)
	}
	b.ReportMetric(median(lists), "list50_ms")
	start = time.Now()
	if _, err := o.List(b.Context(), projections.ListQuery{}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "list_all_ms")
	b.ReportMetric(0, "ns/op")
	if err := o.Close(); err != nil {
		b.Fatal(err)
	}
}
