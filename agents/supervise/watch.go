package supervise

import (
	"context"
	"fmt"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// watch waits until the agent has ended, and stops it when it must be. It
// returns why the run ends if that was not the agent's own doing.
func (r *run) watch(ctx context.Context, s *sandbox.Session, told, over <-chan end) *end {
	a := r.spec.Assignment
	grace := time.Duration(a.Policy.StopGraceMS) * time.Millisecond
	var limit, lingering <-chan time.Time
	if a.MaxRunMS > 0 {
		t := time.NewTimer(time.Duration(a.MaxRunMS) * time.Millisecond)
		defer t.Stop()
		limit = t.C
	}
	decided := r.server.Decided()
	for {
		var e end
		select {
		case <-s.Done():
			return nil
		case <-decided: // it is given the grace to leave by itself
			t := time.NewTimer(grace)
			defer t.Stop()
			decided, lingering = nil, t.C
			continue
		case <-lingering:
			r.stop(s, time.Second)
			return nil
		case <-ctx.Done():
			e = end{outcome: events.OutcomeReleased, reason: "the supervisor was told to end"}
		case <-limit:
			e = end{outcome: events.OutcomeTimedOut, reason: fmt.Sprintf("ran longer than %s", time.Duration(a.MaxRunMS)*time.Millisecond)}
		case e = <-told:
		case e = <-over:
		}
		r.stop(s, grace)
		return &e
	}
}

func (r *run) stop(s *sandbox.Session, grace time.Duration) {
	if err := s.Stop(grace); err != nil {
		r.deps.Warn(err) // it is buried in any case
	}
}

// attend renews the run's term, learns whether the run is to stop, and puts
// refused calls on record, until ctx ends. It goes on while the tree is being
// ended: a supervisor that is silent counts as dead.
func (r *run) attend(ctx context.Context, told chan<- end) {
	every := max(time.Duration(r.spec.Assignment.Policy.TermMS)*time.Millisecond/3, time.Second)
	again := time.Second
	look := time.NewTimer(0) // something may have been asked before anyone listened
	defer look.Stop()
	refusals := time.NewTicker(time.Minute)
	defer refusals.Stop()
	tell := func(reason string) {
		select {
		case told <- end{outcome: events.OutcomeKilled, reason: reason}:
		default: // told already
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-refusals.C:
			r.reportRefusals(ctx)
			continue
		case <-look.C:
		case <-r.deps.Nudge:
		}
		switch st, err := r.deps.Door.Renew(ctx); {
		case ctx.Err() != nil:
			return
		case over(err):
			tell("the run was ended by somebody who attested that it is dead")
			return
		case err != nil:
			r.deps.Warn(fmt.Errorf("renew: %w", err))
			look.Reset(min(again, every))
			again = min(2*again, 30*time.Second)
			continue
		case !st.Open || st.Stopping:
			tell("stopped")
		}
		again = time.Second
		look.Reset(every)
	}
}
