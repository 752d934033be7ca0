package supervise

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/agents/endpoint"
	"github.com/hermesboard/hermes/agents/runtime"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
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

// budgetsOf is what a run may spend: its own budget, what is left of its
// task's, and what was left of the purses that it shares when it was claimed.
func (r *run) budgetsOf(d projections.Detail) (all []endpoint.Budget) {
	a := r.spec.Assignment
	var spent projections.Amount
	for _, earlier := range d.Runs {
		if c := earlier.Usage.Currency; c == "" || c == a.Policy.Currency {
			spent.Micros += earlier.Usage.CostMicros
		}
		spent.Tokens += earlier.Usage.TokensIn + earlier.Usage.TokensOut
	}
	add := func(money, tokens int64, spent projections.Amount, what string) {
		b := endpoint.Budget{What: what}
		if money > 0 {
			b.CostMicros = max(money-spent.Micros, 1)
		}
		if tokens > 0 {
			b.Tokens = max(tokens-spent.Tokens, 1)
		}
		if b.CostMicros != 0 || b.Tokens != 0 {
			all = append(all, b)
		}
	}
	p := &a.Policy
	add(p.Budget.Run, p.TokenBudget.Run, projections.Amount{}, "a run")
	add(p.Budget.Task, p.TokenBudget.Task, spent, "what is left for the task")
	for _, purse := range a.Purses {
		add(purse.Micros, purse.Tokens, projections.Amount{}, purse.What)
	}
	return all
}

// spendEvery is how often a run's spending is looked at.
const spendEvery = time.Second

// spend tells when a budget of the run is used up and it does not end by
// itself: a model's last answer may hold its verdict, and there is no further
// one. At four fifths of a budget the agent gets a notice. It returns when ctx
// ends.
func (r *run) spend(ctx context.Context, over chan<- end) {
	if len(r.budgets) == 0 {
		return
	}
	look := time.NewTicker(spendEvery)
	defer look.Stop()
	grace := time.Duration(r.spec.Assignment.Policy.StopGraceMS) * time.Millisecond
	var since time.Time // when a budget was found spent
	for warned := false; ; {
		share, words := r.fullest()
		switch {
		case share >= 100 && since.IsZero():
			since = time.Now()
		case share >= 100 && time.Since(since) >= grace:
			over <- end{outcome: events.OutcomeOverBudget, reason: "it has cost " + words}
			return
		case share >= 80 && share < 100 && !warned:
			warned = true
			r.server.Tell(worker.Notice{What: "budget", Text: words + " is spent; at its end this run is stopped"})
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// fullest is how much is spent, in parts of a hundred, of the budget of which
// most is, and that in words.
func (r *run) fullest() (share int64, words string) {
	u := r.meter.Spent()
	look := func(spent, most int64, what string, say func(int64) string) {
		if most <= 0 {
			return
		}
		of := int64(100)
		if spent < most {
			of = spent / (most/100 + 1)
			if most < 1<<50 {
				of = spent * 100 / most
			}
		}
		if of > share || words == "" {
			share, words = of, fmt.Sprintf("%s of %s for %s", say(spent), say(most), what)
		}
	}
	for _, b := range r.budgets {
		look(u.CostMicros, b.CostMicros, b.What, func(n int64) string { return projections.Money(n, r.spec.Assignment.Policy.Currency) })
		look(u.TokensIn+u.TokensOut, b.Tokens, b.What, func(n int64) string { return fmt.Sprintf("%d tokens", n) })
	}
	return share, words
}

// usage is what the run consumed. Where the endpoint knows no price, the
// reckoning of the agent's program is better than none.
func (r *run) usage() events.Usage {
	u := r.meter.Spent()
	if r.stream == nil {
		return u
	}
	sum := r.stream.End()
	u.Model = cmp.Or(u.Model, sum.Model)
	if u.CostMicros == 0 && sum.Cost > 0 && r.spec.Assignment.Policy.Currency == "USD" {
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
