package dispatcher

import (
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// The policy says which task goes first, also for tasks that wait already, and
// Why says so.
func TestOrder(t *testing.T) {
	policy := events.DefaultPolicy(8)
	policy.Budget = events.Budget{}
	board := newBoard(t, policy)
	priorities := []int32{1, 0, 9, 1, -5}
	var tasks []events.TaskID
	for _, n := range priorities {
		tasks = append(tasks, board.create(t, 1, func(task *boards.NewTask) { task.Priority = n })...)
	}
	for _, c := range []struct {
		order events.Order
		want  []events.TaskID
		why   string
	}{
		{0, []events.TaskID{tasks[2], tasks[0], tasks[3], tasks[1], tasks[4]}, "higher priority, then older"},
		{events.ByAge, tasks, "older, whatever the priority"},
		{events.ByPriority, []events.TaskID{tasks[2], tasks[0], tasks[3], tasks[1], tasks[4]}, "higher priority, then older"},
	} {
		policy.Order = c.order
		board.must(t, boardstest.Kai, boards.SetPolicy{Policy: policy})
		board.View(func(v *projections.View) {
			f := Facts{Dispatcher: Serving, Slots: 8, Free: 8, Agents: everyone(v)}
			var got []events.TaskID
			for _, s := range Next(v, f, board.b.Now) {
				got = append(got, s.Task)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("order %v: got %v, want %v", c.order, got, c.want)
			}
			if w := Why(v, tasks[4], f, board.b.Now); !strings.Contains(w.Detail, c.why) {
				t.Errorf("order %v: got %q, want %q in it", c.order, w.Detail, c.why)
			}
		})
	}
}
