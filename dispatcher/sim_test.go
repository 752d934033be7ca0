package dispatcher

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hermesboard/hermes/events"
)

var (
	simSeed  = flag.Uint64("seed", 0, "the one seed to simulate; 0 = the first -seeds")
	simSeeds = flag.Uint64("seeds", 12, "how many seeds to simulate")
)

// simTime is how long a seed lasts on the simulated clocks; in the last part
// of it nothing goes wrong any more.
const (
	simTime  = 8 * time.Hour
	calmTime = 4 * time.Hour
)

// result is what came of a seed.
type result struct {
	failed  string
	seen    map[string]int
	records int
	steps   int
	history []string // the records, a line each
}

// simulate plays one seed.
func simulate(t *testing.T, seed uint64, m mutant) (res result) {
	synctest.Test(t, func(t *testing.T) {
		res = newSim(t, seed, m, simPolicy).play(simTime)
	})
	return res
}

// play lets a seed go for so long with all its troubles, and then in peace.
func (s *sim) play(d time.Duration) result {
	s.mu.Lock()
	s.trouble()
	s.people()
	s.mu.Unlock()
	s.drive(s.begun.Add(d))
	s.calm()
	s.drive(s.begun.Add(d + calmTime))
	s.atRest()
	return s.result()
}

func (s *sim) result() result {
	failed := s.end()
	history := make([]string, len(s.log.records))
	for i, r := range s.log.records {
		history[i] = fmt.Sprintln(r.Seq, r.Time, r.Data.Type(), r.Task, r.Run, r.Actor)
	}
	return result{failed, s.seen, len(s.log.records), s.judge.steps, history}
}

// calm is the end of all faults: persons settle what waits for them.
func (s *sim) calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = false
	s.pace = 1
	s.agents.set("")
	for _, f := range s.others {
		_ = f.Close()
	}
	s.others = nil
	s.every(5*time.Minute, "calm", s.settle)
}

// atRest is asked at the end: everything has come to rest, and for a reason.
func (s *sim) atRest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != "" {
		return
	}
	f, now := s.facts(), s.wall()
	for id := events.TaskID(1); int(id) <= s.log.state.Tasks(); id++ {
		switch h := Explain(s.log.view, id, f, now); h.Reason {
		case Done, Archived, Parent, ParentFailed, ParentArchived, NoAssignee, Scheduled, ReviewPerson:
		default:
			s.fail("after %v without faults %v is held by %+v", calmTime, id, h)
		}
	}
}

// TestSim plays seeds. A seed that fails is played again with -seed.
func TestSim(t *testing.T) {
	first, n := uint64(1), *simSeeds
	if *simSeed > 0 {
		first, n = *simSeed, 1
	}
	start := time.Now()
	var mu sync.Mutex
	seen, records, steps := map[string]int{}, 0, 0
	var next atomic.Uint64
	t.Run("seeds", func(t *testing.T) {
		for w := range 2 {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
					res := simulate(t, first+i, mutant{})
					if res.failed != "" {
						t.Errorf("seed %d: %s\ngo test ./dispatcher -run Sim$ -seed=%d", first+i, res.failed, first+i)
					}
					mu.Lock()
					for k, v := range res.seen {
						seen[k] += v
					}
					records += res.records
					steps += res.steps
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d seeds, %v each: %d events, %d steps in %v", n, simTime+calmTime, records, steps, time.Since(start).Round(time.Millisecond))
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%7d  %s", seen[k], k)
	}
	if n < 12 {
		return
	}
	for _, k := range simSometimes {
		if seen[k] == 0 {
			t.Errorf("%q never happened", k)
		}
	}
}

// simSometimes is what must happen in some seed, lest the simulation proves nothing.
var simSometimes = append([]string{
	"unknown commit", "unknown commit that did not happen", "long freeze", "lost answer", "repeated command",
	"gateway killed", "gateway stopped", "killed before a call", "killed after a call", "restart of the gateway", "reboot",
	"clock stepped forwards", "clock stepped backwards", "slot taken by another board", "agent that cannot be started",
	"spawn error", "look that fails", "refused claim", "supervisor that had to be killed", "agent that ignores TERM", "tree that will not die",
	"person met a frozen board", "person: stop_run", "person: unblock_task", "person: archive_task", "person: link_tasks", "person: claim_task",
	"end: completed", "end: crashed", "end: lost", "end: stalled", "end: timed_out", "end: released", "end: killed", "end: no_verdict", "end: rate_limited",
}, simRuns()...)

func simRuns() []string {
	var list []string
	for _, e := range endings {
		list = append(list, "run that "+string(e))
	}
	return list
}

// TestSimMutants breaks the engine in every way that the simulation is to notice.
func TestSimMutants(t *testing.T) {
	t.Parallel()
	const within = 8
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= within; seed++ {
				if res := simulate(t, seed, m); res.failed != "" {
					t.Logf("seed %d: %s", seed, res.failed)
					return
				}
			}
			t.Errorf("%d seeds did not notice", within)
		})
	}
}

// TestSimRepeats plays a seed twice: it must be the same history.
func TestSimRepeats(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 3; seed++ {
		a, b := simulate(t, seed, mutant{}).history, simulate(t, seed, mutant{}).history
		if slices.Equal(a, b) {
			continue
		}
		n := 0
		for n < len(a) && n < len(b) && a[n] == b[n] {
			n++
		}
		t.Errorf("seed %d: got %d records, then %d; they differ from\n%q and\n%q on", seed, len(a), len(b), a[n:min(n+2, len(a))], b[n:min(n+2, len(b))])
	}
}

// TestSimMonth plays 30 days, 3 in short mode: terms, schedules, waits, suspends, clocks that are stepped.
func TestSimMonth(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // it is one goroutine after the other: two processors only wake each other
	start, days := time.Now(), 30
	if testing.Short() {
		days = 3
	}
	var res result
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 9, mutant{}, func(p *events.Policy, _ *rand.Rand) { p.DefaultAssignee = "coder" })
		s.pace, s.most = 24, 400
		res = s.play(time.Duration(days) * 24 * time.Hour)
	})
	if res.failed != "" {
		t.Error(res.failed)
	}
	t.Logf("%d days: %d events, %d steps in %v", days, res.records, res.steps, time.Since(start).Round(time.Millisecond))
	for _, k := range []string{"clock stepped forwards", "clock stepped backwards", "restart of the gateway", "hold: scheduled", "hold: retry_wait", "run that was stopped as stalled", "end: completed", "end: crashed", "end: lost"} {
		t.Logf("%7d  %s", res.seen[k], k)
		if res.seen[k] == 0 && days == 30 {
			t.Errorf("%q never happened", k)
		}
	}
}
