package owner

import (
	"github.com/anishathalye/porcupine"

	"github.com/hermesboard/hermes/events"
)

// what is asked of a task.
type what uint8

const (
	claims what = iota
	beats
	completes
	ends
	reads
)

func (w what) String() string {
	return [...]string{"claim", "heartbeat", "complete", "end", "read"}[w]
}

// said is the answer: unknown may have happened or not.
type said uint8

const (
	yes said = iota
	no
	unknown
)

func (s said) String() string { return [...]string{"yes", "no", "unknown"}[s] }

// taskCall is a call about a task, by one of its runs unless it is a claim.
type taskCall struct {
	what  what
	task  events.TaskID
	run   uint32
	fence uint64
}

type taskAnswer struct {
	said  said
	run   uint32
	fence uint64
	state taskState // of a read
}

// taskState is what a task can be told apart by.
type taskState struct {
	runs    uint32 // claimed so far
	fence   uint64 // of the last claim
	open    bool   // the last run has not ended
	verdict bool   // it has given its verdict
	done    bool
}

// taskModel is a task as its workers are promised it: one run at a time, a
// verdict by the open run alone and once, an end of the open run alone.
var taskModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{taskState{}} },
	Step: func(state, input, output any) []any {
		s, in, out := state.(taskState), input.(taskCall), output.(taskAnswer)
		if in.what == reads {
			if s != out.state {
				return nil
			}
			return []any{s}
		}
		next, may := s.step(in, out)
		switch {
		case out.said == unknown && may:
			return []any{s, next}
		case out.said == unknown:
			return []any{s}
		case may != (out.said == yes):
			return nil
		}
		return []any{next}
	},
	Equal: func(a, b any) bool { return a == b },
}

// step returns the state after a call, and whether the call is allowed.
func (s taskState) step(in taskCall, out taskAnswer) (next taskState, may bool) {
	mine := s.open && in.run == s.runs && in.fence == s.fence
	next = s
	switch in.what {
	case claims:
		if may = !s.open && !s.done; may {
			next.runs, next.fence, next.open = s.runs+1, out.fence, true
			may = out.said != yes || out.run == next.runs && out.fence > s.fence
		}
	case beats:
		may = mine && !s.verdict
	case completes:
		if may = mine && !s.verdict; may {
			next.verdict, next.done = true, true
		}
	case ends:
		if may = mine; may {
			next.open, next.verdict = false, false
		}
	}
	if !may {
		return s, false
	}
	return next, true
}
