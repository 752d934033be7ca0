package boards

import "github.com/hermesboard/hermes/events"

// OpenRun is a run whose process tree is not proven gone.
type OpenRun struct {
	Run       events.RunID
	Fence     uint64
	Agent     string
	Role      events.Role
	Phase     events.Status
	Token     events.Digest // zero = a person's claim
	ClaimedAt events.Time
	ExpiresMS int64 // a person's claim: its term
	Started   bool
	Stopping  bool
	Verdict   events.Outcome // zero = none given yet
	Personal  bool           // a person's claim: there is no process
}

// Head returns the position of the last record folded.
func (s *State) Head() uint64 { return s.head }

// Board returns the board's id and slug; zero before its first record.
func (s *State) Board() (events.BoardID, string) { return s.board, s.slug }

// Policy returns the policy in force and the position of its record.
func (s *State) Policy() (events.Policy, uint64) { return s.policy, s.policySeq }

// Paused reports whether new starts are stopped.
func (s *State) Paused() bool { return s.paused }

// Tasks returns how many tasks were ever made; their ids are 1 to that number.
func (s *State) Tasks() int { return s.tasks.n }

// Status returns where a task stands; zero = no such task.
func (s *State) Status(id events.TaskID) events.Status {
	if t := s.task(id); t != nil {
		return t.status
	}
	return 0
}

// OpenRuns returns all un-ended runs, by task.
func (s *State) OpenRuns() []OpenRun {
	list := make([]OpenRun, 0, s.running)
	for _, t := range s.tasks.all() {
		if len(list) == s.running {
			break
		}
		if t.run != nil {
			list = append(list, s.openRun(t.run))
		}
	}
	return list
}

// OpenRun returns the un-ended run of a task.
func (s *State) OpenRun(id events.TaskID) (OpenRun, bool) {
	t := s.task(id)
	if t == nil || t.run == nil {
		return OpenRun{}, false
	}
	return s.openRun(t.run), true
}

func (s *State) openRun(r *run) OpenRun {
	return OpenRun{
		Run: r.id, Fence: r.fence, Agent: s.names.text(r.agent), Role: r.role, Phase: r.phase, Token: r.token,
		ClaimedAt: r.claimed, ExpiresMS: r.expiresMS,
		Started: r.started, Stopping: r.stop != 0, Verdict: r.verdict, Personal: r.personal(),
	}
}

// Principal returns who holds a run's token: ok if an un-ended run has it,
// live if that run may still speak for its task. From its verdict on, and once
// it is being stopped, it may only report its end.
func (s *State) Principal(token events.Digest) (p Principal, live, ok bool) {
	id, ok := s.tokens[token]
	if !ok {
		return Principal{}, false, false
	}
	r := s.task(id).run
	return Principal{
		Actor: events.Actor{Kind: events.Worker, Name: s.names.text(r.agent)},
		Run:   r.id, Fence: r.fence, Role: r.role,
	}, r.live(), true
}
