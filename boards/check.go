package boards

import (
	"fmt"
	"slices"

	"github.com/hermesboard/hermes/events"
)

// Check reports the first way in which the state contradicts itself, which
// only a fault in the rules or a foreign log can bring about. It holds after
// every record; [State.Settled] holds between commands.
func (s *State) Check() error {
	runs, tokens, folders := 0, 0, 0
	for id, t := range s.tasks.all() {
		if err := s.checkTask(id, t); err != nil {
			return fmt.Errorf("%v: %w", id, err)
		}
		if r := t.run; r != nil {
			runs++
			if !r.personal() {
				tokens++
			}
			if r.folder != 0 {
				folders++
			}
			if err := s.checkRun(id, t); err != nil {
				return fmt.Errorf("%v: %w", r.id, err)
			}
		}
	}
	if runs != s.running || tokens != len(s.tokens) || folders != len(s.folders) {
		return fmt.Errorf("%d open runs, %d tokens, %d folders; counted %d, %d, %d", s.running, len(s.tokens), len(s.folders), runs, tokens, folders)
	}
	return s.checkCycles()
}

// Settled reports the first task that should have moved with its parents:
// what is ready has no open edge, and what is todo has one.
func (s *State) Settled() error {
	for id, t := range s.tasks.all() {
		switch free := s.allMet(t.parents, settled{}); {
		case t.status == events.Todo && free:
			return fmt.Errorf("%v: todo although nothing holds it", id)
		case t.status == events.Ready && !free:
			return fmt.Errorf("%v: ready although %v holds it", id, s.openParent(t))
		}
	}
	return nil
}

func (s *State) checkTask(id events.TaskID, t *task) error {
	over := t.status == events.Done || t.status == events.Archived
	switch {
	case t.status < events.Triage || t.status > events.Archived:
		return fmt.Errorf("status %v", t.status)
	case t.phase != events.Ready && t.phase != events.Review:
		return fmt.Errorf("phase %v", t.phase)
	case (t.status == events.Running) != (t.run != nil && t.run.verdict == 0):
		return fmt.Errorf("%v with an open run %t", t.status, t.run != nil)
	case (t.status == events.Blocked) != (t.block != 0):
		return fmt.Errorf("%v with block kind %d", t.status, t.block)
	case t.status == events.Done && t.verdict == 0 || !over && t.verdict != 0:
		return fmt.Errorf("%v with verdict %v", t.status, t.verdict)
	case t.options > MaxOptions || t.options > 0 && t.status != events.Blocked:
		return fmt.Errorf("%v with %d options", t.status, t.options)
	case t.status == events.Triage && !t.rough:
		return fmt.Errorf("triage but no rough idea")
	case t.failures > 1001 || t.noVerdicts > s.policy.VerdictLimit+1000 || t.losses > s.policy.LostLimit+1000:
		return fmt.Errorf("streaks %d, %d, %d", t.failures, t.noVerdicts, t.losses)
	case t.verdict == events.Pass && (t.failures+t.noVerdicts+t.losses > 0 || t.blockStreak > 0):
		return fmt.Errorf("passed with streaks %d, %d, %d, %d", t.failures, t.noVerdicts, t.losses, t.blockStreak)
	case (t.blockStreak == 0) != (t.blockSaid == 0):
		return fmt.Errorf("block streak %d of kind %v", t.blockStreak, t.blockSaid)
	}
	for _, e := range t.parents {
		p := s.task(e.parent)
		if p == nil {
			return fmt.Errorf("parent %v does not exist", e.parent)
		}
		if _, ok := slices.BinarySearch(p.children, id); !ok {
			return fmt.Errorf("parent %v does not know it", e.parent)
		}
	}
	for i, c := range t.children {
		if child := s.task(c); child == nil || child.edgeTo(id) < 0 || i > 0 && t.children[i-1] >= c {
			return fmt.Errorf("child %v does not know it or is out of order", c)
		}
	}
	return nil
}

func (s *State) checkRun(id events.TaskID, t *task) error {
	r := t.run
	switch {
	case r.id.Task != id || r.id.N != t.runs || r.id.N == 0:
		return fmt.Errorf("open run of %v after %d runs", id, t.runs)
	case r.fence == 0 || r.fence > s.head:
		return fmt.Errorf("fence %d at head %d", r.fence, s.head)
	case !r.personal() && s.tokens[r.token] != id:
		return fmt.Errorf("its token is another's")
	case r.folder != 0 && s.folders[r.folder] != id:
		return fmt.Errorf("its folder is another's")
	case (r.stop != 0) != (r.then != 0):
		return fmt.Errorf("stopping at %d, then %v", r.stop, r.then)
	}
	return nil
}

// checkCycles takes away tasks without parents until none is left.
func (s *State) checkCycles() error {
	left := make([]int, s.tasks.n)
	var free []events.TaskID
	for id, t := range s.tasks.all() {
		if left[id-1] = len(t.parents); left[id-1] == 0 {
			free = append(free, id)
		}
	}
	n := 0
	for ; len(free) > 0; n++ {
		t := s.tasks.at(free[len(free)-1])
		free = free[:len(free)-1]
		for _, c := range t.children {
			if left[c-1]--; left[c-1] == 0 {
				free = append(free, c)
			}
		}
	}
	if n < s.tasks.n {
		return fmt.Errorf("%d tasks wait for each other in a circle", s.tasks.n-n)
	}
	return nil
}
