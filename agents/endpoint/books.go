package endpoint

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
)

// Budget is a bound on what a run may spend in all. Of a field, zero is no
// bound; [Nothing] and all that is less than zero lets nothing be spent.
type Budget struct {
	CostMicros int64  // millionths of the home's currency
	Tokens     int64  // read and written ones, without what came from the provider's cache
	What       string // whose, for people: "a run", "what is left for the task"
}

// Nothing as a bound of a [Budget] says that nothing may be spent.
const Nothing = -1

// reached reports whether this much of the budget, in parts of a hundred, is spent.
func (b Budget) reached(percent int64, s spent) bool {
	of := func(bound, n int64) bool {
		return bound < 0 || bound > 0 && n >= bound/100*percent+bound%100*percent/100
	}
	return of(b.CostMicros, s.cost) || of(b.Tokens, s.bounded())
}

// Report is what a run has consumed so far, and what went wrong last.
type Report struct {
	Model      string        `json:"model,omitzero"` // that cost most
	Tokens     agents.Tokens `json:"tokens,omitzero"`
	CostMicros int64         `json:"cost_micros,omitzero"`
	Models     []ModelReport `json:"models,omitzero"` // by name
	Requests   int64         `json:"requests,omitzero"`
	Refused    int64         `json:"refused,omitzero"` // of Requests: never sent on
	Estimated  int64         `json:"estimated,omitzero"`
	Host       string        `json:"host"` // of the upstream
	BytesIn    int64         `json:"bytes_in,omitzero"`
	BytesOut   int64         `json:"bytes_out,omitzero"`
	Failure    Failure       `json:"failure,omitzero"`
}

// ModelReport is what one model has consumed.
type ModelReport struct {
	Model      string        `json:"model"`
	Tokens     agents.Tokens `json:"tokens"`
	CostMicros int64         `json:"cost_micros,omitzero"`
	Priced     bool          `json:"priced"` // there is a price for it
}

// maxModels is how many models are counted one by one: an agent can make names up.
const maxModels = 16

const otherModels = "(other)"

// spent is a sum of tokens and what they cost.
type spent struct {
	tokens agents.Tokens
	cost   int64
}

func (s spent) bounded() int64 { return s.tokens.Input + s.tokens.CacheWrite + s.tokens.Output }

func (s *spent) add(t agents.Tokens, cost int64) {
	s.tokens.Input += t.Input
	s.tokens.Output += t.Output
	s.tokens.CacheRead += t.CacheRead
	s.tokens.CacheWrite += t.CacheWrite
	s.cost += cost
}

// books are what a run has spent, and who spends at the moment.
type books struct {
	mu        sync.Mutex
	sum       spent                               // guarded by mu
	models    map[string]*ModelReport             // guarded by mu
	live      map[*answer]context.CancelCauseFunc // guarded by mu
	crossed   *answer                             // with which a budget was spent; guarded by mu
	estimated int64                               // guarded by mu
	warned    bool                                // guarded by mu
	row       int                                 // of failures; guarded by mu
	failure   Failure                             // guarded by mu
}

// patience is how many failures in a row, of whatever kind, end a run: some
// programs go on asking for ever.
const patience = 20

// admit lets an answer begin, unless a budget is spent. end is called when it
// is cut off by another.
func (b *books) admit(a *answer, budgets []Budget, end context.CancelCauseFunc) *refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if over, is := b.over(budgets); is {
		return final("%s", overBudget(over).Reason)
	}
	if b.row >= patience {
		return final("the model is not asked any more: %s", b.failure.Reason)
	}
	if b.live == nil {
		b.live = make(map[*answer]context.CancelCauseFunc)
	}
	b.live[a] = end
	return nil
}

func (b *books) done(a *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.live, a)
}

// over finds a budget that is spent. b.mu is held.
func (b *books) over(budgets []Budget) (Budget, bool) {
	i := slices.IndexFunc(budgets, func(l Budget) bool { return l.reached(100, b.sum) })
	if i < 0 {
		return Budget{}, false
	}
	return budgets[i], true
}

