package endpoint

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
)

const (
	chunkBytes = 64 << 10
	maxWhole   = 8 << 20  // of an answer that is no stream, to be looked at
	maxError   = 64 << 10 // of what an upstream says of a failure
)

// longWait is for how long a program may wait by itself for a limit to pass.
// Some wait for hours, if they are told to.
const longWait = time.Minute

var chunks = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// head passes on what the inside may know of an answer's headers.
func (e *Endpoint) head(w http.ResponseWriter, res *http.Response) http.Header {
	h := w.Header()
	for name, values := range res.Header {
		if passed(name) {
			for _, v := range values {
				h.Add(name, e.scrubbed(v))
			}
		}
	}
	return h
}

// failed passes on that the upstream refuses.
func (e *Endpoint) failed(ctx context.Context, w http.ResponseWriter, a *answer, res *http.Response) *refusal {
	b, err := io.ReadAll(io.LimitReader(res.Body, maxError+1))
	if err != nil {
		return e.lost(ctx, a, err)
	}
	var m message
	json.Unmarshal(b, &m, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) // an upstream may say what it likes
	var said apiError
	if m.Error != nil {
		said = *m.Error
	}
	f := e.classify(res.StatusCode, res.Header, said)
	e.fail(a, f)
	switch {
	case res.StatusCode < 400:
		return refuse(http.StatusBadGateway, "api_error", "server_error", "the upstream wants to be asked elsewhere")
	case f.Outcome == events.OutcomeAuthFailed:
		return unauthorized(res.StatusCode)
	case f.Outcome == events.OutcomeNoCredit:
		return final("%s", f.Reason)
	case time.Until(f.Reset) > longWait:
		return final("%s takes nothing from this account until %s", e.target.Hostname(), f.Reset.UTC().Format(time.RFC3339)) // some repeat what has the words rate or too many
	case len(b) > maxError:
		return refuse(res.StatusCode, "api_error", "server_error", "the upstream refuses, and says too much")
	}
	h := e.head(w, res)
	b = e.scrubber().next(b, true)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(res.StatusCode)
	w.Write(b)
	return nil
}

// stream passes a stream on as it comes. One that does not come to its end is
// broken off inside as well.
func (e *Endpoint) stream(ctx context.Context, cancel context.CancelCauseFunc, w http.ResponseWriter, a *answer, res *http.Response) {
	e.head(w, res)
	w.WriteHeader(res.StatusCode)
	out := e.outlet(ctx, cancel, w)
	defer out.stop()
	err := out.flush()
	if err == nil {
		err = out.copy(res.Body, func(b []byte) []byte {
			b = a.next(b)
			e.charge(a) // before the agent can go on from it
			return b
		})
	}
	e.finish(out, a, err)
}

// finish ends an answer that was passed on in pieces.
func (e *Endpoint) finish(out *outlet, a *answer, err error) {
	if err == nil && !a.ended {
		err = context.Cause(out.ctx) // an upstream may end well when it is hung up on
	}
	if err == nil {
		err = out.write(a.rest(), true)
		e.settle(a, a.failure == nil)
		e.judge(a)
	}
	if err != nil {
		e.lost(out.ctx, a, err)
		panic(http.ErrAbortHandler)
	}
}

// judge takes a lesson from a stream, or an answer, that is over.
func (e *Endpoint) judge(a *answer) {
	switch {
	case !a.counts:
	case a.failure != nil:
		e.fail(a, e.classify(0, nil, *a.failure))
	case a.broken:
		e.fail(a, e.trouble("answers with something else than its API has"))
	case !a.ended && !(a.api == agents.OpenAIChat && a.whole):
		e.fail(a, e.trouble("ends its answer before the end"))
	default:
		e.books.failed(Failure{})
	}
}

// wholly passes on an answer that is no stream.
func (e *Endpoint) wholly(ctx context.Context, cancel context.CancelCauseFunc, w http.ResponseWriter, q *request, a *answer, res *http.Response) *refusal {
	b, err := io.ReadAll(io.LimitReader(res.Body, maxWhole+1))
	if err != nil {
		return e.lost(ctx, a, err)
	}
	if len(b) > maxWhole {
		e.long(ctx, cancel, w, a, res, b)
		return nil
	}
	if a.counts {
		a.read(b)
		a.ended, a.words = true, int64(len(b))/4
	}
	e.settle(a, a.failure == nil)
	e.judge(a)
	if err := context.Cause(ctx); err != nil {
		return e.lost(ctx, a, err)
	}
	h := e.head(w, res)
	b = e.scrubber().next(b, true)
	if q.method != http.MethodHead {
		h.Set("Content-Length", strconv.Itoa(len(b)))
	}
	w.WriteHeader(res.StatusCode)
	w.Write(b)
	return nil
}

// long passes on an answer that is too long to be looked at, of which b was
// read.
func (e *Endpoint) long(ctx context.Context, cancel context.CancelCauseFunc, w http.ResponseWriter, a *answer, res *http.Response, b []byte) {
	e.head(w, res)
	w.WriteHeader(res.StatusCode)
	out := e.outlet(ctx, cancel, w)
	defer out.stop()
	n := int64(0)
	err := out.copy(io.MultiReader(bytes.NewReader(b), res.Body), func(b []byte) []byte {
		n += int64(len(b))
		a.words = n / 4
		return b
	})
	a.ended = err == nil && ctx.Err() == nil
	e.finish(out, a, err)
}

// outlet is where an answer goes inside, piece by piece, as long as ctx lasts.
type outlet struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	w      http.ResponseWriter
	rc     *http.ResponseController
	scrub  *scrubber
	stop   func() bool
}

func (e *Endpoint) outlet(ctx context.Context, cancel context.CancelCauseFunc, w http.ResponseWriter) *outlet {
	o := &outlet{ctx: ctx, cancel: cancel, w: w, rc: http.NewResponseController(w), scrub: e.scrubber()}
	o.stop = context.AfterFunc(ctx, func() { o.rc.SetWriteDeadline(time.Unix(1, 0)) }) // an agent that does not read holds nobody up
	return o
}

// write passes on a piece, at once; with last, all that is left.
func (o *outlet) write(b []byte, last bool) error {
	b = o.scrub.next(b, last)
	if err := context.Cause(o.ctx); err != nil {
		return err
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := o.w.Write(b); err != nil {
		return errHungUp
	}
	return o.flush()
}

func (o *outlet) flush() error {
	if o.rc.Flush() != nil {
		return errHungUp
	}
	return nil
}
