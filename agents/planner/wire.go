package planner

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Kind is what is asked of a planner.
type Kind string

// Specify puts one task properly; Decompose makes a graph of it.
const (
	Specify   Kind = "specify"
	Decompose Kind = "decompose"
)

// MaxTasks is how many tasks a graph may have.
const MaxTasks = 32

// Request is what the program reads.
type Request struct {
	Version  int     `json:"version"` // 1
	Kind     Kind    `json:"kind"`
	Board    string  `json:"board"`
	Task     Task    `json:"task"`
	Agents   []Agent `json:"agents"`    // whom tasks can be given to
	MaxTasks int     `json:"max_tasks"` // decompose: at most so many
}

// Task is the idea.
type Task struct {
	ID       events.TaskID `json:"id"`
	Title    string        `json:"title"`
	Body     string        `json:"body"`
	Tenant   string        `json:"tenant,omitzero"`
	Assignee string        `json:"assignee,omitzero"`
	Comments []string      `json:"comments,omitzero"`
}

// Agent is somebody who can be given a task.
type Agent struct {
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	Role        string `json:"role,omitzero"`
}

// Answer is what the program writes. Specify uses title, body and assignee;
// decompose uses tasks, assignee (who goes on with the idea when its parts have
// passed) and reason.
type Answer struct {
	Title    string `json:"title,omitzero"`
	Body     string `json:"body,omitzero"`
	Assignee string `json:"assignee,omitzero"`
	Reason   string `json:"reason,omitzero"`
	Tasks    []Part `json:"tasks,omitzero"`
}

// Part is one task of a graph. Parents counts the tasks of the same answer
// from 1; only earlier ones can be named, so that there is no circle.
type Part struct {
	Title    string       `json:"title"`
	Body     string       `json:"body,omitzero"`
	Assignee string       `json:"assignee,omitzero"`
	Priority int32        `json:"priority,omitzero"`
	Parents  []int        `json:"parents,omitzero"`
	Needs    events.Needs `json:"needs,omitzero"`
}

func request(kind Kind, board string, d projections.Detail, agents []Agent) Request {
	t := Task{ID: d.ID, Title: d.Title, Body: d.Body, Tenant: d.Tenant, Assignee: d.Assignee}
	for _, c := range d.Comments {
		t.Comments = append(t.Comments, c.Body)
	}
	return Request{Version: 1, Kind: kind, Board: board, Task: t, Agents: agents, MaxTasks: MaxTasks}
}

// command reads an answer and turns it into the command to be sent. Every
// error is the planner's fault.
func command(req Request, out []byte) (boards.Command, error) {
	var a Answer
	if err := json.Unmarshal(out, &a, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("the answer is not what was asked for: %w", err)
	}
	known := make(map[string]bool)
	for _, agent := range req.Agents {
		known[agent.Name] = true
	}
	if a.Assignee != "" && !known[a.Assignee] {
		return nil, fmt.Errorf("the answer names an agent that does not exist: %q", a.Assignee)
	}
	if req.Kind == Specify {
		if a.Title == "" && a.Body == "" || len(a.Tasks) > 0 {
			return nil, errors.New("the answer wants a title or a body, and no tasks")
		}
		return boards.SpecifyTask{Task: req.Task.ID, Title: a.Title, Body: a.Body, Assignee: a.Assignee}, nil
	}
	if len(a.Tasks) == 0 || len(a.Tasks) > MaxTasks || a.Title != "" || a.Body != "" {
		return nil, fmt.Errorf("the answer wants 1 to %d tasks, and no title or body of its own", MaxTasks)
	}
	parts := make([]boards.NewTask, len(a.Tasks))
	for i, p := range a.Tasks {
		if p.Assignee != "" && !known[p.Assignee] {
			return nil, fmt.Errorf("task %d names an agent that does not exist: %q", i+1, p.Assignee)
		}
		t := boards.NewTask{Title: p.Title, Body: p.Body, Assignee: p.Assignee, Priority: p.Priority}
		for _, parent := range p.Parents {
			if parent < 1 || parent > i {
				return nil, fmt.Errorf("task %d waits for task %d, which is not an earlier one", i+1, parent)
			}
			t.Parents = append(t.Parents, boards.Parent{New: parent, Needs: p.Needs})
		}
		parts[i] = t
	}
	return boards.DecomposeTask{Task: req.Task.ID, Assignee: a.Assignee, Children: parts, Reason: a.Reason}, nil
}
