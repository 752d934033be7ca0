package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// call is one request, however it was read.
type call struct {
	h             *handler
	ctx           context.Context
	peer          peerFound
	method, path  string
	version       string // of the peer's program; empty = not said
	authorization string
	body          []byte
	door          Door    // of the run door
	stream        *stream // where an answer can be one; nil = cannot
	closing       bool    // the connection is not to be used again
	out           bytes.Buffer
}

// source is where the body of a call comes from.
type source interface{ body() ([]byte, error) }

// answer carries the call out and returns what is to be said to it, good
// until the next.
func (c *call) answer(from source) (status int, body []byte) {
	defer func() {
		if p := recover(); p != nil {
			c.h.fault(fmt.Errorf("%s: panic: %v", c.path, p))
			status, body, _ = encodeError(&Error{Code: CodeInternal, Message: "the owner could not handle this call"})
		}
	}()
	answer, err := c.run(from)
	if err == nil {
		if body, ok := answer.([]byte); ok {
			return http.StatusOK, body
		}
		c.out.Reset()
		if err = json.MarshalWrite(&c.out, answer); err == nil {
			return http.StatusOK, c.out.Bytes()
		}
	}
	status, body, fault := encodeError(err)
	if fault {
		c.h.fault(err)
	}
	return status, body
}

// run checks the door, reads the body and asks the board. What it returns is
// JSON already if it is a []byte.
func (c *call) run(from source) (any, error) {
	route, err := c.enter()
	if err == nil && route.method == http.MethodPost {
		c.body, err = from.body()
	}
	if err != nil {
		c.closing = true
		return nil, err
	}
	answer, err := route.serve(c)
	if errors.Is(err, context.Canceled) && c.ctx.Err() != nil {
		err = &Error{Code: CodeCancelled, Message: "the caller went away"}
	}
	return answer, err
}

// enter checks who is at the other end, and finds the route and its door.
func (c *call) enter() (route, error) {
	if c.peer.err != nil || !c.peer.mayEnter(c.h.uid) && !c.peer.operator {
		return route{}, &Error{Code: CodeForbidden, Message: "this socket is its owner's alone"}
	}
	route, ok := routes[c.path]
	if !ok || route.method != c.method {
		return route, c.unknown(CodeUnknownPath, fmt.Sprintf("no call %s %s", c.method, c.path))
	}
	return route, c.open(route.door)
}

// open checks that the caller stands before the right door. A run's token
// opens its own door only.
func (c *call) open(d doorKind) error {
	token, isRun := strings.CutPrefix(c.authorization, "Run ")
	switch {
	case d == noDoor:
		return nil
	case d == boardDoor && c.authorization == "":
		return nil
	case d == runDoor && isRun && c.h.Doors != nil:
		door, err := c.h.Doors(token)
		c.door = door
		return err
	}
	return &Error{Code: CodeForbidden, Message: "this door does not let that through"}
}

// newer reports whether the peer says that it is another program than this.
func (c *call) newer() bool { return c.version != "" && c.version != c.h.Version }

// unknown answers what this program does not know: a newer client is told so.
func (c *call) unknown(code, what string) error {
	if c.newer() {
		return tooOld(what)
	}
	return &Error{Code: code, Message: what}
}

func tooLarge() error {
	return &Error{Code: CodeTooLarge, Message: fmt.Sprintf("a request may have at most %d bytes", MaxRequestBytes),
		Hint: "hermes kanban attach"}
}

func cutShort() error { return &Error{Code: CodeBadRequest, Message: "the body ended early"} }

// decode reads the body into v.
func (c *call) decode(v any) error {
	if err := json.Unmarshal(c.body, v, json.RejectUnknownMembers(true)); err != nil {
		return c.unknown(CodeBadRequest, fmt.Sprintf("%s: %v", c.path, err))
	}
	return nil
}
