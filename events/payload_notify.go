package events

// Destination is where messages go: a chat of a platform, or a thread in it.
type Destination struct {
	Platform string `json:"platform"` // for example "telegram"
	Chat     string `json:"chat"`     // as the platform names it
	Thread   string `json:"thread,omitzero"`
}

// SubscriptionAdded has a destination told from here on what happens to the
// record's task; without one to the tasks of the record's tenant, or of the
// agent; without any of these on the whole board.
type SubscriptionAdded struct {
	To    Destination `json:"to"`
	Agent string      `json:"agent,omitzero"`
}

// SubscriptionRemoved undoes SubscriptionAdded of the same record's task, tenant and agent.
type SubscriptionRemoved struct {
	To    Destination `json:"to"`
	Agent string      `json:"agent,omitzero"`
}

// NotifySent says that a platform took a message about an event: of the event
// itself, or the n-th reminder. The token tells which; it also tells that the
// n-th reminder was put off, and then the message is the one whose button was
// pressed, and nothing was sent.
type NotifySent struct {
	Of      uint64      `json:"of"` // position of the event that was told
	To      Destination `json:"to"`
	Message string      `json:"message,omitzero"` // the platform's name of the message
	Token   string      `json:"token,omitzero"`   // what the message's buttons carry
}

// NotifyDead says that a message was given up after so many tries. Text: reason.
type NotifyDead struct {
	Of    uint64      `json:"of"`
	To    Destination `json:"to"`
	Tries uint32      `json:"tries"`
}

// NotifyRetried asks for a message that was given up to be delivered after all.
type NotifyRetried struct {
	Of uint64      `json:"of"`
	To Destination `json:"to"`
}

// Type implements Payload.
func (SubscriptionAdded) Type() Type { return "subscription.added" }

// Type implements Payload.
func (SubscriptionRemoved) Type() Type { return "subscription.removed" }

// Type implements Payload.
func (NotifySent) Type() Type { return "notify.sent" }

// Type implements Payload.
func (NotifyDead) Type() Type { return "notify.dead" }

// Type implements Payload.
func (NotifyRetried) Type() Type { return "notify.retried" }
