package runtime

import "github.com/hermesboard/hermes/events"

// Class is why an attempt failed, as its program says.
type Class string

// The classes. Other is a failure that the program reported without one of
// ours: it counts as any failure does.
const (
	Auth         Class = "auth"            // the key is missing, wrong or not allowed
	Credit       Class = "credit"          // the account has nothing left
	RateLimited  Class = "rate_limited"    // too many calls for now
	Overloaded   Class = "overloaded"      // the provider's trouble
	Invalid      Class = "invalid_request" // the model refused what it was asked
	Budget       Class = "budget"          // the program stopped at its own limit of money
	MaxTurns     Class = "max_turns"       // the program stopped at its limit of answers
	ToolsMissing Class = "tools_missing"   // it ran without the tools of its board
	Other        Class = "other"
)

// Outcome is how an attempt of this class ends that gave no verdict; false if
// that depends on more than the class: MaxTurns and Other.
func (c Class) Outcome() (events.Outcome, bool) {
	switch c {
	case Auth:
		return events.OutcomeAuthFailed, true
	case Credit:
		return events.OutcomeNoCredit, true
	case RateLimited:
		return events.OutcomeRateLimited, true
	case Overloaded:
		return events.OutcomeOverloaded, true
	case Invalid:
		return events.OutcomeInvalidRequest, true
	case Budget:
		return events.OutcomeOverBudget, true
	case ToolsMissing:
		return events.OutcomeToolsMissing, true
	}
	return 0, false
}

// ofStatus is the class of an answer of a model's API, by its HTTP status.
func ofStatus(status int) Class {
	switch {
	case status == 401, status == 403:
		return Auth
	case status == 402:
		return Credit
	case status == 429:
		return RateLimited
	case status >= 500:
		return Overloaded
	case status >= 400:
		return Invalid
	}
	return ""
}
