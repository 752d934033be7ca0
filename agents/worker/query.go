package worker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func (s *Server) show(ctx context.Context, a Show) (*Answer, error) {
	task := a.Task
	if task == 0 {
		task = s.Run.Task
	}
	d, err := s.Door.Show(ctx, task)
	if err != nil {
		return nil, err
	}
	answer := &Answer{Status: d.Status, Task: &d, Notices: s.notices(d)}
	if s.Context != nil {
		answer.Context = s.Context(d)
	}
	return answer, nil
}

// notices tells what people said on the run's own task since the last time.
func (s *Server) notices(d projections.Detail) []Notice {
	if d.ID != s.Run.Task {
		return nil
	}
	last := s.lastSeq.Load()
	var out []Notice
	newest := last
	for _, c := range d.Comments {
		newest = max(newest, c.Seq)
		if last > 0 && c.Seq > last && c.By.Kind == events.Human {
			out = append(out, Notice{Seq: c.Seq, What: "comment", By: c.By.Name, Text: c.Body})
		}
	}
	s.lastSeq.Store(max(newest, 1))
	return out
}

func (s *Server) list(ctx context.Context, a List) (*Answer, error) {
	q := projections.ListQuery{Limit: min(max(a.Limit, 0), 200), Archived: a.Archived, Tenant: &s.Tenant}
	if q.Limit == 0 {
		q.Limit = 50
	}
	if a.Assignee != "" {
		q.Assignees = []string{a.Assignee}
	}
	if a.Status != 0 {
		q.Statuses = []events.Status{a.Status}
	}
	cards, err := s.Door.List(ctx, q)
	if err != nil {
		return nil, err
	}
	return &Answer{Cards: cards}, nil
}

// newTasks turns the tool's arguments into the command's.
func newTasks(tasks []Task) ([]boards.NewTask, error) {
	out := make([]boards.NewTask, len(tasks))
	for i, t := range tasks {
		ws, err := ParseWorkspace(t.Workspace)
		if err != nil {
			return nil, &Error{Code: string(boards.CodeBadCommand), Message: err.Error()}
		}
		parents, err := parseParents(t)
		if err != nil {
			return nil, err
		}
		out[i] = boards.NewTask{Title: t.Title, Body: t.Body, Assignee: t.Assignee, Priority: t.Priority, Triage: t.Triage,
			Workspace: ws, MaxRuntimeMS: t.MaxRuntimeMS, Recipe: t.Recipe, Parents: parents}
	}
	return out, nil
}

func parseParents(t Task) ([]boards.Parent, error) {
	var needs events.Needs
	if t.Needs != "" {
		if err := needs.UnmarshalText([]byte(t.Needs)); err != nil {
			return nil, &Error{Code: string(boards.CodeBadCommand), Message: err.Error()}
		}
	}
	var out []boards.Parent
	for _, p := range t.Parents {
		parent := boards.Parent{Needs: needs}
		if n, ok := strings.CutPrefix(p, "#"); ok {
			i, err := strconv.Atoi(n)
			if err != nil || i < 1 {
				return nil, &Error{Code: string(boards.CodeBadCommand), Message: fmt.Sprintf("%q is not a task of this call (want for example #1)", p)}
			}
			parent.New = i
		} else {
			id, err := events.ParseTaskID(p)
			if err != nil {
				return nil, &Error{Code: string(boards.CodeBadCommand), Message: err.Error()}
			}
			parent.Task = id
		}
		out = append(out, parent)
	}
	return out, nil
}

// ParseWorkspace reads scratch, dir:<abs>, repo:<abs>[@base] and, as people
// know it, worktree:<abs>. Empty means the default, scratch.
func ParseWorkspace(s string) (events.Workspace, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "":
		return events.Workspace{}, nil
	case "scratch":
		if rest == "" {
			return events.Workspace{Kind: events.Scratch}, nil
		}
	case "dir":
		if rest != "" {
			return events.Workspace{Kind: events.Dir, Path: rest}, nil
		}
	case "repo", "worktree":
		if path, base, _ := strings.Cut(rest, "@"); path != "" {
			return events.Workspace{Kind: events.Repo, Path: path, Base: base}, nil
		}
	}
	return events.Workspace{}, fmt.Errorf("%q is not a workspace (want scratch, dir:/path or repo:/path)", s)
}
