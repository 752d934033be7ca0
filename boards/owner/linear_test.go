package owner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
)

// doer is an owner's Do, or what a test puts around it.
type doer func(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error)

// drain is many workers that race for tasks, work on them, and speak up when
// they should not; every call is written down.
type drain struct {
	t     *testing.T
	do    doer
	o     *Owner
	start time.Time

	mu      sync.Mutex // guards what follows
	left    []events.TaskID
	former  map[events.TaskID][]boards.Principal
	history map[events.TaskID][]porcupine.Operation
	counts  map[string]int
	tokens  atomic.Uint64
}

const racing = 12 // tasks that the workers race for at a time

// call sends a command and writes down how it went. With patience it is sent
// again under the same id until it is answered.
func (d *drain) call(rng *rand.Rand, in taskCall, by boards.Principal, c boards.Command, patient bool) (boards.Result, taskAnswer) {
	id := NewCommandID()
	op := porcupine.Operation{ClientId: int(rng.Uint64() % 64), Input: in, Call: time.Since(d.start).Nanoseconds()}
	var res boards.Result
	var err error
	for {
		ctx, cancel := d.t.Context(), context.CancelFunc(func() {})
		if rng.IntN(8) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(3000))*time.Microsecond)
		}
		res, err = d.do(ctx, by, id, c)
		cancel()
		if !patient || err == nil || errors.As(err, new(*boards.Rejection)) {
			break
		}
	}
	out := taskAnswer{run: res.Run.N, fence: res.Fence}
	op.Return = time.Since(d.start).Nanoseconds()
	switch {
	case err == nil:
		out.said = yes
	case errors.As(err, new(*boards.Rejection)):
		out.said = no
	default: // it may have happened, or happen yet
		out.said, op.Return = unknown, math.MaxInt64
	}
	op.Output = out
	d.mu.Lock()
	defer d.mu.Unlock()
	d.history[in.task] = append(d.history[in.task], op)
	d.counts[in.what.String()+" "+out.said.String()]++
	return res, out
}

// next returns a task that is not finished, of the first few.
func (d *drain) next(rng *rand.Rand) (events.TaskID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.left) == 0 {
		return 0, false
	}
	return d.left[rng.IntN(min(racing, len(d.left)))], true
}

func (d *drain) finished(task events.TaskID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, id := range d.left {
		if id == task {
			d.left = append(d.left[:i], d.left[i+1:]...)
			return
		}
	}
}

// work is one worker.
func (d *drain) work(rng *rand.Rand) {
	for {
		task, ok := d.next(rng)
		if !ok {
			return
		}
		token := events.DigestOf(fmt.Append(nil, "linear", d.tokens.Add(1)))
		claim := boards.ClaimTask{Task: task, Agent: "writer", Role: events.RoleWorker, Token: token}
		res, out := d.call(rng, taskCall{what: claims, task: task}, dispatcher, claim, true)
		if out.said != yes {
			d.stale(rng, task)
			if status := d.status(task); status == events.Done {
				d.finished(task)
			}
			continue
		}
		me := boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: "writer"}, Run: res.Run, Fence: res.Fence, Role: events.RoleWorker}
		mine := taskCall{task: task, run: res.Run.N, fence: res.Fence}
		as := func(w what) taskCall { c := mine; c.what = w; return c }
		for range rng.IntN(3) {
			d.call(rng, as(beats), me, boards.Heartbeat{Task: task}, false)
		}
		d.stale(rng, task)
		for range rng.IntN(3) { // none, one, or one too many
			d.call(rng, as(completes), me, boards.CompleteTask{Task: task, Summary: "done"}, rng.IntN(4) > 0)
		}
		d.mu.Lock()
		d.former[task] = append(d.former[task], me)
		d.mu.Unlock()
		by := me
		if rng.IntN(2) == 0 {
			by = dispatcher
		}
		d.call(rng, as(ends), by, boards.EndRun{Run: res.Run, Outcome: events.OutcomeReleased}, true)
	}
}

// stale completes a task for runs that have ended.
func (d *drain) stale(rng *rand.Rand, task events.TaskID) {
	d.mu.Lock()
	former := append([]boards.Principal(nil), d.former[task]...)
	d.mu.Unlock()
	if len(former) == 0 || rng.IntN(2) == 0 {
		return
	}
	by := former[rng.IntN(len(former))]
	in := taskCall{what: completes, task: task, run: by.Run.N, fence: by.Fence}
	d.call(rng, in, by, boards.CompleteTask{Task: task, Summary: "late"}, false)
}

func (d *drain) status(task events.TaskID) events.Status {
	d.o.mu.RLock()
	defer d.o.mu.RUnlock()
	return d.o.view.Task(task).Status
}

