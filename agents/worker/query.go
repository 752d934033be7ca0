package worker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Bounds of a task that is shown.
const (
	maxEvents   = 50
	maxRows     = 100     // attempts, comments
	maxHandoffs = 4 << 20 // bytes of words of all hand-offs together
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
	answer := &Answer{Status: d.Status, Task: &d}
	if s.Context != nil {
		answer.Context = s.Context(d)
	}
	bound(&d)
	return answer, nil
}

// bound cuts what grows without end.
func bound(d *projections.Detail) {
	d.Events = newest(d.Events, maxEvents)
	d.Runs = newest(d.Runs, maxRows)
	d.Comments = newest(d.Comments, maxRows)
	left := maxHandoffs
	for i := range d.Inputs {
		in := &d.Inputs[i]
		if left -= len(in.Summary) + len(in.Result) + len(in.Metadata); left < 0 {
			in.Summary, in.Result, in.Metadata = cut(in.Summary, 200), "", nil
		}
	}
}

func newest[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// cut returns at most n bytes of s, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func (s *Server) list(ctx context.Context, a List) (*Answer, error) {
	if s.Role == events.RoleWorker {
		return nil, &Error{Code: string(boards.CodeNotYours), Message: "list is for orchestrators and reviewers",
			Hint: "show tells all about this run's own task"}
	}
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

// newTasks turns the tool's arguments into the command's. Who works on a task
// is given its workspace, so a run cannot name a place of the host that it was
// not given itself.
func (s *Server) newTasks(tasks []Task) ([]boards.NewTask, error) {
	out := make([]boards.NewTask, len(tasks))
	for i, t := range tasks {
		ws, err := ParseWorkspace(t.Workspace)
		if err != nil {
			return nil, badCall("%s", err)
		}
		if ws.Path != "" && (ws.Path != s.Workspace.Path || ws.Kind != s.Workspace.Kind) {
			return nil, &Error{Code: string(boards.CodeNotYours), Message: fmt.Sprintf("%.300q is not the workspace of %s", t.Workspace, s.Run.Task),
				Hint: "leave the workspace out, or let a person choose it"}
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
			return nil, badCall("%s", err)
		}
	}
	var out []boards.Parent
	for _, p := range t.Parents {
		parent := boards.Parent{Needs: needs}
		if n, ok := strings.CutPrefix(p, "#"); ok {
			i, err := strconv.Atoi(n)
			if err != nil || i < 1 {
				return nil, badCall("%q is not a task of this call (want for example #1)", p)
			}
			parent.New = i
		} else {
			id, err := events.ParseTaskID(p)
			if err != nil {
				return nil, badCall("%s", err)
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
