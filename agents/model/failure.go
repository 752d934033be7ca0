package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents/runtime"
)

// Failure is why a model could not be asked.
type Failure struct {
	Class  runtime.Class
	Detail string        // a line for people
	Retry  time.Duration // after which it may go through; 0 = unknown

	again bool // worth another try
}

// Error returns the detail.
func (f *Failure) Error() string { return f.Detail }

// classOf is the class of an error by the name that an API gives it; empty if
// it says nothing. It says more than a status: an account without credit
// answers 429, too.
func classOf(name string) runtime.Class {
	switch name {
	case "authentication_error", "permission_error", "invalid_api_key":
		return runtime.Auth
	case "billing_error", "insufficient_quota", "billing_not_active", "billing_hard_limit_reached", "credit_balance_exhausted":
		return runtime.Credit
	case "rate_limit_error", "rate_limit_exceeded":
		return runtime.RateLimited
	case "overloaded_error", "api_error", "server_error", "timeout_error":
		return runtime.Overloaded
	}
	return ""
}

// apiError is an error in the form of any of the APIs, also in a stream.
type apiError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    any    `json:"code"` // a text or a number
}

func (e *apiError) class(status int) runtime.Class {
	code, _ := e.Code.(string)
	for _, name := range []string{code, e.Type} {
		if c := classOf(name); c != "" {
			return c
		}
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return runtime.Auth
	case status == http.StatusPaymentRequired:
		return runtime.Credit
	case status == http.StatusTooManyRequests:
		return runtime.RateLimited
	case status >= 500:
		return runtime.Overloaded
	case status >= 400, e.Type == "invalid_request_error", e.Type == "not_found_error", e.Type == "request_too_large":
		return runtime.Invalid
	}
	return runtime.Other
}

// refusal makes a failure of an answer that is none.
func refusal(status int, h http.Header, body []byte) *Failure {
	var in struct {
		Error apiError `json:"error"`
	}
	_ = json.Unmarshal(body, &in) // else the status says enough
	f := &Failure{Class: in.Error.class(status), Detail: fmt.Sprintf("the model answered %d: %s", status, oneLine(in.Error.Message, 300)), Retry: retryAfter(h)}
	f.again = (f.Class == runtime.RateLimited || f.Class == runtime.Overloaded || status == http.StatusRequestTimeout) && h.Get("X-Should-Retry") != "false"
	return f
}

// inStream makes a failure of an error that comes where an answer had begun.
func (e *apiError) inStream() *Failure {
	if e == nil {
		e = &apiError{}
	}
	f := &Failure{Class: e.class(0), Detail: "the model broke off: " + oneLine(e.Message, 300)}
	f.again = f.Class == runtime.RateLimited || f.Class == runtime.Overloaded
	return f
}

// broken is a connection or a stream that ended in the middle.
func broken(err error) *Failure {
	return &Failure{Class: runtime.Overloaded, Detail: oneLine("no answer of the model: "+err.Error(), 300), again: true}
}

// nonsense is an answer that cannot be understood.
func nonsense(format string, v ...any) *Failure {
	return &Failure{Class: runtime.Other, Detail: oneLine(fmt.Sprintf(format, v...), 300)}
}

// senseless is an answer of something that does not speak the API: to ask again
// would cost the same and bring the same.
func senseless(format string, v ...any) *Failure {
	return &Failure{Class: runtime.Overloaded, Detail: oneLine("no answer of the model: "+fmt.Sprintf(format, v...), 300)}
}

// maxRetryAfter bounds what is believed of a provider's word.
const maxRetryAfter = 24 * time.Hour

func retryAfter(h http.Header) time.Duration {
	for name, unit := range map[string]time.Duration{"Retry-After-Ms": time.Millisecond, "Retry-After": time.Second} {
		if n, err := strconv.ParseFloat(h.Get(name), 64); err == nil && n > 0 {
			return min(time.Duration(min(n, 1e9)*float64(unit)), maxRetryAfter)
		}
	}
	return 0
}

// oneLine makes a text fit for a line of at most n bytes.
func oneLine(s string, n int) string {
	return cut(strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " "), n)
}

// cut shortens a text to at most n bytes of whole letters, and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
