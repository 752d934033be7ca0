package dispatcher

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// people lets persons do whatever they may, at random.
func (s *sim) people() {
	s.every(6*time.Minute, "create", func(rng *rand.Rand) {
		if s.faults && s.log.state.Tasks() < s.most {
			s.person(rng, s.newTasks(rng))
		}
	})
	s.every(3*time.Minute, "people", func(rng *rand.Rand) {
		if s.faults && s.log.state.Tasks() > 0 {
			s.person(rng, s.whim(rng))
		}
	})
	s.every(10*time.Minute, "inbox", func(rng *rand.Rand) {
		if s.faults {
			s.settle(rng)
		}
	})
}

// person sends a command. What the rules refuse is a person's bad luck.
func (s *sim) person(rng *rand.Rand, c boards.Command) {
	name := "kai"
	if rng.IntN(4) == 0 {
		name = "ann"
	}
	s.send(person(name), s.log.newID(), c, 5)
}

// send sends it, and sends it again while the board is frozen.
func (s *sim) send(by boards.Principal, id events.CommandID, c boards.Command, times int) {
	_, err := s.log.commit(by, id, c)
	var refused *boards.Rejection
	switch {
	case err == nil:
		s.saw("person: " + c.CommandName())
	case errors.Is(err, errFrozen):
		s.saw("person met a frozen board")
		if times > 0 {
			s.after(20*time.Second, id.String(), func() { s.send(by, id, c, times-1) })
		}
	case errors.As(err, &refused) && refused.Code != boards.CodeInternal && refused.Code != boards.CodeBadCommand:
	default:
		s.fail("%s by a person: %v", c.CommandName(), err)
	}
}

func (s *sim) newTasks(rng *rand.Rand) boards.Command {
	var c boards.CreateTasks
	for i := range 1 + rng.IntN(3) {
		n := boards.NewTask{Title: "x", Assignee: simNames[rng.IntN(2)], Priority: int32(rng.IntN(3)), Body: "b"}
		if rng.IntN(8) == 0 {
			n.Assignee = "" // the default, or nobody
		}
		if i > 0 && rng.IntN(2) == 0 {
			n.Parents = []boards.Parent{{New: i, Needs: events.Needs(1 + rng.IntN(2))}}
		}
		if s.log.state.Tasks() > 0 && rng.IntN(4) == 0 {
			n.Parents = append(n.Parents, boards.Parent{Task: s.anyTask(rng), Needs: events.Needs(1 + rng.IntN(2))})
		}
		switch rng.IntN(8) {
		case 0:
			n.StartAt = max(s.log.last, s.wall()).Add(time.Duration(rng.IntN(7200)) * time.Second)
		case 1:
			n.Tenant = []string{"north", "south"}[rng.IntN(2)]
		case 2:
			n.Workspace = events.Workspace{Kind: events.Dir, Path: "/srv/site"}
		case 3:
			n.MaxRuntimeMS = int64(1+rng.IntN(30)) * 60_000
		case 4:
			n.Triage = true
		}
		c.Tasks = append(c.Tasks, n)
	}
	return c
}

func (s *sim) anyTask(rng *rand.Rand) events.TaskID {
	n := s.log.state.Tasks()
	return events.TaskID(n - rng.IntN(min(n, 25)))
}

// in returns a task in one of the columns if a few tries find one.
func (s *sim) in(rng *rand.Rand, want ...events.Status) events.TaskID {
	for range 20 {
		id := s.anyTask(rng)
		for _, w := range want {
			if s.log.state.Status(id) == w {
				return id
			}
		}
	}
	return s.anyTask(rng)
}

// whim is something that a person does for no reason.
func (s *sim) whim(rng *rand.Rand) boards.Command {
	task := s.anyTask(rng)
	switch rng.IntN(22) {
	case 0, 1, 2:
		return boards.StopRun{Task: s.in(rng, events.Running), Then: events.Then(1 + rng.IntN(5)), Reason: "enough"}
	case 3:
		return boards.ArchiveTask{Task: task}
	case 4, 5:
		return boards.LinkTasks{Parent: task, Child: s.anyTask(rng), Needs: events.Needs(1 + rng.IntN(2))}
	case 6:
		return boards.UnlinkTasks{Parent: task, Child: s.in(rng, events.Todo)}
	case 7:
		return boards.PromoteTask{Task: s.in(rng, events.Todo, events.Scheduled, events.Triage)}
	case 8:
		return boards.ReopenTask{Task: s.in(rng, events.Done, events.Archived)}
	case 9:
		return boards.AssignTask{Task: task, Assignee: simNames[rng.IntN(2)], Reclaim: rng.IntN(2) == 0}
	case 10:
		return boards.PrioritizeTask{Task: task, Priority: int32(rng.IntN(5))}
	case 11:
		return boards.PauseBoard{Drain: rng.IntN(2) == 0}
	case 12:
		p, _ := s.log.state.Policy()
		simPolicy(&p, rng)
		p.HostSlots = int32(1 + rng.IntN(s.slots.n))
		return boards.SetPolicy{Policy: p}
	case 13:
		return boards.ClaimTask{Task: s.in(rng, events.Ready, events.Review), Role: events.RoleWorker}
	case 14:
		return boards.CompleteTask{Task: task, Verdict: events.Verdict(1 + rng.IntN(3))}
	case 15:
		return boards.ScheduleTask{Task: task, At: max(s.log.last, s.wall()).Add(time.Duration(1+rng.IntN(3600)) * time.Second)}
	case 16:
		return boards.BlockTask{Task: s.in(rng, events.Ready, events.Todo), Reason: "wait"}
	case 17:
		return boards.SetTenant{Task: task, Tenant: []string{"", "north"}[rng.IntN(2)]}
	case 18:
		reviewer := []string{"", "critic"}[rng.IntN(2)]
		return boards.EditTask{Task: task, Reviewer: &reviewer}
	case 19:
		return boards.DecomposeTask{Task: s.in(rng, events.Triage), Children: []boards.NewTask{{Title: "part", Assignee: "coder"}}}
	case 20:
		return boards.SpecifyTask{Task: s.in(rng, events.Triage), Title: "clear", Assignee: "coder"}
	}
	return boards.CommentTask{Task: task, Body: "hm"}
}

// settle is a person who works through what waits for one.
func (s *sim) settle(rng *rand.Rand) {
	s.person(rng, boards.ResumeBoard{})
	for _, name := range simNames {
		s.person(rng, boards.ReleaseAgent{Agent: name})
	}
	for id := events.TaskID(1); int(id) <= s.log.state.Tasks(); id++ {
		switch s.log.state.Status(id) {
		case events.Blocked:
			s.person(rng, boards.UnblockTask{Task: id, Answer: "go on"})
		case events.Triage:
			s.person(rng, boards.PromoteTask{Task: id})
		case events.Review:
			if rng.IntN(6) == 0 {
				s.person(rng, boards.ApproveTask{Task: id})
			}
		}
		if run, ok := s.log.state.OpenRun(id); ok && !run.Personal {
			s.bury(rng, run)
		}
	}
}

// bury is a person who has killed by hand what does not die, and says so.
func (s *sim) bury(rng *rand.Rand, run boards.OpenRun) {
	t := s.trees[run.Run]
	if t == nil || !t.stopping || !time.Now().Before(t.undead) || rng.IntN(3) > 0 || s.log.thawed != nil {
		return
	}
	s.saw("person buried a run")
	t.undead = time.Time{}
	t.die()
	s.person(rng, boards.StopRun{Task: run.Run.Task, Run: run.Run, Then: events.ThenRetry, Force: true, Reason: "killed by hand"})
}
