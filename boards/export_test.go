package boards

import "github.com/hermesboard/hermes/events"

// What the tests outside the package need of its tables.

// TransitionTable returns the rows as the documentation writes them.
func TransitionTable() [][4]string {
	var rows [][4]string
	for _, t := range transitions {
		rows = append(rows, [4]string{t.command, t.by.String(), t.from.String(), t.to.String()})
	}
	return rows
}

// Place returns where a task is; "-" before it exists.
func Place(s *State, id events.TaskID) string {
	if t := s.task(id); t != nil {
		return t.at().String()
	}
	return nowhere.String()
}

// Ends lists the outcomes of the accounting table.
func Ends() []events.Outcome {
	var list []events.Outcome
	for o := events.OutcomeCompleted; o <= events.OutcomeKilled; o++ {
		if _, ok := ends[o]; ok {
			list = append(list, o)
		}
	}
	return list
}
