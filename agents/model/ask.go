package model

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
)

// question is what a model is asked: the same for every API.
type question struct {
	model    string
	system   string
	tools    []tool
	messages []message
}

// api is how one kind of model is talked to.
type api struct {
	path   string
	header func(h http.Header, token string)
	encode func(q *question) any
	reader func() reader
}

// reader takes the events of one streamed answer.
type reader interface {
	// event takes the data of one event.
	event(data []byte) error
	// end returns the answer; an error if it did not come whole.
	end() (*reply, error)
}

// apiOf finds the API of a kind of endpoint; false if it is none of ours.
func apiOf(kind string) (api, bool) {
	switch kind {
	case agents.Anthropic:
		return api{"/v1/messages", messagesHeader, encodeMessages, func() reader { return &messagesReader{} }}, true
	case agents.OpenAIChat:
		return api{"/v1/chat/completions", chatHeader, encodeChat, func() reader { return &chatReader{} }}, true
	}
	return api{}, false
}

// Bounds of what is read of an answer.
const (
	maxLine    = 8 << 20
	maxAnswer  = 64 << 20
	maxRefusal = 64 << 10
)

// client asks the model. There is no proxy and no TLS between it and the
// endpoint, which is on the sandbox's own loopback; redirects are not followed.
type client struct {
	api     api
	baseURL string
	token   string
	idle    time.Duration // in which something has to come
	http    *http.Client
}

func newClient(a api, baseURL, token string, idle time.Duration) *client {
	return &client{a, strings.TrimSuffix(baseURL, "/"), token, idle, &http.Client{
		Transport:     &http.Transport{Proxy: nil, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var errSilent = errors.New("it has been silent for too long")

// ask asks once. A model that could not be asked is a *[Failure].
func (c *client) ask(ctx context.Context, q *question) (*reply, error) {
	body, err := json.Marshal(c.api.encode(q))
	if err != nil {
		return nil, err
	}
	quiet, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(c.idle, func() { cancel(errSilent) })
	defer watch.Stop()
	req, err := http.NewRequestWithContext(quiet, http.MethodPost, c.baseURL+c.api.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	c.api.header(req.Header, c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, failure(ctx, quiet, err)
	}
	defer resp.Body.Close()
	in := &attended{http.MaxBytesReader(nil, resp.Body, maxAnswer), func() { watch.Reset(c.idle) }}
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(in, maxRefusal)) // what came is enough
		return nil, refusal(resp.StatusCode, resp.Header, b)
	}
	r := c.api.reader()
	if err := eachEvent(in, r.event); err != nil {
		return nil, failure(ctx, quiet, err)
	}
	a, err := r.end()
	if err != nil {
		return nil, failure(ctx, quiet, err)
	}
	return a, nil
}

// failure tells the end of the attempt from the silence of a model, and both
// from an answer that broke off.
func failure(ctx, quiet context.Context, err error) error {
	var f *Failure
	var large *http.MaxBytesError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &f):
		return f
	case errors.As(err, &large):
		return senseless("it has more than %d MiB", maxAnswer>>20)
	case context.Cause(quiet) == errSilent:
		return broken(errSilent)
	}
	return broken(err)
}

// attended calls alive whenever something comes.
type attended struct {
	io.Reader
	alive func()
}

func (a *attended) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.alive()
	}
	return n, err
}

// eachEvent reads server-sent events and gives the data of each.
func eachEvent(r io.Reader, each func(data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte("<")) || bytes.HasPrefix(line, []byte("{")) {
			return errNoStream
		}
		if part, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			if len(data)+len(part) > maxLine {
				return errLongEvent
			}
			data = append(append(data, bytes.TrimPrefix(part, []byte(" "))...), '\n')
			continue
		}
		if len(line) > 0 || len(data) == 0 {
			continue
		}
		if err := each(bytes.TrimSuffix(data, []byte("\n"))); err != nil {
			return err
		}
		data = data[:0]
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return errLongEvent
	} else if err != nil {
		return fmt.Errorf("the stream of the answer: %w", err)
	}
	if len(data) > 0 { // the last one may lack its empty line
		return each(bytes.TrimSuffix(data, []byte("\n")))
	}
	return nil
}

var (
	errLongEvent = senseless("an event of its answer has more than %d MiB", maxLine>>20)
	errNoStream  = senseless("what it answers is no stream of events")
)

var errCutOff = errors.New("the answer ended in the middle")

type object = map[string]any
