package dispatcher

import (
	"errors"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// everyone knows every agent.
func everyone(v *projections.View) map[string]Agent {
	policy, _ := v.Policy()
	all := map[string]Agent{}
	for _, lane := range v.Lanes() {
		if name := who(lane, &policy); name != "" {
			all[name] = Agent{Role: events.RoleWorker}
		}
	}
	return all
}

// What Next would start the rules let it claim; and what the rules would let
// it claim, only room and money keep Explain from starting.
func TestAgreesWithTheRules(t *testing.T) {
	starts, held := 0, 0
	for seed := range uint64(10) {
		w := boardstest.NewWalker(seed)
		v := projections.NewView()
		done := 0
		for step := range 700 {
			by, c := w.Next()
			_, _ = w.Do(by, c)
			for ; done < len(w.Records); done++ {
				v.Apply(&w.Records[done])
			}
			if step%5 > 0 {
				continue
			}
			f := Facts{Dispatcher: Serving, Slots: 100, Free: 100, Agents: everyone(v)}
			claim := func(task events.TaskID, agent string) error {
				_, err := boards.Decide(w.State, boards.ClaimTask{Task: task, Agent: agent, Role: events.RoleWorker, Token: events.Digest{9, 9}},
					boards.Env{Now: w.Now, By: me})
				return err
			}
			for _, s := range Next(v, f, w.Now) {
				starts++
				if err := claim(s.Task, s.Agent); err != nil {
					t.Fatalf("seed %d, step %d: %+v: %v", seed, step, s, err)
				}
			}
			policy, _ := v.Policy()
			for id := events.TaskID(1); int(id) <= w.State.Tasks(); id++ {
				h := Explain(v, id, f, w.Now)
				name := who(projections.Lane{Agent: v.Task(id).Who()}, &policy)
				switch h.Reason {
				case ReasonStart, Budget, BoardCap, AgentCap, TenantCap, HostSlots:
					continue
				}
				held++
				var refused *boards.Rejection
				if err := claim(id, name); !errors.As(err, &refused) {
					t.Fatalf("seed %d, step %d: %v is held (%+v), but the rules say %v", seed, step, id, h, err)
				}
			}
		}
	}
	if starts < 50 || held < 50 {
		t.Errorf("only %d starts and %d holds", starts, held)
	}
}
