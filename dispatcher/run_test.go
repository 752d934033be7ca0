package dispatcher

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func outcomes(m *memBoard) []events.Outcome {
	list, _ := history[events.RunEnded](m)
	var o []events.Outcome
	for _, e := range list {
		o = append(o, e.Outcome)
	}
	return o
}

func TestWorksThroughTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{script: completes(time.Minute)}, Options{})
		defer x.halt()
		tasks := x.create(t, 20, nil)
		start := time.Now()
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		_, ends := history[events.RunEnded](x.memBoard)
		if len(ends) != 20 || x.most != 4 || x.warned() > 0 {
			t.Fatalf("got %d ends, %d at once, warnings %v; want 20, 4, none", len(ends), x.most, x.warns)
		}
		if took := ends[19].Sub(start); took > 5*time.Minute+time.Second {
			t.Errorf("20 runs of a minute in 4 slots took %v", took)
		}
		for _, task := range tasks {
			if s := x.status(task); s != events.Done {
				t.Errorf("%v is %v", task, s)
			}
		}
		if i := x.d.Info(); i == nil || i.Slots != 4 || i.Free != 4 {
			t.Errorf("got %+v, want 4 free slots of 4", i)
		}
	})
}

func TestStartsWhenItsTimeComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{script: completes(time.Minute)}, Options{})
		defer x.halt()
		at := time.Now().Add(3*24*time.Hour + 17*time.Millisecond)
		x.create(t, 1, func(n *boards.NewTask) { n.StartAt = events.TimeOf(at) })
		time.Sleep(5 * 24 * time.Hour)
		_, claims := history[events.RunClaimed](x.memBoard)
		if len(claims) != 1 || claims[0].Before(at) || claims[0].Sub(at) > 2*time.Millisecond {
			t.Fatalf("got claims at %v, want one at %v", claims, at)
		}
	})
}

func TestCrashesBackOffAndGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crash := func(p *process) {
			p.work(time.Second, true)
			_ = p.do(boards.EndRun{Run: p.a.Run, Outcome: events.OutcomeCrashed})
		}
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{script: crash}, Options{})
		defer x.halt()
		task := x.create(t, 1, nil)[0]
		time.Sleep(time.Hour)
		_, claims := history[events.RunClaimed](x.memBoard)
		if len(claims) != 3 || x.status(task) != events.Blocked {
			t.Fatalf("got %d claims, %v; want 3 and blocked", len(claims), x.status(task))
		}
		for i, want := range []time.Duration{11 * time.Second, 21 * time.Second} {
			if got := claims[i+1].Sub(claims[i]); got < want || got > want+10*time.Millisecond {
				t.Errorf("attempt %d came %v after the last, want %v", i+2, got, want)
			}
		}
	})
}

func TestSupervisorThatDiesIsLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		script := func(p *process) {
			if n++; n > 1 {
				completes(time.Second)(p)
				return
			}
			p.work(time.Minute, true)
		}
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{script: script}, Options{})
		defer x.halt()
		task := x.create(t, 1, nil)[0]
		start := time.Now()
		time.Sleep(2 * time.Minute)
		ends, at := history[events.RunEnded](x.memBoard)
		if len(ends) != 2 || ends[0].Outcome != events.OutcomeLost || at[0].Sub(start) > time.Minute+time.Second || ends[0].RanMS != 60_000 {
			t.Fatalf("got %+v at %v", ends, at)
		}
		if at[1].Sub(at[0]) != 11*time.Second || x.status(task) != events.Done {
			t.Errorf("second attempt ended %v later, %v", at[1].Sub(at[0]), x.status(task))
		}
	})
}

func TestSilentSupervisorIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := func(p *process) { p.work(1000*time.Hour, false) }
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{script: hangs}, Options{})
		defer x.halt()
		task := x.create(t, 1, nil)[0]
		start := time.Now()
		time.Sleep(3 * time.Hour)
		_, stops := history[events.RunStopping](x.memBoard)
		if len(stops) != 3 || stops[0].Sub(start) != 15*time.Minute {
			t.Fatalf("got stops at %v, want 3, the first after 15 minutes", stops)
		}
		if got := outcomes(x.memBoard); len(got) != 3 || got[0] != events.OutcomeStalled || x.status(task) != events.Blocked {
			t.Errorf("got %v and %v, want stalled three times, then blocked", got, x.status(task))
		}
	})
}

func TestRenewalsKeepARunForDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := events.DefaultPolicy(4)
		policy.SilenceMS = 30 * 24 * 3_600_000
		x := begin(t, newBoard(t, policy), &starter{script: completes(10 * 24 * time.Hour)}, Options{})
		defer x.halt()
		x.create(t, 1, nil)
		time.Sleep(11 * 24 * time.Hour)
		if got := outcomes(x.memBoard); len(got) != 1 || got[0] != events.OutcomeCompleted || len(x.stops) > 0 {
			t.Errorf("got %v, stops %v; want completed", got, x.stops)
		}
	})
}

func TestSilenceAndLongestRun(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int64
		want  events.Outcome
		after time.Duration
	}{
		{"silence", 0, events.OutcomeStalled, time.Hour},
		{"longest run", 20 * 60_000, events.OutcomeTimedOut, 20 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				policy := events.DefaultPolicy(4)
				policy.FailureLimit = 1
				x := begin(t, newBoard(t, policy), &starter{script: completes(100 * time.Hour)}, Options{})
				defer x.halt()
				start := time.Now()
				x.create(t, 1, func(n *boards.NewTask) { n.MaxRuntimeMS = c.limit })
				time.Sleep(90 * time.Minute)
				ends, at := history[events.RunEnded](x.memBoard)
				if len(ends) != 1 || ends[0].Outcome != c.want || at[0].Sub(start) != c.after+10*time.Second {
					t.Fatalf("got %+v after %v, want %v after %v and the grace", ends, at, c.want, c.after)
				}
			})
		})
	}
}

func TestSpawnErrorIsBooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), &starter{refuse: errors.New("fork: no memory")}, Options{})
		defer x.halt()
		task := x.create(t, 1, nil)[0]
		time.Sleep(time.Hour)
		if got := outcomes(x.memBoard); len(got) != 3 || got[0] != events.OutcomeSpawnFailed || x.status(task) != events.Blocked || x.warned() != 3 {
			t.Errorf("got %v, %v, warnings %v", got, x.status(task), x.warns)
		}
		if state, _ := x.d.o.Slots.Probe(); state.Free != 4 {
			t.Errorf("%d slots free, want 4", state.Free)
		}
	})
}

func TestNextDispatcherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(4))
		s := &starter{script: completes(10 * time.Minute)}
		first := begin(t, board, s, Options{})
		tasks := board.create(t, 2, nil)
		synctest.Wait()
		first.halt() // the runs go on
		late := board.create(t, 1, nil)[0]
		// A claim whose dispatcher died before it started anything.
		orphan := board.must(t, me, boards.ClaimTask{Task: late, Agent: "coder", Role: events.RoleWorker, Token: events.DigestOf([]byte("x"))})
		time.Sleep(time.Minute)
		if len(outcomes(board)) != 0 {
			t.Fatal("something ended while nobody was there")
		}
		second := begin(t, board, s, Options{})
		defer second.halt()
		if got := outcomes(board); len(got) != 1 || got[0] != events.OutcomeReleased || orphan.Run.N != 1 {
			t.Fatalf("got %v, want the orphaned claim released", got)
		}
		time.Sleep(30 * time.Minute)
		for _, task := range append(tasks, late) {
			if s := board.status(task); s != events.Done {
				t.Errorf("%v is %v", task, s)
			}
		}
		if got := outcomes(board); len(got) != 4 {
			t.Errorf("got %v, want 4 ends", got)
		}
	})
}

func TestPersonsClaimRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(4))
		task := board.create(t, 1, func(n *boards.NewTask) { n.Assignee = "" })[0]
		board.must(t, boardstest.Kai, boards.ClaimTask{Task: task, Agent: "kai", Role: events.RoleWorker, TermMS: 60_000})
		x := begin(t, board, &starter{}, Options{})
		defer x.halt()
		start := time.Now()
		time.Sleep(10 * time.Minute)
		ends, at := history[events.RunEnded](board)
		if len(ends) != 1 || ends[0].Outcome != events.OutcomeLost || at[0].Sub(start) != time.Minute || board.status(task) != events.Ready {
			t.Errorf("got %+v at %v, %v", ends, at, board.status(task))
		}
	})
}

func TestTreeThatWillNotDieKeepsItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &starter{script: completes(100 * time.Hour), undead: true}
		x := begin(t, newBoard(t, events.DefaultPolicy(4)), s, Options{})
		task := x.create(t, 1, nil)[0]
		synctest.Wait()
		x.must(t, boardstest.Kai, boards.StopRun{Task: task, Then: events.ThenRetry})
		time.Sleep(5 * time.Minute)
		var w projections.Why
		x.View(func(v *projections.View) { w = x.d.Explain(v, task, events.TimeOf(time.Now())) })
		if w.Hold.Reason != StuckKill || len(x.stops) < 5 || x.warned() != 1 {
			t.Errorf("got %+v, %d stops, warnings %v", w, len(x.stops), x.warns)
		}
		if claims, _ := history[events.RunClaimed](x.memBoard); len(claims) != 1 {
			t.Errorf("%d claims while the tree lives", len(claims))
		}
		s.mu.Lock()
		s.undead = false
		s.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if claims, _ := history[events.RunClaimed](x.memBoard); len(claims) != 2 {
			t.Errorf("%d claims after it died, want 2", len(claims))
		}
		x.halt()
		s.mu.Lock()
		for _, p := range s.alive {
			close(p.stop)
		}
		s.mu.Unlock()
	})
}

func TestRefusedClaimDoesNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(1))
		tasks := board.create(t, 3, nil)
		refused := 0
		board.refuse = func(c boards.Command) error {
			if claim, ok := c.(boards.ClaimTask); ok && claim.Task == tasks[0] {
				refused++
				return &boards.Rejection{Code: boards.CodeInternal, Detail: "the rule itself broke"}
			}
			return nil
		}
		x := begin(t, board, &starter{script: completes(time.Minute)}, Options{})
		defer x.halt()
		time.Sleep(10*time.Minute + time.Second)
		if board.status(tasks[1]) != events.Done || board.status(tasks[2]) != events.Done || board.status(tasks[0]) != events.Ready {
			t.Errorf("got %v %v %v", board.status(tasks[0]), board.status(tasks[1]), board.status(tasks[2]))
		}
		if refused < 2 || refused > 150 {
			t.Errorf("refused %d times in 10 minutes", refused)
		}
		var w projections.Why
		x.View(func(v *projections.View) { w = x.d.Explain(v, tasks[0], events.TimeOf(time.Now())) })
		if w.Hold.Reason != ClaimRefused {
			t.Errorf("got %+v, want %s", w, ClaimRefused)
		}
	})
}

// TestUnwritableSlot: where a slot cannot be taken, why says so, and it is tried
// again.
func TestUnwritableSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		slots, err := OpenSlots(dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "1")
		if err := os.Symlink("/dev/full", file); err != nil {
			t.Fatal(err)
		}
		board := newBoard(t, events.DefaultPolicy(1))
		task := board.create(t, 1, nil)[0]
		x := begin(t, board, &starter{script: completes(time.Minute)}, Options{Slots: slots})
		defer x.halt()
		time.Sleep(time.Second)
		var w projections.Why
		x.View(func(v *projections.View) { w = x.d.Explain(v, task, events.TimeOf(time.Now())) })
		if w.Hold.Reason != ClaimRefused || !strings.Contains(w.Detail, "slot 1") {
			t.Errorf("got %+v, want %s that names the slot", w, ClaimRefused)
		}
		if n := x.warned(); n != 1 {
			t.Errorf("got %d warnings, want 1", n)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if got := board.status(task); got != events.Done {
			t.Errorf("got %v once it can be written, want done", got)
		}
	})
}

