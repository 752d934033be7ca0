package supervise

import (
	"crypto/rand"

	"github.com/hermesboard/hermes/events"
)

// newID names a command that is sent once.
func newID() (id events.CommandID) {
	rand.Read(id[:])
	return id
}
