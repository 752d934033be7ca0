package supervise

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/events"
)

// Meter tells what an attempt consumes and why it failed, as far as that is
// known outside its agent: by the endpoint its model is reached through, by the
// proxy its traffic goes through, or by who reads its program's output. It is
// of one attempt. Its methods are quick and safe for concurrent use, and are
// called until the end of the attempt was reported.
type Meter interface {
	// Spent is what was consumed so far. It never gets less.
	Spent() events.Usage
	// Egress is the traffic so far, by host.
	Egress() []events.Egress
	// Failure is why the attempt failed; the zero Failure if nothing is known.
	// It is asked for when the agent's processes are gone, and is nothing
	// where a verdict was given.
	Failure() Failure
}

// Failure is a typed reason why an attempt could not do its work.
type Failure struct {
	Outcome events.Outcome // auth, credit, overloaded, rate_limited, tools_missing, budget, or any other end; zero = nothing is known
	Reason  string         // a line for people; no secrets
	Retry   time.Duration  // after which it may be tried again; 0 = as the policy says
}

// nothingMetered is the meter of attempts that nobody measures.
type nothingMetered struct{}

func (nothingMetered) Spent() events.Usage     { return events.Usage{Source: "none"} }
func (nothingMetered) Egress() []events.Egress { return nil }
func (nothingMetered) Failure() Failure        { return Failure{} }

// usage is what the run consumed. Where the endpoint knows no price, the
// reckoning of the agent's program is better than none.
func (r *run) usage() events.Usage {
	u := r.meter.Spent()
	if r.stream == nil {
		return u
	}
	sum := r.stream.End()
	u.Model = cmp.Or(u.Model, sum.Model)
	answered := u.Source != "endpoint" || u.TokensIn+u.TokensOut > 0
	if u.CostMicros == 0 && sum.Cost > 0 && answered && r.spec.Assignment.Policy.Currency == "USD" {
		u.CostMicros, u.Currency, u.Source = sum.Cost, "USD", "runtime"
	}
	return u
}

// blame puts the end of an attempt down to a failure that is known better than
// from how its processes ended: by the endpoint, or else by the output of the
// agent's program. What was decided here stands.
func (r *run) blame(e end) end {
	if e.decided {
		return e
	}
	if f := r.meter.Failure(); f.Outcome != 0 {
		e.outcome, e.reason, e.retry = f.Outcome, cmp.Or(f.Reason, e.reason), max(f.Retry, 0)
		return e
	}
	if r.stream == nil {
		return e
	}
	sum := r.stream.End()
	outcome, typed := sum.Class.Outcome()
	switch {
	case typed:
		e.outcome, e.reason, e.retry = outcome, cmp.Or(sum.Detail, e.reason), max(sum.Retry, 0)
	case sum.Class == runtime.MaxTurns:
		e.outcome, e.reason = events.OutcomeNoVerdict, fmt.Sprintf("it stopped after %d answers of its model, which is its limit", sum.Turns)
	case sum.Class == runtime.Other:
		e.reason = cmp.Or(e.reason, sum.Detail)
	}
	return e
}

// remember keeps the agent's conversation for its next attempt at the task.
func (r *run) remember() {
	if r.plan == nil {
		return
	}
	id := r.plan.Conversation
	if r.stream != nil {
		id = cmp.Or(r.stream.End().Conversation, id)
	}
	c := runtime.Conversation{Kind: r.adapter.Kind(), Version: r.adapter.Version().Wanted(&r.spec.Agent), ID: id}
	if err := runtime.Remember(r.folder.state, c); err != nil {
		r.deps.Warn(fmt.Errorf("remember the conversation: %w", err))
	}
}
