package endpoint

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
)

// Failure is why a model did not answer. The zero value is no failure.
type Failure struct {
	Outcome events.Outcome `json:"outcome,omitzero"` // auth, credit, rate_limited, overloaded, invalid_request or budget
	Reason  string         `json:"reason,omitzero"`  // a line for people, without what the provider said
	Status  int            `json:"status,omitzero"`  // of the provider's answer; 0 = none, or in the middle of one
	Type    string         `json:"type,omitzero"`    // the error's, as the provider names it
	Reset   time.Time      `json:"reset,omitzero"`   // when it may be tried again; zero = unknown
	// Retry is how long that is from when the failure was asked for.
	Retry time.Duration `json:"-"`
}

// at fills in Retry, at least a second where there is a reset.
func (f Failure) at(now time.Time) Failure {
	if !f.Reset.IsZero() {
		f.Retry = max(f.Reset.Sub(now), time.Second)
	}
	return f
}

// Why an answer is cut off.
var (
	errBudget  = errors.New("the budget is spent")
	errIdle    = errors.New("the upstream says nothing")
	errEndless = errors.New("the upstream does not end its answer")
	errHungUp  = errors.New("the agent hung up")
)

// maxReset is the longest wait that a provider is believed.
const maxReset = 31 * 24 * time.Hour

// errorTypes are the types and codes of errors that say what kind they are,
// whatever the status. They are closed words of the three APIs.
var errorTypes = map[string]events.Outcome{
	"authentication_error": events.OutcomeAuthFailed, "permission_error": events.OutcomeAuthFailed,
	"invalid_api_key": events.OutcomeAuthFailed, "invalid_authentication": events.OutcomeAuthFailed,

	"billing_error": events.OutcomeNoCredit, "insufficient_quota": events.OutcomeNoCredit,
	"credit_balance_exhausted": events.OutcomeNoCredit, "billing_not_active": events.OutcomeNoCredit,
	"billing_hard_limit_reached": events.OutcomeNoCredit, "organization_spend_limit_exceeded": events.OutcomeNoCredit,
	"project_spend_limit_exceeded": events.OutcomeNoCredit, "organization_usage_limit_exceeded": events.OutcomeNoCredit,

	"rate_limit_error": events.OutcomeRateLimited, "rate_limit_exceeded": events.OutcomeRateLimited,
	"usage_limit_reached": events.OutcomeRateLimited,

	"overloaded_error": events.OutcomeOverloaded, "api_error": events.OutcomeOverloaded, "timeout_error": events.OutcomeOverloaded,
	"server_error": events.OutcomeOverloaded, "server_is_overloaded": events.OutcomeOverloaded, "slow_down": events.OutcomeOverloaded,
	"service_unavailable_error": events.OutcomeOverloaded,
}

var says = map[events.Outcome]string{
	events.OutcomeAuthFailed: "refuses the agent's credential", events.OutcomeNoCredit: "says that the account has no credit left",
	events.OutcomeRateLimited: "has had too many requests for now", events.OutcomeOverloaded: "is in trouble",
	events.OutcomeInvalidRequest: "refuses what it was asked",
}

// apiError is an error as the three APIs write it.
type apiError struct {
	Type     any     `json:"type"`
	Code     any     `json:"code"` // some servers give a number
	ResetsAt float64 `json:"resets_at"`
	ResetsIn float64 `json:"resets_in_seconds"`
}

// invalidTypes are those of errors in the middle of a stream, which has no
// status, that are the request's own fault.
var invalidTypes = []string{"invalid_request_error", "not_found_error", "request_too_large"}

// classify types an error of the upstream. What it says in prose alone counts
// for nothing: Anthropic answers an account without credit with 400 and
// invalid_request_error, as it does a request that makes no sense.
func (e *Endpoint) classify(status int, h http.Header, said apiError) Failure {
	f := Failure{Status: status}
	for _, word := range []any{said.Code, said.Type} { // a code says more than a type
		w, _ := word.(string)
		if o := errorTypes[w]; o != 0 && f.Outcome == 0 {
			f.Outcome, f.Type = o, w
		}
	}
	if f.Outcome == 0 {
		f.Outcome = ofStatus(status)
	}
	if kind, _ := said.Type.(string); slices.Contains(invalidTypes, kind) && (f.Outcome == events.OutcomeInvalidRequest || f.Outcome == 0 && status == 0) {
		f.Outcome, f.Type = events.OutcomeInvalidRequest, kind
	}
	if f.Outcome == 0 {
		return Failure{}
	}
	f.Reset = reset(h, said, time.Now())
	f.Reason = e.target.Hostname() + " " + says[f.Outcome]
	if status != 0 {
		f.Reason += fmt.Sprintf(" (%d)", status)
	}
	return f
}

