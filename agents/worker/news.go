package worker

import (
	"context"
	"sync"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Bounds of what is told with an answer.
const (
	maxNotices     = 20
	maxNoticeBytes = 2 << 10
)

// showEvery is how often a task is looked at for news, at most.
const showEvery = time.Second

// news is what the agent has been told of what happened around it.
type news struct {
	mu      sync.Mutex
	told    uint64    // comments up to here
	seen    uint64    // the board's head that was looked at
	looked  time.Time // when
	stopped bool      // that the run is being stopped
	waiting []Notice  // from the supervisor
	every   time.Duration
}

// Tell puts a notice on the next answer.
func (s *Server) Tell(n Notice) {
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	s.news.waiting = append(s.news.waiting, n)
}

// addNews puts on an answer what the agent does not know yet. The board is
// asked how far it has come, and for the task only if that is further than
// what was seen. That a board does not answer is no reason to fail a call that
// went well.
func (s *Server) addNews(ctx context.Context, a *Answer) {
	n := &s.news
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = max(n.told, s.Fence)
	a.Notices, n.waiting = n.waiting, nil
	if n.every == 0 {
		n.every = showEvery
	}
	if a.Task != nil && a.Task.ID == s.Run.Task {
		n.seen, n.looked = max(n.seen, lastSeq(*a.Task)), time.Now()
		a.Notices = append(a.Notices, n.comments(*a.Task, s.Agent)...)
		return
	}
	st, err := s.Door.Renew(ctx)
	if err != nil {
		return
	}
	if st.Stopping && !n.stopped {
		n.stopped = true
		a.Notices = append(a.Notices, Notice{What: "stopping", Text: "this run is being stopped; nothing it does from now on counts"})
	}
	if st.Head <= n.seen || time.Since(n.looked) < n.every {
		return
	}
	d, err := s.Door.Show(ctx, s.Run.Task)
	if err != nil {
		return
	}
	n.seen, n.looked = st.Head, time.Now()
	a.Notices = append(a.Notices, n.comments(d, s.Agent)...)
}

// comments returns what others have said since the last time, oldest first.
func (n *news) comments(d projections.Detail, self string) []Notice {
	var out []Notice
	told := n.told
	for _, c := range d.Comments {
		if c.Seq <= told {
			continue
		}
		n.told = max(n.told, c.Seq)
		if c.By.Kind == events.Worker && c.By.Name == self {
			continue
		}
		out = append(out, Notice{Seq: c.Seq, What: "comment", By: c.By.Name, Text: cut(c.Body, maxNoticeBytes)})
	}
	return out[max(0, len(out)-maxNotices):]
}

func lastSeq(d projections.Detail) (seq uint64) {
	for _, e := range d.Events {
		seq = max(seq, e.Seq)
	}
	return seq
}
