package recipe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// Inputs are what the person who uses a recipe said, by name of the input.
type Inputs map[string]string

// Plan is what a run that makes tasks has found out about them.
type Plan struct {
	// Counts replaces the number of tasks of a role that has a count.
	Counts map[string]int
	// Shape may change the i-th task of a role, from 0, before it is made; nil changes none.
	Shape func(role string, i int, t *boards.NewTask)
}

// Expand returns the tasks made at once. A task whose run makes others carries
// the recipe's name and inputs at the end of its body: see [Params].
func (r *Recipe) Expand(in Inputs) ([]boards.NewTask, error) {
	return r.expand(in, Plan{}, 0, func(role *Role) bool { return role.By == "" })
}

// ExpandAll returns all tasks, also those that a run would have made.
func (r *Recipe) ExpandAll(in Inputs) ([]boards.NewTask, error) {
	return r.expand(in, Plan{}, 0, func(*Role) bool { return true })
}

// ExpandAfter returns the tasks that the run of a role makes; self is its own task.
func (r *Recipe) ExpandAfter(role string, self events.TaskID, in Inputs, plan Plan) ([]boards.NewTask, error) {
	if !r.Makes(role) || self == 0 {
		return nil, fmt.Errorf("recipe %s: a run of %s makes no tasks", r.Name, role)
	}
	return r.expand(in, plan, self, func(o *Role) bool { return o.By == role })
}

func (r *Recipe) expand(in Inputs, plan Plan, self events.TaskID, include func(*Role) bool) ([]boards.NewTask, error) {
	values, err := r.values(in)
	if err != nil {
		return nil, fmt.Errorf("recipe %s: %w", r.Name, err)
	}
	var tasks []boards.NewTask
	made := make(map[string][]int) // role → positions in tasks, from 1
	for _, i := range r.order {
		role := &r.Roles[i]
		if !include(role) {
			continue
		}
		items, err := role.items(values, plan)
		if err != nil {
			return nil, fmt.Errorf("recipe %s: role %s: %w", r.Name, role.Name, err)
		}
		if len(tasks)+len(items) > events.MaxCommandTasks {
			return nil, fmt.Errorf("recipe %s: more than %d tasks", r.Name, events.MaxCommandTasks)
		}
		parents := role.parents(made, self)
		for n, item := range items {
			t := r.task(role, values, n, len(items), item)
			t.Parents = slices.Clone(parents)
			if self == 0 && r.Makes(role.Name) {
				t.Body = strings.TrimRight(t.Body, "\n") + "\n\n" + Params(r.Name, in)
			}
			if plan.Shape != nil {
				plan.Shape(role.Name, n, &t)
			}
			tasks = append(tasks, t)
			made[role.Name] = append(made[role.Name], len(tasks))
		}
	}
	return tasks, nil
}

// values completes the inputs with defaults. Missing and unknown ones are errors.
func (r *Recipe) values(in Inputs) (map[string]string, error) {
	values := make(map[string]string, len(r.Inputs))
	for i := range r.Inputs {
		input := &r.Inputs[i]
		v, ok := in[input.Name]
		switch {
		case ok:
			values[input.Name] = v
		case input.Default != nil:
			values[input.Name] = *input.Default
		default:
			return nil, fmt.Errorf("input %s is missing: %s", input.Name, input.About)
		}
	}
	for name := range in {
		if r.input(name) == nil {
			return nil, fmt.Errorf("there is no input %q", name)
		}
	}
	return values, nil
}

// Value returns what an input has: what was said, or its default.
func (r *Recipe) Value(name string, in Inputs) string {
	if v, ok := in[name]; ok {
		return v
	}
	if input := r.input(name); input != nil && input.Default != nil {
		return *input.Default
	}
	return ""
}

// items returns one entry for each task of the role: the item of its list, or "".
func (role *Role) items(values map[string]string, plan Plan) ([]string, error) {
	if role.Each != "" {
		items := strings.FieldsFunc(values[role.Each], func(c rune) bool { return c == ',' || c == '\n' })
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
		items = slices.DeleteFunc(items, func(s string) bool { return s == "" })
		if len(items) == 0 {
			return nil, fmt.Errorf("input %s lists nothing", role.Each)
		}
		return items, nil
	}
	n := 1
	if role.Count != "" {
		text := role.Count
		if v, ok := values[role.Count]; ok {
			text = v
		}
		var ok bool
		if n, ok = number(text); !ok {
			return nil, fmt.Errorf("%q is not a number", text)
		}
		if planned := plan.Counts[role.Name]; planned > 0 {
			n = planned
		}
	}
	if n < 1 || n > events.MaxCommandTasks {
		return nil, fmt.Errorf("%d tasks, want 1 to %d", n, events.MaxCommandTasks)
	}
	return make([]string, n), nil
}

// parents are all tasks of the roles waited for.
func (role *Role) parents(made map[string][]int, self events.TaskID) []boards.Parent {
	var list []boards.Parent
	for _, a := range role.After {
		needs := events.NeedsPass
		if a.Needs == "any" {
			needs = events.NeedsAny
		}
		if a.Role == role.By && self != 0 {
			list = append(list, boards.Parent{Task: self, Needs: needs})
		}
		for _, n := range made[a.Role] {
			list = append(list, boards.Parent{New: n, Needs: needs})
		}
	}
	return list
}

func (r *Recipe) task(role *Role, values map[string]string, n, of int, item string) boards.NewTask {
	fill := func(text string) string {
		return placeholder().ReplaceAllStringFunc(text, func(m string) string {
			switch name := strings.TrimSpace(m[2 : len(m)-2]); name {
			case "number":
				return strconv.Itoa(n + 1)
			case "count":
				return strconv.Itoa(of)
			case "item":
				return item
			default:
				return values[name]
			}
		})
	}
	return boards.NewTask{
		Title: short(fill(role.Title)), Body: fill(role.Body), Assignee: fill(role.Assignee), Reviewer: fill(role.Reviewer),
		Priority: role.Priority, Skills: slices.Clone(role.Skills), Model: role.Model, Recipe: r.Name + "/" + role.Name,
	}
}

// short makes one line of a title and keeps it readable in a list.
func short(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// number reads a whole number without sign.
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil
}

const fence = "```recipe\n"

// params is what a run needs to make the rest of its recipe.
type params struct {
	Recipe string `json:"recipe"`
	Inputs Inputs `json:"inputs"`
}

// Params writes a recipe's name and inputs so that [ParseParams] finds them at
// the end of a body.
func Params(name string, in Inputs) string {
	b, err := json.Marshal(params{name, in}, json.Deterministic(true))
	if err != nil {
		b, _ = json.Marshal(params{Recipe: name}) // inputs that are not UTF-8 are refused with the body
	}
	return fence + string(b) + "\n```\n"
}

// ParseParams returns what Params wrote last into a body.
func ParseParams(body string) (name string, in Inputs, ok bool) {
	i := strings.LastIndex(body, fence)
	if i < 0 || i > 0 && body[i-1] != '\n' {
		return "", nil, false
	}
	line, _, _ := strings.Cut(body[i+len(fence):], "\n")
	var p params
	if err := json.Unmarshal([]byte(line), &p, json.RejectUnknownMembers(true)); err != nil || p.Recipe == "" {
		return "", nil, false
	}
	return p.Recipe, p.Inputs, true
}