func ofStatus(status int) events.Outcome {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return events.OutcomeAuthFailed
	case status == http.StatusPaymentRequired:
		return events.OutcomeNoCredit
	case status == http.StatusTooManyRequests:
		return events.OutcomeRateLimited
	case status >= 500, status >= 300 && status < 400, status == http.StatusRequestTimeout:
		return events.OutcomeOverloaded
	case status >= 400:
		return events.OutcomeInvalidRequest
	}
	return 0
}

// trouble is a failure of the upstream that it did not type itself.
func (e *Endpoint) trouble(what string) Failure {
	return Failure{Outcome: events.OutcomeOverloaded, Reason: e.target.Hostname() + " " + what}
}

func overBudget(b Budget) Failure {
	what := b.What
	if what == "" {
		what = "this run"
	}
	return Failure{Outcome: events.OutcomeOverBudget, Reason: "the budget of " + what + " is spent"}
}

// reset finds when a provider wants to be asked again.
func reset(h http.Header, said apiError, now time.Time) time.Time {
	after := func(d time.Duration) time.Time {
		if d <= 0 || d > maxReset {
			return time.Time{}
		}
		return now.Add(d)
	}
	seconds := func(s float64) time.Time { return after(time.Duration(min(max(s, 0), 1e8) * float64(time.Second))) }
	number := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != f {
			return 0
		}
		return f
	}
	if ms := number(h.Get("Retry-After-Ms")); ms > 0 {
		return seconds(ms / 1000)
	}
	if s := h.Get("Retry-After"); s != "" {
		if at, err := http.ParseTime(s); err == nil {
			return after(at.Sub(now))
		}
		if at := seconds(number(s)); !at.IsZero() {
			return at
		}
	}
	if said.ResetsIn > 0 {
		return seconds(said.ResetsIn)
	}
	if said.ResetsAt > 0 {
		return seconds(said.ResetsAt - float64(now.Unix()))
	}
	if s := number(h.Get("Anthropic-Ratelimit-Unified-Reset")); s > 0 {
		return seconds(s - float64(now.Unix()))
	}
	return latest(h, after, now)
}

// latest reads the resets of the single limits: of those that are used up, the
// last counts; if none says so, of all.
func latest(h http.Header, after func(time.Duration) time.Time, now time.Time) time.Time {
	var all, exhausted time.Time
	for name := range h {
		var at time.Time
		lower := strings.ToLower(name)
		switch value := h.Get(name); {
		case strings.HasPrefix(lower, "anthropic-ratelimit-") && strings.HasSuffix(lower, "-reset"):
			if t, err := time.Parse(time.RFC3339, value); err == nil {
				at = after(t.Sub(now))
			}
		case strings.HasPrefix(lower, "x-ratelimit-reset-"):
			if d, err := time.ParseDuration(value); err == nil {
				at = after(d)
			}
		}
		if at.After(all) {
			all = at
		}
		left := strings.Replace(strings.Replace(lower, "x-ratelimit-reset-", "x-ratelimit-remaining-", 1), "-reset", "-remaining", 1)
		if at.After(exhausted) && h.Get(left) == "0" {
			exhausted = at
		}
	}
	if !exhausted.IsZero() {
		return exhausted
	}
	return all
}

// refusal is an answer of our own, in place of the upstream's.
type refusal struct {
	status  int
	kind    string // as Anthropic names it
	code    string // as OpenAI names it
	message string
	again   bool // a program may try the same once more
}

func refuse(status int, kind, code, format string, v ...any) *refusal {
	return &refusal{status: status, kind: kind, code: code, message: "hermes: " + fmt.Sprintf(format, v...)}
}

// final is a refusal that programs take for the end: none of those that were
// tried waits after a 402, or asks more than a few times.
func final(format string, v ...any) *refusal {
	return refuse(http.StatusPaymentRequired, "billing_error", "insufficient_quota", format, v...)
}

// unauthorized is what the inside is told of a credential that is refused,
// instead of what the upstream says of it.
func unauthorized(status int) *refusal {
	return refuse(status, "authentication_error", "invalid_api_key", "the upstream refuses this agent's credential")
}

// write answers in the API's own form.
func (r *refusal) write(w http.ResponseWriter, api string) {
	var body any = map[string]any{"error": map[string]any{"message": r.message, "type": r.code, "code": r.code, "param": nil}}
	if api == agents.Anthropic {
		body = map[string]any{"type": "error", "error": map[string]any{"type": r.kind, "message": r.message}}
	}
	b, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		b = nil // the message is ours and can always be encoded
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Should-Retry", strconv.FormatBool(r.again))
	w.WriteHeader(r.status)
	w.Write(b)
}

// passedHeaders are those of an answer that go inside, besides what tells of
// limits.
var passedHeaders = []string{"Content-Type", "Cache-Control", "Retry-After", "Retry-After-Ms", "X-Should-Retry", "Request-Id", "X-Request-Id"}

var passedPrefixes = []string{"Anthropic-Ratelimit-", "X-Ratelimit-"}

func passed(name string) bool {
	return slices.Contains(passedHeaders, name) ||
		slices.ContainsFunc(passedPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}