// charge books what an answer has consumed since it was charged last. Where a
// budget is spent then, all other answers are cut off. It returns the budget of
// which a warning is due.
func (b *books) charge(a *answer, t agents.Tokens, cost int64, budgets []Budget) (warn Budget, due bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum.add(t, cost)
	m := b.model(a.model)
	m.CostMicros, m.Priced = m.CostMicros+cost, a.priced
	sum := spent{tokens: m.Tokens}
	sum.add(t, 0)
	m.Tokens = sum.tokens
	b.cut(a, budgets)
	if b.warned {
		return Budget{}, false
	}
	i := slices.IndexFunc(budgets, func(l Budget) bool { return l.reached(80, b.sum) })
	if i < 0 {
		return Budget{}, false
	}
	b.warned = true
	return budgets[i], true
}

// cut ends all answers but the one that has crossed a budget, if one is spent.
// a was charged last. b.mu is held.
func (b *books) cut(a *answer, budgets []Budget) {
	if _, is := b.over(budgets); !is {
		b.crossed = nil
		return
	}
	if b.crossed == nil {
		b.crossed = a
	}
	for other, end := range b.live {
		if other != b.crossed {
			end(errBudget)
		}
	}
}

// model is the account of a model. b.mu is held.
func (b *books) model(name string) *ModelReport {
	if b.models == nil {
		b.models = make(map[string]*ModelReport)
	}
	if b.models[name] == nil && len(b.models) >= maxModels {
		name = otherModels
	}
	m := b.models[name]
	if m == nil {
		m = &ModelReport{Model: name}
		b.models[name] = m
	}
	return m
}

// failed keeps the last failure; the zero one takes it back.
func (b *books) failed(f Failure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure = f
	if b.row++; f.Outcome == 0 {
		b.row = 0
	}
}

// enough lets no answer begin any more.
func (b *books) enough() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.row = max(b.row, patience)
}

func (b *books) guess() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.estimated++
}

// Report is what the run has consumed up to now. A budget that is spent is its
// failure, whatever happened else.
func (e *Endpoint) Report() Report {
	budgets := e.opts.Budgets()
	b := &e.books
	b.mu.Lock()
	defer b.mu.Unlock()
	r := Report{
		Tokens: b.sum.tokens, CostMicros: b.sum.cost, Estimated: b.estimated, Failure: b.failure, Host: e.target.Hostname(),
		BytesIn: e.wire.in.Load(), BytesOut: e.wire.out.Load(),
		Requests: int64(e.wire.requests.Load()), Refused: int64(e.wire.refused.Load()),
	}
	for _, name := range slices.Sorted(maps.Keys(b.models)) {
		r.Models = append(r.Models, *b.models[name])
	}
	if len(r.Models) > 0 {
		r.Model = slices.MaxFunc(r.Models, func(a, b ModelReport) int {
			return cmp.Or(cmp.Compare(a.CostMicros, b.CostMicros), cmp.Compare(a.Tokens.Output, b.Tokens.Output))
		}).Model
	}
	if over, is := b.over(budgets); is {
		r.Failure = overBudget(over)
	}
	return r
}

// Spent is the report as a run's end has it. Tokens that went into the
// provider's cache were read by the model and count as read.
func (e *Endpoint) Spent() events.Usage {
	r := e.Report()
	return events.Usage{
		Model: r.Model, TokensIn: r.Tokens.Input + r.Tokens.CacheWrite, TokensOut: r.Tokens.Output, TokensCache: r.Tokens.CacheRead,
		CostMicros: r.CostMicros, Source: "endpoint",
	}
}

// Egress is the traffic with the upstream as a run's end has it; nil if there
// was none.
func (e *Endpoint) Egress() []events.Egress {
	r := e.Report()
	if r.Requests == 0 {
		return nil
	}
	small := func(n int64) uint32 { return uint32(min(n, math.MaxUint32)) }
	return []events.Egress{{Host: r.Host, Requests: small(r.Requests), Refused: small(r.Refused), BytesIn: r.BytesIn, BytesOut: r.BytesOut}}
}

// Failure is the last failure, or zero; see [Report].
func (e *Endpoint) Failure() Failure { return e.Report().Failure.at(time.Now()) }
