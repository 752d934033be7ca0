package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

type doorKind int

const (
	noDoor    doorKind = iota // says nothing about a board
	boardDoor                 // for the operator's programs, which name their principal
	runDoor                   // for a run's supervisor, which shows the run's token
)

type route struct {
	method  string
	door    doorKind
	serve   func(*call) (any, error)
	streams bool // it may write the answer itself
}

// routes is every call there is; openapi.yaml says the same.
var routes = map[string]route{
	"/v1/hello":           {method: http.MethodGet, door: noDoor, serve: (*call).hello},
	"/v1/do":              {method: http.MethodPost, door: boardDoor, serve: (*call).do},
	"/v1/events":          {method: http.MethodGet, door: boardDoor, serve: (*call).events, streams: true},
	"/v1/query/info":      {method: http.MethodPost, door: boardDoor, serve: (*call).info},
	"/v1/query/list":      {method: http.MethodPost, door: boardDoor, serve: (*call).list},
	"/v1/query/show":      {method: http.MethodPost, door: boardDoor, serve: (*call).show},
	"/v1/query/why":       {method: http.MethodPost, door: boardDoor, serve: (*call).why},
	"/v1/query/inbox":     {method: http.MethodPost, door: boardDoor, serve: (*call).inbox},
	"/v1/query/stats":     {method: http.MethodPost, door: boardDoor, serve: (*call).stats},
	"/v1/query/read":      {method: http.MethodPost, door: boardDoor, serve: (*call).readEntries},
	"/v1/query/read_task": {method: http.MethodPost, door: boardDoor, serve: (*call).readTask},
	"/v1/query/policy":    {method: http.MethodPost, door: boardDoor, serve: (*call).policy},
	"/v1/query/notices":   {method: http.MethodPost, door: boardDoor, serve: (*call).notices},
	"/v1/query/sent":      {method: http.MethodPost, door: boardDoor, serve: (*call).sent},
	"/v1/query/offset":    {method: http.MethodPost, door: boardDoor, serve: (*call).offset},
	"/v1/offset":          {method: http.MethodPost, door: boardDoor, serve: (*call).saveOffset},
	"/v1/run/do":          {method: http.MethodPost, door: runDoor, serve: (*call).runDo},
	"/v1/run/show":        {method: http.MethodPost, door: runDoor, serve: (*call).runShow},
	"/v1/run/list":        {method: http.MethodPost, door: runDoor, serve: (*call).runList},
	"/v1/run/renew":       {method: http.MethodPost, door: runDoor, serve: (*call).runRenew},
}

func (c *call) hello() (any, error) { return c.h.helloBytes(), nil }

func (c *call) do() (any, error) {
	var q doRequest[jsontext.Value]
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	by, err := c.principal(q.By)
	if err != nil {
		return nil, err
	}
	command, err := c.command(q)
	if err != nil {
		return nil, err
	}
	return c.h.Board.Do(c.ctx, by, q.ID, command)
}

// principal takes a caller's word for whom it acts, within what this door
// allows, and adds what the kernel says about the caller. The operator of
// another account is taken for that, whatever it says.
func (c *call) principal(a actor) (boards.Principal, error) {
	if c.peer.operator {
		a.Kind, a.Name = events.Human, fmt.Sprintf("operator:%d", c.peer.UID)
	}
	if a.Kind != events.Human && a.Kind != events.Gateway {
		return boards.Principal{}, &Error{Code: CodeForbidden, Message: "this door is for people and gateways"}
	}
	for _, s := range []string{a.Name, a.Via} {
		if len(s) > 200 || strings.ContainsFunc(s, unicode.IsControl) {
			return boards.Principal{}, &Error{Code: CodeBadRequest, Message: "a principal's name is too long or has control characters"}
		}
	}
	return boards.Principal{Actor: events.Actor{Kind: a.Kind, Name: a.Name, Via: c.peer.note(a.Via)}}, nil
}

func (c *call) command(q doRequest[jsontext.Value]) (boards.Command, error) {
	if q.ID.IsZero() {
		return nil, &Error{Code: CodeBadRequest, Message: "a command needs an id"}
	}
	data := q.Data
	if len(data) == 0 {
		data = []byte("{}")
	}
	command, err := boards.DecodeCommand(q.Command, data)
	if errors.Is(err, &boards.Rejection{Code: boards.CodeUnknownCommand}) {
		if c.newer() {
			return nil, tooOld("the command " + q.Command)
		}
	}
	return command, err
}

func (c *call) info() (any, error) { return c.h.Board.Info(c.ctx) }

func (c *call) inbox() (any, error) { return c.h.Board.Inbox(c.ctx) }

func (c *call) stats() (any, error) { return c.h.Board.Stats(c.ctx) }

func (c *call) policy() (any, error) {
	p, seq, err := c.h.Board.Policy(c.ctx)
	return policyResponse{p, seq}, err
}

func (c *call) list() (any, error) { return query(c, c.h.Board.List) }

func (c *call) show() (any, error) { return aboutTask(c, c.h.Board.Show) }

func (c *call) why() (any, error) { return aboutTask(c, c.h.Board.Why) }

func (c *call) readEntries() (any, error) {
	var q readRequest
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	entries, err := c.h.Board.Read(c.ctx, q.From, q.Limit)
	return appendEntries(entries), err
}

func (c *call) readTask() (any, error) {
	var q readRequest
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	entries, err := c.h.Board.ReadTask(c.ctx, q.Task, q.From, q.Limit)
	return appendEntries(entries), err
}

func (c *call) runDo() (any, error) {
	var q doRequest[jsontext.Value]
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	command, err := c.command(q)
	if err != nil {
		return nil, err
	}
	return c.door.Do(c.ctx, q.ID, command)
}

func (c *call) runShow() (any, error) { return aboutTask(c, c.door.Show) }

func (c *call) runList() (any, error) { return query(c, c.door.List) }

func (c *call) runRenew() (any, error) { return c.door.Renew(c.ctx) }

func aboutTask[T any](c *call, ask func(context.Context, events.TaskID) (T, error)) (any, error) {
	var q taskRequest
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	return ask(c.ctx, q.Task)
}

func query(c *call, ask func(context.Context, projections.ListQuery) ([]projections.Card, error)) (any, error) {
	var q projections.ListQuery
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	return ask(c.ctx, q)
}
