package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"unicode"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// handler is a Server that serves.
type handler struct {
	*Server
	uid      int           // the only uid let in, besides 0
	stopping chan struct{} // closed by Serve when event streams are to end
	running  sync.WaitGroup
}

type doorKind int

const (
	noDoor    doorKind = iota // says nothing about a board
	boardDoor                 // for the operator's programs, which name their principal
	runDoor                   // for a run's supervisor, which shows the run's token
)

type route struct {
	method string
	door   doorKind
	serve  func(*call) (any, error)
}

// routes is every call there is; openapi.yaml says the same.
var routes = map[string]route{
	"/v1/hello":           {http.MethodGet, noDoor, (*call).hello},
	"/v1/do":              {http.MethodPost, boardDoor, (*call).do},
	"/v1/events":          {http.MethodGet, boardDoor, (*call).events},
	"/v1/query/info":      {http.MethodPost, boardDoor, (*call).info},
	"/v1/query/list":      {http.MethodPost, boardDoor, (*call).list},
	"/v1/query/show":      {http.MethodPost, boardDoor, (*call).show},
	"/v1/query/why":       {http.MethodPost, boardDoor, (*call).why},
	"/v1/query/inbox":     {http.MethodPost, boardDoor, (*call).inbox},
	"/v1/query/stats":     {http.MethodPost, boardDoor, (*call).stats},
	"/v1/query/read":      {http.MethodPost, boardDoor, (*call).readEntries},
	"/v1/query/read_task": {http.MethodPost, boardDoor, (*call).readTask},
	"/v1/query/policy":    {http.MethodPost, boardDoor, (*call).policy},
	"/v1/run/do":          {http.MethodPost, runDoor, (*call).runDo},
	"/v1/run/show":        {http.MethodPost, runDoor, (*call).runShow},
	"/v1/run/list":        {http.MethodPost, runDoor, (*call).runList},
	"/v1/run/renew":       {http.MethodPost, runDoor, (*call).runRenew},
}

// open checks that the caller stands before the right door. A run's token
// opens its own door only.
func (c *call) open(d doorKind) error {
	authorization := c.r.Header.Get("Authorization")
	token, isRun := strings.CutPrefix(authorization, "Run ")
	switch {
	case d == noDoor:
		return nil
	case d == boardDoor && authorization == "":
		return nil
	case d == runDoor && isRun && c.h.Doors != nil:
		door, err := c.h.Doors(token)
		c.door = door
		return err
	}
	return &Error{Code: CodeForbidden, Message: "this door does not let that through"}
}

func (c *call) hello() (any, error) { return c.h.helloBytes(), nil }

func (c *call) do() (any, error) {
	var q doRequest
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
	return c.h.Board.Do(c.r.Context(), by, q.ID, command)
}

// principal takes a caller's word for whom it acts, within what this door
// allows, and adds what the kernel says about the caller.
func (c *call) principal(a *actor) (boards.Principal, error) {
	if a == nil || a.Kind != events.Human && a.Kind != events.Gateway {
		return boards.Principal{}, &Error{Code: CodeForbidden, Message: "this door is for people and gateways"}
	}
	for _, s := range []string{a.Name, a.Via} {
		if len(s) > 200 || strings.ContainsFunc(s, unicode.IsControl) {
			return boards.Principal{}, &Error{Code: CodeBadRequest, Message: "a principal's name is too long or has control characters"}
		}
	}
	return boards.Principal{Actor: events.Actor{Kind: a.Kind, Name: a.Name, Via: c.peer.note(a.Via)}}, nil
}

func (c *call) command(q doRequest) (boards.Command, error) {
	if q.ID.IsZero() {
		return nil, &Error{Code: CodeBadRequest, Message: "a command needs an id"}
	}
	data := q.Data
	if len(data) == 0 {
		data = []byte("{}")
	}
	command, err := boards.DecodeCommand(q.Command, data)
	if errors.Is(err, &boards.Rejection{Code: boards.CodeUnknownCommand}) {
		if v := c.r.Header.Get(VersionHeader); v != "" && v != c.h.Version {
			return nil, tooOld("the command " + q.Command)
		}
	}
	return command, err
}

func (c *call) info() (any, error) { return c.h.Board.Info(c.r.Context()) }

func (c *call) inbox() (any, error) { return c.h.Board.Inbox(c.r.Context()) }

func (c *call) stats() (any, error) { return c.h.Board.Stats(c.r.Context()) }

func (c *call) policy() (any, error) {
	p, seq, err := c.h.Board.Policy(c.r.Context())
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
	entries, err := c.h.Board.Read(c.r.Context(), q.From, q.Limit)
	return appendEntries(entries), err
}

func (c *call) readTask() (any, error) {
	var q readRequest
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	entries, err := c.h.Board.ReadTask(c.r.Context(), q.Task, q.From, q.Limit)
	return appendEntries(entries), err
}

func (c *call) runDo() (any, error) {
	var q doRequest
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	command, err := c.command(q)
	if err != nil {
		return nil, err
	}
	return c.door.Do(c.r.Context(), q.ID, command)
}

func (c *call) runShow() (any, error) { return aboutTask(c, c.door.Show) }

func (c *call) runList() (any, error) { return query(c, c.door.List) }

func (c *call) runRenew() (any, error) { return c.door.Renew(c.r.Context()) }

func aboutTask[T any](c *call, ask func(context.Context, events.TaskID) (T, error)) (any, error) {
	var q taskRequest
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	return ask(c.r.Context(), q.Task)
}

func query(c *call, ask func(context.Context, projections.ListQuery) ([]projections.Card, error)) (any, error) {
	var q projections.ListQuery
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	return ask(c.r.Context(), q)
}
