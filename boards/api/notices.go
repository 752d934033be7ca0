package api

import (
	"context"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Notices says who is told what happens on a board, and what was given up.
type Notices struct {
	Subscriptions []projections.Subscription `json:"subscriptions"`
	Dead          []projections.Dead         `json:"dead"`
	Head          uint64                     `json:"head"`
}

// SentQuery names a message that a platform took: by what its buttons carry, by
// the platform's own name of it, by the event it tells and where it went, or as
// the last one about a task. The first that is given counts.
type SentQuery struct {
	Token    string             `json:"token,omitzero"`
	Platform string             `json:"platform,omitzero"` // with Chat and Message
	Chat     string             `json:"chat,omitzero"`
	Message  string             `json:"message,omitzero"`
	Of       uint64             `json:"of,omitzero"` // with To
	To       events.Destination `json:"to,omitzero"`
	Task     events.TaskID      `json:"task,omitzero"`
}

// SentAnswer is the message, if it is known.
type SentAnswer struct {
	Found bool             `json:"found"`
	Sent  projections.Sent `json:"sent,omitzero"`
}

// Find looks the message up in a view.
func (q SentQuery) Find(v *projections.View) (a SentAnswer) {
	switch {
	case q.Token != "":
		a.Sent, a.Found = v.SentToken(q.Token)
	case q.Message != "":
		a.Sent, a.Found = v.SentMessage(q.Platform, q.Chat, q.Message)
	case q.Of != 0:
		a.Sent, a.Found = v.SentAbout(q.Of, q.To)
	default:
		a.Sent, a.Found = v.Told(q.Task)
	}
	return a
}

// offsetRequest names a subscriber, and where it is.
type offsetRequest struct {
	Subscriber string `json:"subscriber"`
	Seq        uint64 `json:"seq,omitzero"`
}

// maxSubscriber bounds the name of a subscriber, in bytes.
const maxSubscriber = 300

func (c *call) notices() (any, error) { return c.h.Board.Notices(c.ctx) }

func (c *call) sent() (any, error) {
	var q SentQuery
	if err := c.decode(&q); err != nil {
		return nil, err
	}
	return c.h.Board.FindSent(c.ctx, q)
}

func (c *call) offset() (any, error) {
	q, err := c.subscriber()
	if err != nil {
		return nil, err
	}
	q.Seq, err = c.h.Board.Offset(c.ctx, q.Subscriber)
	return q, err
}

func (c *call) saveOffset() (any, error) {
	q, err := c.subscriber()
	if err != nil {
		return nil, err
	}
	return q, c.h.Board.SaveOffset(c.ctx, q.Subscriber, q.Seq)
}

func (c *call) subscriber() (q offsetRequest, err error) {
	if err := c.decode(&q); err != nil {
		return q, err
	}
	if q.Subscriber == "" || len(q.Subscriber) > maxSubscriber {
		return q, &Error{Code: CodeBadRequest, Message: "a subscriber has a name of at most 300 bytes"}
	}
	return q, nil
}

// Notices implements [Board].
func (c *Client) Notices(ctx context.Context) (n Notices, err error) {
	err = c.d.call(ctx, "/v1/query/notices", nil, &n)
	return n, err
}

// FindSent implements [Board].
func (c *Client) FindSent(ctx context.Context, q SentQuery) (a SentAnswer, err error) {
	err = c.d.call(ctx, "/v1/query/sent", q, &a)
	return a, err
}

// Offset implements [Board].
func (c *Client) Offset(ctx context.Context, subscriber string) (uint64, error) {
	q := offsetRequest{Subscriber: subscriber}
	err := c.d.call(ctx, "/v1/query/offset", q, &q)
	return q.Seq, err
}

// SaveOffset implements [Board].
func (c *Client) SaveOffset(ctx context.Context, subscriber string, seq uint64) error {
	var done offsetRequest
	return c.d.call(ctx, "/v1/offset", offsetRequest{subscriber, seq}, &done)
}
