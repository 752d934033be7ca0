package endpoint

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// ServeHTTP answers one request of the agent.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.wire.requests.Add(1)
	q, no := e.check(r)
	if no == nil {
		var leave func()
		leave, no = e.read(w, r, q)
		defer leave()
	}
	var a *answer
	if no == nil {
		a, no = e.begin(q)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	if no == nil && q.method != http.MethodHead {
		no = e.books.admit(a, e.opts.Budgets(), cancel)
		defer e.books.done(a)
	}
	if no != nil {
		e.wire.refused.Add(1)
	} else {
		no = e.carry(ctx, w, q, a, cancel)
	}
	if no != nil {
		no.write(w, e.opts.Config.Kind)
	}
}

// begin opens the account of an answer. A model without a price is refused
// where others have one and money is bounded.
func (e *Endpoint) begin(q *request) (*answer, *refusal) {
	a := &answer{api: e.opts.Config.Kind, model: q.model, counts: q.generates, asked: int64(len(q.body)), hidden: q.hidden}
	if !q.generates {
		return a, nil
	}
	a.price, a.priced = e.opts.Config.Price(q.model)
	if !a.priced && len(e.opts.Config.Prices) > 0 && slices.ContainsFunc(e.opts.Budgets(), func(b Budget) bool { return b.CostMicros != 0 }) {
		return nil, badRequest("there is no price for the model " + strconv.Quote(q.model) + ", and money is bounded")
	}
	return a, nil
}

// carry sends a request on and its answer back. What it returns is to be
// answered instead; nothing was written then.
func (e *Endpoint) carry(ctx context.Context, w http.ResponseWriter, q *request, a *answer, cancel context.CancelCauseFunc) *refusal {
	req, err := e.outgoing(ctx, q)
	if err != nil {
		return badRequest("its address is not one of the upstream")
	}
	quiet := time.AfterFunc(e.opts.Idle, func() { cancel(errIdle) })
	defer quiet.Stop()
	long := time.AfterFunc(e.opts.Longest, func() { cancel(errEndless) })
	defer long.Stop()
	res, err := e.client.RoundTrip(req)
	if err != nil {
		return e.lost(ctx, a, err)
	}
	defer res.Body.Close()
	res.Body = &awake{res.Body, quiet, e.opts.Idle}
	switch res.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		if res.Body, err = unzip(res.Body); err != nil {
			return e.lost(ctx, a, err)
		}
	default:
		e.fail(a, e.trouble("answers in an encoding that it was not asked for"))
		return refuse(http.StatusBadGateway, "api_error", "server_error", "the upstream answers in an encoding that it was not asked for")
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode < 200 || res.StatusCode >= 300:
		return e.failed(ctx, w, a, res)
	case kind == "text/event-stream":
		e.stream(ctx, cancel, w, a, res)
		return nil
	}
	return e.wholly(ctx, cancel, w, q, a, res)
}

// outgoing is the request as the upstream sees it.
func (e *Endpoint) outgoing(ctx context.Context, q *request) (*http.Request, error) {
	to := *e.target
	to.Path, to.RawPath, to.RawQuery = strings.TrimSuffix(to.Path, "/")+q.path, "", q.query
	req, err := http.NewRequestWithContext(ctx, q.method, to.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = q.header
	if q.loan != nil {
		req.GetBody = func() (io.ReadCloser, error) { return q.loan.reader(q.body), nil }
		req.Body, req.ContentLength = q.loan.reader(q.body), int64(len(q.body))
	}
	key := e.opts.Credential.Reveal()
	switch {
	case key == "" || !q.known:
	case e.opts.Config.Kind == agents.Anthropic && !strings.HasPrefix(key, "sk-ant-oat"): // which are tokens of a login
		req.Header.Set("X-Api-Key", key)
	default:
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return req, nil
}

// awake is an answer's body that tells the clock when it says something.
type awake struct {
	io.ReadCloser
	quiet *time.Timer
	idle  time.Duration
}

func (b *awake) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.quiet.Reset(b.idle)
	}
	return n, err
}

type unzipped struct {
	io.Reader
	io.Closer
}

func unzip(body io.ReadCloser) (io.ReadCloser, error) {
	z, err := gzip.NewReader(body)
	if err != nil {
		return body, err
	}
	return unzipped{z, body}, nil
}

// lost is an answer that did not come, or not to its end.
func (e *Endpoint) lost(ctx context.Context, a *answer, err error) *refusal {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errBudget):
		e.settle(a, true)
		return final("the budget is spent")
	case errors.Is(cause, errIdle):
		e.settle(a, false)
		e.fail(a, e.trouble("says nothing for "+e.opts.Idle.String()))
		return refuse(http.StatusGatewayTimeout, "timeout_error", "server_error", "the upstream says nothing")
	case errors.Is(cause, errEndless):
		e.settle(a, true)
		e.fail(a, e.trouble("does not end its answer within "+e.opts.Longest.String()))
		e.books.enough() // the next would cost as much
		return refuse(http.StatusGatewayTimeout, "timeout_error", "server_error", "the upstream does not end its answer")
	case ctx.Err() != nil, errors.Is(err, errHungUp):
		e.settle(a, true)
		return badRequest("it was given up")
	}
	e.settle(a, false)
	e.fail(a, e.trouble("cannot be reached: "+e.scrubbed(err.Error())))
	no := refuse(http.StatusBadGateway, "api_error", "server_error", "the upstream cannot be reached")
	no.again = true
	return no
}

// fail keeps why a model did not answer. What becomes of other requests is no
// reason for how an attempt ends.
func (e *Endpoint) fail(a *answer, f Failure) {
	if a.counts && f.Outcome != 0 {
		e.books.failed(f)
	}
}

// settle books what an answer consumed, as far as that is not booked.
func (e *Endpoint) settle(a *answer, guess bool) {
	if guess && a.guess() {
		e.books.guess()
	}
	e.charge(a)
}

func (e *Endpoint) charge(a *answer) {
	if a.got == a.charged {
		return
	}
	t, cost := a.due()
	if b, due := e.books.charge(a, t, cost, e.opts.Budgets()); due {
		e.opts.Warn(b, e.Report())
	}
}

func (e *Endpoint) scrubbed(s string) string {
	if key := e.opts.Credential.Reveal(); len(key) >= minHidden {
		return strings.ReplaceAll(s, key, "***")
	}
	return s
}

func (e *Endpoint) scrubber() *scrubber {
	return &scrubber{secret: []byte(e.opts.Credential.Reveal())}
}
