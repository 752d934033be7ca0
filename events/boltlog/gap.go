package boltlog

import (
	"bytes"

	"github.com/hermesboard/hermes/events"
)

// gap is a stretch of command ids, without its ends, none of which is in the
// index. Most commands come under a new id that begins with the time: one look
// into the file finds the gap that it and those after it are in.
type gap struct{ from, to events.CommandID }

// beyond is the end of a gap behind which there is no id.
var beyond = events.CommandID(bytes.Repeat([]byte{0xff}, 16))

func (g gap) has(id events.CommandID) bool {
	return id.Compare(g.from) > 0 && id.Compare(g.to) < 0
}

// cut takes an id that is in the index now, and those before it, out of the gap.
func (g *gap) cut(id events.CommandID) {
	if g.has(id) {
		g.from = id
	}
}

// found tells of a gap that follows an id which was looked for in vain.
// An id a little before the present gap only comes late: the ones after it
// will be in the present one.
func (g *gap) found(id events.CommandID, next []byte) {
	const late = 10_000 // milliseconds
	if id.Compare(g.from) < 0 && id.Time()+late > g.from.Time() {
		return
	}
	*g = gap{id, beyond}
	if next != nil {
		copy(g.to[:], next)
	}
}