// TestUnfitForItsWorkspace: nothing is claimed for a task whose workspace its
// agent cannot work in, why says so, and others go on.
func TestUnfitForItsWorkspace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(1))
		repo := board.create(t, 1, func(n *boards.NewTask) { n.Workspace = events.Workspace{Kind: events.Repo, Path: "/srv/code"} })[0]
		plain := board.create(t, 1, nil)[0]
		x := begin(t, board, &starter{script: completes(time.Minute), unfit: "agent coder: git is missing"}, Options{})
		defer x.halt()
		time.Sleep(5*time.Minute + time.Second) // and not when it is looked at again
		if board.status(plain) != events.Done || board.status(repo) != events.Ready {
			t.Errorf("got %v and %v, want ready and done", board.status(repo), board.status(plain))
		}
		var w projections.Why
		x.View(func(v *projections.View) { w = x.d.Explain(v, repo, events.TimeOf(time.Now())) })
		if w.Hold.Reason != RuntimeMissing || !strings.Contains(w.Detail, "git is missing") || w.Next != "hermes agent show coder" {
			t.Errorf("got %+v", w)
		}
		if claims, _ := history[events.RunClaimed](board); len(claims) != 1 {
			t.Errorf("got %d claims, want 1", len(claims))
		}
	})
}

func TestFrozenBoardIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(4))
		frozen := errors.New("board is frozen")
		board.refuse = func(c boards.Command) error {
			if _, ok := c.(boards.ClaimTask); ok {
				return frozen
			}
			return nil
		}
		x := begin(t, board, &starter{script: completes(time.Minute)}, Options{})
		defer x.halt()
		task := board.create(t, 1, nil)[0]
		time.Sleep(time.Minute)
		if n := x.warned(); n < 5 || n > 20 {
			t.Errorf("%d warnings in a minute", n)
		}
		board.mu.Lock()
		board.refuse = nil
		board.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if board.status(task) != events.Done {
			t.Errorf("got %v, want done", board.status(task))
		}
	})
}

func TestStartCommitFailureLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(4))
		n := 0
		board.refuse = func(c boards.Command) error {
			if _, ok := c.(boards.StartRun); ok {
				if n++; n == 1 {
					return errors.New("unknown commit")
				}
			}
			return nil
		}
		x := begin(t, board, &starter{script: completes(time.Minute)}, Options{})
		defer x.halt()
		task := board.create(t, 1, nil)[0]
		time.Sleep(5 * time.Minute)
		if got := outcomes(board); len(got) != 2 || got[0] != events.OutcomeReleased || got[1] != events.OutcomeCompleted || board.status(task) != events.Done {
			t.Errorf("got %v, %v; want released, completed", got, board.status(task))
		}
	})
}

func TestDrainAndIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(1))
		s := &starter{script: completes(time.Minute)}
		x := begin(t, board, s, Options{})
		tasks := board.create(t, 3, nil)
		time.Sleep(time.Second)
		x.d.Drain()
		time.Sleep(10 * time.Minute)
		x.halt() // Run has returned by itself
		if board.status(tasks[0]) != events.Done || board.status(tasks[1]) != events.Ready || x.d.Info() != nil {
			t.Errorf("got %v %v", board.status(tasks[0]), board.status(tasks[1]))
		}
		start := time.Now()
		idle := New(Options{Board: board, Agents: goodAgents{}, Starter: s, Slots: x.d.o.Slots, UntilIdle: true})
		s.renew = idle.Renewed
		if err := idle.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if board.status(tasks[2]) != events.Done || time.Since(start) > 3*time.Minute {
			t.Errorf("got %v after %v", board.status(tasks[2]), time.Since(start))
		}
	})
}

func TestWaitsForSlotsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newBoard(t, events.DefaultPolicy(4))
		x := begin(t, board, &starter{script: completes(time.Minute)}, Options{})
		defer x.halt()
		for range 4 {
			slot, err := x.d.o.Slots.Take("another board")
			if slot == nil || err != nil {
				t.Fatal(err)
			}
			defer slot.Close()
			time.AfterFunc(time.Hour, func() { slot.Close() })
		}
		board.create(t, 1, nil)
		start := time.Now()
		time.Sleep(2 * time.Hour)
		_, claims := history[events.RunClaimed](board)
		if len(claims) != 1 || claims[0].Sub(start) < time.Hour || claims[0].Sub(start) > time.Hour+starveMax {
			t.Errorf("got claims at %v, started waiting at %v", claims, start)
		}
	})
}
