package api

import (
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
