package boards

import "github.com/hermesboard/hermes/events"

// Principal is who a command comes from, as the door established it. Nothing a
// command says can change it.
type Principal struct {
	Actor events.Actor `json:"actor"`
	Run   events.RunID `json:"run,omitzero"`   // a run's own principal: the run it is bound to
	Fence uint64       `json:"fence,omitzero"` // position of that run's claim
	Role  events.Role  `json:"role,omitzero"`  // what the run may do beyond its task
}

// IsWorker reports whether the principal is a run and may only send worker commands.
func (p Principal) IsWorker() bool { return p.Actor.Kind == events.Worker }

// Env is what a decision may know besides the state: when it is taken and for whom.
type Env struct {
	Now events.Time
	By  Principal
}
