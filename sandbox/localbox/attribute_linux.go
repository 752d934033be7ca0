package localbox

import "github.com/hermesboard/hermes/sandbox/internal/process"

// family is which process belongs to which session, at one moment.
type family struct {
	// members holds the descendants of each session's main process, by its id.
	members map[int][]process.Stat
	// strays are descendants of some session that left their parent, their
	// session and their mark behind.
	strays []process.Stat
}

// attribute is pure. Self is this process, mains the main processes it started
// and did not release. markOf reads a process's mark; it is certain when it is
// that of a control group the process is in, which decides alone.
//
// A process belongs to a session when it carries its mark, is in the process
// session its main process leads (that id cannot be taken by another process
// while the main process is not released), or when its parent belongs to it.
// A child of self that did none of this, yet is in another process session
// than self, was adopted: it is a stray.
func attribute(all []process.Stat, self process.Stat, mains map[int]process.Main, markOf func(pid int) (mark string, certain bool)) family {
	byPID := make(map[int]process.Stat, len(all))
	for _, p := range all {
		byPID[p.PID] = p
	}
	byMark := make(map[string]int, len(mains))
	oldest := ^uint64(0)
	for pid, main := range mains {
		byMark[main.Mark] = pid
		oldest = min(oldest, main.Start)
	}

	const nobody, stray = 0, -1
	known := map[int]int{self.PID: nobody}
	var owner func(p process.Stat) int
	owner = func(p process.Stat) (who int) {
		if who, ok := known[p.PID]; ok {
			return who
		}
		known[p.PID] = nobody // ends the walk should ids have moved meanwhile
		defer func() { known[p.PID] = who }()
		if p.Start < oldest {
			return nobody
		}
		if _, ok := mains[p.PID]; ok {
			return p.PID
		}
		if _, ok := mains[p.Session]; ok {
			return p.Session
		}
		mark, certain := markOf(p.PID)
		if main := byMark[mark]; main != 0 || certain {
			return main
		}
		if p.Parent == self.PID {
			if p.Session != self.Session {
				return stray
			}
			return nobody
		}
		if parent, ok := byPID[p.Parent]; ok {
			return owner(parent)
		}
		return nobody
	}

	f := family{members: make(map[int][]process.Stat)}
	for _, p := range all {
		switch who := owner(p); {
		case who == stray:
			f.strays = append(f.strays, p)
		case who != nobody && who != p.PID:
			f.members[who] = append(f.members[who], p)
		}
	}
	return f
}