// run drains n tasks with so many workers and returns an error if what they
// were told cannot have come from one thing at a time.
func drainTasks(t *testing.T, n, workers int, wrap func(*Owner) doer) (map[string]int, error) {
	s := newTestStore(t, boltlog.Options{}).withFaults(linearFault(1))
	faults := 1
	s.wrap = func(l events.Log) events.Log { faults++; return logtest.Faulty(l, linearFault(faults)) }
	o := run(t, s, Options{Warn: func(error) {}})
	d := &drain{
		t: t, do: wrap(o), o: o, start: time.Now(), former: map[events.TaskID][]boards.Principal{},
		history: map[events.TaskID][]porcupine.Operation{}, counts: map[string]int{},
	}
	for len(d.left) < n {
		var c boards.CreateTasks
		for range min(n-len(d.left), 100) {
			c.Tasks = append(c.Tasks, boards.NewTask{Title: "short", Assignee: "writer"})
		}
		d.left = append(d.left, do(t, o, kai, c).Tasks...)
	}
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() { d.work(rand.New(rand.NewPCG(7, uint64(w)))) })
	}
	wait.Wait()
	s.wrap = nil
	records := checkFold(t, s, o)
	d.counts["unknown commits"] = s.reopens
	d.counts["records"] = len(records)
	d.addReads(records)
	return d.counts, d.check()
}

// linearFault is the n-th trouble with the log: an append that is unknown, and
// is on disk every other time.
func linearFault(n int) logtest.Fault {
	return logtest.Fault{Append: 20 + 7*(n%5), Persist: n%2 == 0}
}

// addReads ends every history with what the log says.
func (d *drain) addReads(records []events.Record) {
	at := map[events.TaskID]taskState{}
	for _, r := range records {
		s := at[r.Task]
		switch r.Data.(type) {
		case events.RunClaimed:
			s.runs, s.open, s.fence = r.Run.N, true, r.Seq
		case events.TaskCompleted:
			s.done, s.verdict = true, true
		case events.RunEnded:
			s.open, s.verdict = false, false
		}
		at[r.Task] = s
	}
	end := time.Since(d.start).Nanoseconds()
	for task, ops := range d.history {
		read := porcupine.Operation{Input: taskCall{what: reads, task: task}, Output: taskAnswer{said: yes, state: at[task]}, Call: end, Return: end + 1}
		for i := range ops { // all commands are over: the owner is closed
			ops[i].Return = min(ops[i].Return, end-1)
		}
		d.history[task] = append(ops, read)
	}
}

func (d *drain) check() error {
	model := taskModel.ToModel()
	for task, ops := range d.history {
		switch porcupine.CheckOperationsTimeout(model, ops, 30*time.Second) {
		case porcupine.Illegal:
			text := ""
			for _, op := range ops {
				text += fmt.Sprintf("\n%12d %12d %+v %+v", op.Call, op.Return, op.Input, op.Output)
			}
			return fmt.Errorf("what was said about %v is not linearizable:%s", task, text)
		case porcupine.Unknown:
			return fmt.Errorf("%v: %d calls are too many to check", task, len(ops))
		}
		d.counts["calls"] += len(ops)
	}
	return nil
}

// TestLinearizable lets 64 workers drain 1,000 tasks, or HERMES_LINEAR of them.
func TestLinearizable(t *testing.T) {
	n := 1000
	if v := os.Getenv("HERMES_LINEAR"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatalf("HERMES_LINEAR: %v", err)
		}
	}
	start := time.Now()
	counts, err := drainTasks(t, n, 64, func(o *Owner) doer { return o.Do })
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d tasks in %v: %v", n, time.Since(start).Round(time.Millisecond), counts)
	for _, k := range []string{"claim yes", "claim no", "complete yes", "complete no", "complete unknown", "heartbeat yes", "end yes", "unknown commits"} {
		if counts[k] == 0 {
			t.Errorf("%q never happened", k)
		}
	}
}

// TestLinearizableNotices puts an owner's mistakes around it: each must be seen.
func TestLinearizableNotices(t *testing.T) {
	for _, tc := range []struct {
		name string
		wrap func(*Owner) doer
	}{
		{"a late claim is told that it won", lateClaim},
		{"a verdict is acknowledged before its commit", earlyAck},
		{"a stale verdict counts for the open run", noFence},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := drainTasks(t, 150, 32, tc.wrap)
			if err == nil {
				t.Error("got nothing, want it noticed")
			}
		})
	}
}

func lateClaim(o *Owner) doer {
	return func(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
		res, err := o.Do(ctx, by, id, c)
		claim, ok := c.(boards.ClaimTask)
		if ok && codeOf(err) == string(boards.CodeRunOpen) {
			o.mu.RLock()
			defer o.mu.RUnlock()
			if r := o.view.Task(claim.Task).Run; r != nil {
				return boards.Result{Run: r.ID, Fence: r.Fence}, nil
			}
		}
		return res, err
	}
}

func earlyAck(o *Owner) doer {
	var n atomic.Uint64
	return func(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
		if _, ok := c.(boards.CompleteTask); ok && n.Add(1)%20 == 0 {
			return boards.Result{Status: events.Done}, nil // and then the power fails
		}
		return o.Do(ctx, by, id, c)
	}
}

func noFence(o *Owner) doer {
	return func(ctx context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
		if complete, ok := c.(boards.CompleteTask); ok {
			o.mu.RLock()
			if r := o.view.Task(complete.Task).Run; r != nil {
				by = principalOf(r)
			}
			o.mu.RUnlock()
		}
		return o.Do(ctx, by, id, c)
	}
}
