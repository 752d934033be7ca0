package dispatcher

import (
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// tree is the processes of one run: a supervisor, an agent, and what the agent
// has left behind. It is guarded by the lock of the simulation.
type tree struct {
	s     *sim
	g     *gateway // that made it
	a     boards.Assignment
	pid   int64
	rng   *rand.Rand
	slot  *os.File
	done  chan struct{} // closed when the supervisor has ended
	since time.Time

	super, agent bool
	extra        int
	released     bool

	will        ending
	hung        bool // the supervisor does nothing any more
	stopping    bool // the supervisor stops the agent
	ignoresTerm bool
	undead      time.Time // its processes cannot be killed before
	renewed     time.Time // last renewal or sign
	signed      time.Time // last sign that the board saw
	lastSign    events.Time
	gaveVerdict bool
	waiters     []chan error // of Starter.Stop
}

// ending is how a run comes to its end.
type ending string

const (
	succeeds       ending = "succeeds"
	fails          ending = "says fail"
	crashes        ending = "crashes"
	exitsSilently  ending = "exits 0 silently"
	verdictCrash   ending = "crashes after its verdict"
	verdictHang    ending = "hangs after its verdict"
	rateLimited    ending = "exits 75"
	authFails      ending = "is not let in"
	overloaded     ending = "is overloaded"
	blocks         ending = "blocks"
	asksReview     ending = "asks for review"
	leavesBehind   ending = "leaves processes behind"
	superDies      ending = "dies with its supervisor"
	superDiesAlone ending = "outlives its supervisor"
	hangs          ending = "hangs"
	neverRenews    ending = "never renews"
	lies           ending = "lies"
	makesChildren  ending = "makes children"
)

var endings = []ending{
	succeeds, succeeds, succeeds, succeeds, succeeds, succeeds, succeeds, succeeds, fails, crashes, exitsSilently, verdictCrash, verdictHang, rateLimited,
	overloaded, blocks, asksReview, asksReview, leavesBehind, superDies, superDiesAlone, hangs, neverRenews, lies, lies, makesChildren, makesChildren,
}

func (t *tree) working() bool { return t.agent || t.extra > 0 }
func (t *tree) gone() bool    { return !t.super && !t.working() }

// plan decides what the run will do.
func (t *tree) plan() {
	t.will = succeeds
	if !t.s.faults {
		return
	}
	t.will = endings[t.rng.IntN(len(endings))]
	if t.rng.IntN(300) == 0 {
		t.will = authFails
	}
	t.ignoresTerm = t.rng.IntN(4) == 0
	if t.rng.IntN(25) == 0 {
		t.undead = time.Now().Add(time.Duration(t.rng.IntN(120)) * time.Minute)
	}
}

func (t *tree) after(d time.Duration, what string, f func()) {
	t.s.after(d, t.a.Run.String()+" "+what, func() {
		if !t.gone() {
			f()
		}
	})
}

// begin starts the agent.
func (t *tree) begin() {
	if !t.super || t.stopping {
		return
	}
	t.agent = true
	t.hung = t.will == neverRenews && t.rng.IntN(2) == 0
	t.s.judge.begins(t)
	t.renewal()
	if t.rng.IntN(2) == 0 && t.will != hangs {
		t.beat()
	}
	work := time.Duration(1+t.rng.IntN(40)) * 30 * time.Second
	if !t.s.faults {
		work /= 20
	}
	if t.rng.IntN(12) == 0 {
		work *= 8
		t.s.saw("long run")
	}
	t.after(work, "work", t.finish)
}

// renewal renews the term, again and again, and learns whether to stop.
func (t *tree) renewal() {
	t.after(millis(t.a.Policy.TermMS)/3, "renew", func() {
		if !t.super || t.hung || t.will == neverRenews {
			return
		}
		if g := t.s.gate; g != nil && !g.dead && !t.s.mutant.losesRenewals && t.s.log.view.Run(t.a.Run) != nil {
			g.d.Renewed(t.a.Run)
			t.renewed = time.Now()
		}
		if t.s.mutant.losesRenewals {
			t.renewed = time.Now()
		}
		if r := t.s.log.view.Run(t.a.Run); r == nil || r.Stopping {
			t.stopAgent()
		}
		t.renewal()
	})
}

func (t *tree) beat() {
	t.after(time.Duration(1+t.rng.IntN(30))*time.Minute, "beat", func() {
		if t.agent && t.super && !t.hung && !t.gaveVerdict {
			_, _ = t.do(boards.Heartbeat{Task: t.a.Run.Task, Done: 1})
			t.beat()
		}
	})
}

// sign notes a sign of life on the board. While the wall clock has been set
// back the time of the log stands still, and a sign looks like the one before.
func (t *tree) sign(at events.Time) {
	if at == t.lastSign {
		t.s.saw("sign that the board did not see")
		return
	}
	t.lastSign, t.renewed, t.signed = at, time.Now(), time.Now()
}

func (t *tree) by() boards.Principal {
	return boards.Principal{Actor: events.Actor{Kind: events.Worker, Name: t.a.Agent}, Run: t.a.Run, Fence: t.a.Fence, Role: t.a.Role}
}

func (t *tree) do(c boards.Command) (boards.Result, error) {
	return t.s.log.commit(t.s.mutant.sender(t.s, t.by()), t.s.log.newID(), c)
}

// insist sends a command until the board has answered, also when an answer is
// lost, and then goes on.
func (t *tree) insist(c boards.Command, then func(error)) {
	id := t.s.log.newID()
	var send func()
	send = func() {
		if !t.super || t.hung {
			return
		}
		_, err := t.s.log.commit(t.s.mutant.sender(t.s, t.by()), id, c)
		if errors.Is(err, errFrozen) || t.s.faults && t.rng.IntN(30) == 0 {
			if err == nil {
				t.s.saw("lost answer")
			}
			t.after(time.Duration(500+t.rng.IntN(4000))*time.Millisecond, "insist", send)
			return
		}
		then(err)
	}
	send()
}

// verdict gives one, in whatever phase the run is, and then goes on.
func (t *tree) verdict(v events.Verdict, then func()) {
	task := t.a.Run.Task
	var c boards.Command = boards.CompleteTask{Task: task, Verdict: v}
	switch {
	case t.a.Phase == events.Review && v == events.Pass:
		c = boards.ApproveTask{Task: task}
	case t.a.Phase == events.Review:
		c = boards.RequestChanges{Task: task, Reason: "again"}
	}
	t.give(c, then)
}

func (t *tree) give(c boards.Command, then func()) {
	if !t.agent {
		return
	}
	t.insist(c, func(err error) {
		if err == nil {
			t.gaveVerdict = true
		}
		then()
	})
}

// finish is the end of the agent's work.
func (t *tree) finish() {
	if !t.agent || t.stopping {
		return
	}
	t.s.saw("run that " + string(t.will))
	task := t.a.Run.Task
	end := func(o events.Outcome) func() { return func() { t.agentEnds(boards.EndRun{Outcome: o}) } }
	switch t.will {
	case succeeds:
		t.verdict(events.Pass, end(events.OutcomeCompleted))
	case fails:
		t.verdict(events.Fail, end(events.OutcomeCompleted))
	case crashes:
		end(events.OutcomeCrashed)()
	case exitsSilently:
		end(events.OutcomeNoVerdict)()
	case verdictCrash:
		t.verdict(events.Pass, end(events.OutcomeCrashed))
	case verdictHang:
		t.verdict(events.Pass, func() {
			switch t.rng.IntN(3) {
			case 0:
				t.hung = true
			case 1:
				t.after(millis(t.a.Policy.StopGraceMS), "linger", t.stopAgent)
			} // else its supervisor renews for ever
		})
	case rateLimited:
		t.agentEnds(boards.EndRun{Outcome: events.OutcomeRateLimited, RetryAfter: int64(t.rng.IntN(600_000))})
	case authFails:
		end(events.OutcomeAuthFailed)()
	case overloaded:
		end(events.OutcomeOverloaded)()
	case blocks:
		t.give(boards.BlockTask{Task: task, Kind: events.BlockKind(1 + t.rng.IntN(4)), Reason: "which?"}, end(events.OutcomeBlocked))
	case asksReview:
		if t.a.Phase == events.Review {
			t.verdict(events.Fail, end(events.OutcomeChangesRequested))
			return
		}
		t.give(boards.RequestReview{Task: task, Summary: "look"}, end(events.OutcomeReviewRequested))
	case leavesBehind:
		t.extra = 1 + t.rng.IntN(5)
		t.verdict(events.Pass, end(events.OutcomeCompleted))
	case superDies:
		t.agent = false
		t.supervisorEnds()
	case superDiesAlone:
		t.supervisorEnds()
		t.after(time.Duration(t.rng.IntN(7200))*time.Second, "orphan", func() { t.agent = false; t.settle() })
	case hangs, neverRenews: // for ever
	case lies:
		t.lie()
		t.verdict(events.Pass, end(events.OutcomeCompleted))
	case makesChildren:
		child := boards.NewTask{Title: "child", Assignee: t.a.Agent, Parents: []boards.Parent{{Task: task}}}
		t.insist(boards.CreateTasks{Tasks: []boards.NewTask{child}}, func(error) { t.verdict(events.Pass, end(events.OutcomeCompleted)) })
	}
}

// lie speaks for runs that are not this one.
func (t *tree) lie() {
	forged := []boards.Principal{t.by(), t.by(), t.by()}
	forged[0].Fence--
	forged[1].Run.N++
	forged[2].Run.Task++
	forged = append(forged, t.s.former...)
	for _, by := range forged {
		c := boards.CompleteTask{Task: by.Run.Task}
		if _, err := t.s.log.commit(t.s.mutant.sender(t.s, by), t.s.log.newID(), c); err == nil {
			t.s.fail("%v: a verdict by %v with fence %d was taken", by.Run.Task, by.Run, by.Fence)
		}
	}
	other := boards.CompleteTask{Task: t.a.Run.Task + 1}
	if _, err := t.do(other); err == nil {
		t.s.fail("%v gave a verdict for %v", t.a.Run, other.Task)
	}
}

// agentEnds lets the agent exit; the supervisor empties the sandbox and reports.
func (t *tree) agentEnds(report boards.EndRun) {
	t.agent = t.s.mutant.reportsEarly && t.agent
	t.empty(report)
}

// empty kills what is left until nothing is, then reports the end and exits.
func (t *tree) empty(report boards.EndRun) {
	if !t.super || t.hung {
		return
	}
	if time.Now().Before(t.undead) && t.working() && !t.s.mutant.reportsEarly {
		t.s.saw("process that does not die")
		t.after(time.Duration(1000+t.rng.IntN(1000))*time.Millisecond, "empty", func() { t.empty(report) })
		return
	}
	if !t.s.mutant.reportsEarly {
		t.agent, t.extra = false, 0
	}
	report.Run, report.RanMS, report.Kept = t.a.Run, time.Since(t.since).Milliseconds(), true
	t.s.former = append(t.s.former[max(0, len(t.s.former)-9):], t.by())
	t.insist(report, func(error) {
		t.after(time.Duration(t.rng.IntN(50))*time.Millisecond, "exit", func() {
			t.agent, t.extra = false, 0
			t.supervisorEnds()
		})
	})
}

// stopAgent is what a supervisor does that is told to stop: ask, wait, kill.
func (t *tree) stopAgent() {
	if t.stopping || !t.super || t.hung {
		return
	}
	t.stopping = true
	wait := time.Duration(t.rng.IntN(1000)) * time.Millisecond
	if t.ignoresTerm {
		t.s.saw("agent that ignores TERM")
		wait = millis(t.a.Policy.StopGraceMS)
	}
	t.after(wait, "stopped", func() { t.empty(boards.EndRun{Outcome: events.OutcomeKilled}) })
}

func (t *tree) supervisorEnds() {
	if t.super {
		t.super = false
		_ = t.slot.Close()
		close(t.done)
	}
	t.settle()
}

// settle answers those who wait for the tree to be gone: a little later, as
// they look from time to time, and not at the instant at which its supervisor's
// end is noticed.
func (t *tree) settle() {
	if !t.gone() || t.waiters == nil {
		return
	}
	waiters := t.waiters
	t.waiters = nil
	t.s.after(time.Duration(t.rng.IntN(250))*time.Millisecond, t.a.Run.String()+" noticed", func() {
		for _, w := range waiters {
			w <- nil
		}
	})
}

// die ends all processes at once.
func (t *tree) die() {
	t.agent, t.extra = false, 0
	t.supervisorEnds()
}
