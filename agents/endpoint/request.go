package endpoint

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/agents"
)

// smallBytes is the size up to which requests need no room.
const smallBytes = 1 << 20

const (
	maxQuery = 1 << 10
	maxModel = 256
)

// sentHeaders are those of a request that go to the upstream.
var sentHeaders = []string{"Accept", "Content-Type", "User-Agent", "Anthropic-Version", "Anthropic-Beta", "Openai-Beta", "Idempotency-Key"}

// request is what an agent wants of the upstream.
type request struct {
	method, path, query string
	header              http.Header // of sentHeaders
	body                []byte
	loan                *loan // in which the body lies; nil = there is none
	known               bool  // by the run's token
	generates           bool  // a model is to answer

	// Of requests that a model answers.
	model  string
	hidden bool // the agent did not ask for the usage of the stream
}

// check looks at all of a request but its body.
func (e *Endpoint) check(r *http.Request) (*request, *refusal) {
	p := r.URL.EscapedPath()
	q := &request{method: r.Method, path: p, query: r.URL.RawQuery, header: make(http.Header), known: e.knows(r.Header)}
	switch {
	case r.URL.Host != "" || strings.ContainsAny(p, "%\\") || path.Clean(p) != p || len(q.query) > maxQuery:
		return nil, refuse(http.StatusBadRequest, "invalid_request_error", "invalid_request_error", "the address of the request is not in its plain form")
	case !q.known && r.Method != http.MethodHead:
		return nil, refuse(http.StatusUnauthorized, "authentication_error", "invalid_api_key", "this is not the token of the run")
	case !e.opts.Config.Allows(r.Method, p):
		return nil, refuse(http.StatusNotFound, "not_found_error", "not_found", "%.8s %.200s is not among the requests that this agent may make", r.Method, p)
	case !slices.Contains([]string{"", "identity"}, r.Header.Get("Content-Encoding")):
		return nil, refuse(http.StatusUnsupportedMediaType, "invalid_request_error", "invalid_request_error", "requests are not to be compressed")
	}
	q.generates = r.Method == http.MethodPost && !strings.HasSuffix(p, "/count_tokens") && !strings.HasSuffix(p, "/input_tokens")
	for _, name := range sentHeaders {
		if v := r.Header.Values(name); len(v) > 0 {
			q.header[name] = v
		}
	}
	if q.header.Get("User-Agent") == "" {
		q.header["User-Agent"] = nil // none, instead of net/http's
	}
	q.header.Set("Accept-Encoding", "identity")
	return q, nil
}

// knows reports whether a request shows the run's token.
func (e *Endpoint) knows(h http.Header) bool {
	bearer, _ := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	ok := 0
	for _, shown := range []string{h.Get("X-Api-Key"), bearer} {
		sum := sha256.Sum256([]byte(shown))
		ok |= subtle.ConstantTimeCompare(sum[:], e.token[:])
	}
	return ok == 1
}

// read takes a request's body. leave gives the room up that it takes.
func (e *Endpoint) read(w http.ResponseWriter, r *http.Request, q *request) (leave func(), no *refusal) {
	leave = func() {}
	if r.ContentLength == 0 {
		return leave, q.inspect(e.opts.Config.Kind)
	}
	if r.ContentLength > e.opts.MaxRequestBytes {
		return leave, tooLarge(e.opts.MaxRequestBytes)
	}
	if r.ContentLength < 0 || r.ContentLength > smallBytes {
		select {
		case e.room <- struct{}{}:
			leave = func() { <-e.room }
		case <-r.Context().Done():
			return leave, badRequest("it was given up")
		}
	}
	q.loan = borrow()
	give := leave
	leave = func() { give(); q.loan.done() }
	b := &q.loan.Buffer
	b.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead)
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, e.opts.MaxRequestBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return leave, tooLarge(e.opts.MaxRequestBytes)
	} else if err != nil {
		return leave, badRequest("it does not end")
	}
	q.body = b.Bytes()
	return leave, q.inspect(e.opts.Config.Kind)
}

func tooLarge(most int64) *refusal {
	return refuse(http.StatusRequestEntityTooLarge, "request_too_large", "request_too_large", "a request has at most %d bytes", most)
}

func badRequest(what string) *refusal {
	return refuse(http.StatusBadRequest, "invalid_request_error", "invalid_request_error", "the request cannot be sent on: %s", what)
}

// inspect finds the model in a request that one answers, and has the usage of
// a stream sent. A member that counts may be there once only: which of two the
// upstream believes is not known.
func (q *request) inspect(api string) *refusal {
	if !q.generates {
		return nil
	}
	q.model = ""
	var streams bool
	var options []byte
	var at, start int // where the options are, or where they can be put
	dec := jsontext.NewDecoder(bytes.NewBuffer(q.body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return badRequest("it is not a JSON object")
	}
	start = int(dec.InputOffset())
	seen := make(map[string]bool)
	for dec.PeekKind() != '}' {
		t, err := dec.ReadToken()
		if err != nil || t.Kind() != '"' {
			return badRequest("it is not a JSON object")
		}
		name := t.String()
		value, err := dec.ReadValue()
		if err != nil {
			return badRequest("it is not a JSON object")
		}
		switch name {
		case "model", "stream", "stream_options", "background":
			if seen[name] {
				return badRequest(name + " is given twice")
			}
			seen[name] = true
		}
		switch name {
		case "model":
			if value.Kind() != '"' || json.Unmarshal(value, &q.model) != nil {
				return badRequest("its model is not a text")
			}
		case "stream":
			streams = value.Kind() == 't'
		case "stream_options":
			options, at = bytes.Clone(value), int(dec.InputOffset())-len(value)
		case "background":
			if value.Kind() == 't' {
				return badRequest("what is answered in the background cannot be counted")
			}
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return badRequest("it is not a JSON object")
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return badRequest("something stands behind the JSON object")
	}
	if q.model == "" || len(q.model) > maxModel || strings.ContainsFunc(q.model, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return badRequest("it names no model") // and the name is shown to people
	}
	if api == agents.OpenAIChat && streams {
		return q.wantUsage(options, at, start)
	}
	return nil
}

// wantUsage has the usage of a stream of Chat Completions sent. The rest of
// the request stays as it is, byte for byte.
func (q *request) wantUsage(options []byte, at, start int) *refusal {
	all := make(map[string]jsontext.Value)
	if options != nil && json.Unmarshal(options, &all) != nil {
		return badRequest("its stream_options are not an object")
	}
	if string(all["include_usage"]) == "true" {
		return nil
	}
	q.hidden = true
	if options == nil {
		q.body = slices.Insert(q.body, start, []byte(`"stream_options":{"include_usage":true},`)...)
		return nil
	}
	if all == nil { // they were null
		all = make(map[string]jsontext.Value)
	}
	all["include_usage"] = jsontext.Value("true")
	with, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		return badRequest("its stream_options are not an object")
	}
	q.body = slices.Replace(q.body, at, at+len(options), with...)
	return nil
}
