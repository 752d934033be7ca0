package boards

import (
	"time"

	"github.com/hermesboard/hermes/events"
)

// streak is a count of ends in a row that make a task give up.
type streak uint8

const (
	noStreak streak = iota
	failures
	noVerdicts
	losses
	rateLimits // measured in time, not in ends
)

// wait is how long a task rests before its next attempt.
type wait uint8

const (
	noWait wait = iota
	backoff
	lostWait
	rateWait
)

// end says how the end of a run without a verdict is booked.
type end struct {
	streak streak
	wait   wait
	holds  bool // the agent is at fault: it is held, for all tasks
	goesOn bool // the next attempt of the agent continues this one
	again  bool // the next attempt would pay for the same again
}

// ends is the accounting table of the outcomes without a verdict. The limits
// and times are the policy's.
var ends = map[events.Outcome]end{
	events.OutcomeCrashed:        {streak: failures, wait: backoff, again: true},
	events.OutcomeTimedOut:       {streak: failures, wait: backoff, again: true},
	events.OutcomeStalled:        {streak: failures, wait: backoff, again: true},
	events.OutcomeSpawnFailed:    {streak: failures, wait: backoff, again: true},
	events.OutcomeSandboxFailed:  {streak: failures, wait: backoff, again: true},
	events.OutcomeNoVerdict:      {streak: noVerdicts, wait: backoff, again: true},
	events.OutcomeToolsMissing:   {holds: true},
	events.OutcomeAuthFailed:     {holds: true},
	events.OutcomeNoCredit:       {holds: true},
	events.OutcomeOverloaded:     {holds: true, goesOn: true, again: true},
	events.OutcomeOverBudget:     {goesOn: true},
	events.OutcomeRateLimited:    {streak: rateLimits, wait: rateWait, goesOn: true},
	events.OutcomeLost:           {streak: losses, wait: lostWait},
	events.OutcomeReleased:       {goesOn: true},
	events.OutcomeKilled:         {},
	events.OutcomeInvalidRequest: {goesOn: true}, // see refused
}

// refused reports whether a model refused what it was asked. Before it has
// answered anything that is the fault of its agent, or of the account, which
// providers say in prose only: the agent is held. Later on it is the task's,
// which gives up: the same would be refused again.
func refused(o events.Outcome) bool { return o == events.OutcomeInvalidRequest }

// cost reports whether an attempt has cost anything.
func cost(u *events.Usage) bool {
	return u.CostMicros > 0 || u.TokensIn > 0 || u.TokensOut > 0 || u.TokensCache > 0
}

// verdicts is the table of the outcomes that follow a verdict: whether the
// agent's next attempt at the task continues this one.
var verdicts = map[events.Outcome]bool{
	events.OutcomeCompleted:        false,
	events.OutcomeBlocked:          true,
	events.OutcomeReviewRequested:  true,
	events.OutcomeChangesRequested: true,
	events.OutcomeApproved:         false,
}

// goesOn reports whether an attempt that ended so is continued by the next one.
func goesOn(o events.Outcome) bool { return ends[o].goesOn || verdicts[o] }

// neutral reports whether an end says nothing about a rate limit met before.
func neutral(o events.Outcome) bool {
	return o == events.OutcomeReleased || o == events.OutcomeKilled || o == events.OutcomeOverBudget
}

// booking is what the end of a run comes to.
type booking struct {
	failures, noVerdicts, losses uint32
	gaveUp                       bool
	retryAt                      events.Time
}

// book counts an end without a verdict against the task's streaks.
func (s *State) book(t *task, o events.Outcome, paid bool, retryAfterMS int64, now events.Time) booking {
	p, row := &s.policy, ends[o]
	b := booking{failures: t.failures, noVerdicts: t.noVerdicts, losses: t.losses}
	var n uint32
	switch row.streak {
	case failures:
		b.failures++
		n = b.failures
		limit := p.FailureLimit
		if t.maxRetries > 0 {
			limit = t.maxRetries
		}
		b.gaveUp = n >= limit
	case noVerdicts:
		b.noVerdicts++
		n = b.noVerdicts
		b.gaveUp = n >= p.VerdictLimit
	case losses:
		b.losses++
		b.gaveUp = b.losses >= p.LostLimit
	case rateLimits:
		b.gaveUp = t.rateSince != 0 && now.Sub(t.rateSince) >= millis(p.RateLimitMax)
	}
	if paid && t.maxRetries == 0 && row.again {
		b.gaveUp = b.gaveUp || p.PaidLimit > 0 && t.paidFor(o)+1 >= p.PaidLimit
	}
	b.gaveUp = b.gaveUp || paid && refused(o)
	switch row.wait {
	case backoff:
		b.retryAt = now.Add(Backoff(p, n))
	case lostWait:
		b.retryAt = now.Add(millis(p.LostWaitMS))
	case rateWait:
		b.retryAt = now.Add(millis(named(retryAfterMS, p.RateLimitMS)))
	}
	return b
}

// paidFor returns how many attempts in a row have cost something and ended so.
// Those that cost nothing do not count.
func (t *task) paidFor(o events.Outcome) uint32 {
	if t.cause != o {
		return 0
	}
	return t.paid
}

// holdUntil returns when an agent held for an outcome may be started again;
// zero = when a person says so.
func (s *State) holdUntil(o events.Outcome, retryAfterMS int64, now events.Time) events.Time {
	switch {
	case retryAfterMS > 0:
		return now.Add(millis(named(retryAfterMS, 0)))
	case o == events.OutcomeOverloaded:
		return now.Add(millis(s.policy.BackoffMaxMS))
	}
	return 0
}

// Backoff returns the rest after the n-th failure in a row, from 1: the
// policy's BackoffMS, doubled each time, at most BackoffMaxMS.
func Backoff(p *events.Policy, n uint32) time.Duration {
	d := p.BackoffMS
	for ; n > 1 && d < p.BackoffMaxMS; n-- {
		d *= 2
	}
	return millis(min(d, p.BackoffMaxMS))
}

// named returns the wait a runtime named, within reason, or the default.
func named(ms, otherwise int64) int64 {
	if ms <= 0 {
		return otherwise
	}
	return min(ms, maxWaitMS)
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
