package mcp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	jsonx "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// kind is the type of an argument.
type kind uint8

const (
	text kind = iota
	integer
	count // an integer that is not negative
	yesno
	object
	texts
	task // the id of a task
	tasks
)

var kindNames = []string{text: "a string", integer: "an integer", count: "an integer, at least 0", yesno: "true or false",
	object: "an object", texts: "an array of strings", task: "the id of a task, for example \"t42\"", tasks: "an array of ids of tasks, for example [\"t42\"]"}

// arg is an argument of a tool, as the model is told and as it is checked.
type arg struct {
	name     string
	kind     kind
	what     string
	one      []string // all it may be; nil = anything
	required bool
}

// schema describes the arguments the way models read it.
func schema(args []arg) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, a := range args {
		p := map[string]any{"description": a.what}
		switch a.kind {
		case text, task:
			p["type"] = "string"
		case integer:
			p["type"] = "integer"
		case count:
			p["type"], p["minimum"] = "integer", 0
		case yesno:
			p["type"] = "boolean"
		case object:
			p["type"] = "object"
		case texts, tasks:
			p["type"], p["items"] = "array", map[string]any{"type": "string"}
		}
		if a.one != nil {
			p["enum"] = a.one
		}
		if a.required {
			required = append(required, a.name)
		}
		properties[a.name] = p
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// arguments holds the arguments of any tool; which ones a tool has is checked before.
type arguments struct {
	Task        events.TaskID    `json:"task_id"`
	Key         string           `json:"idempotency_key"`
	Title       string           `json:"title"`
	Body        string           `json:"body"`
	Assignee    string           `json:"assignee"`
	Status      events.Status    `json:"status"`
	Archived    bool             `json:"include_archived"`
	Limit       int              `json:"limit"`
	Parents     []string         `json:"parents"`
	Needs       events.Needs     `json:"needs"`
	Priority    int32            `json:"priority"`
	Triage      bool             `json:"triage"`
	PlaceKind   string           `json:"workspace_kind"`
	PlacePath   string           `json:"workspace_path"`
	MaxRuntime  int32            `json:"max_runtime_seconds"`
	Parent      events.TaskID    `json:"parent_id"`
	Child       events.TaskID    `json:"child_id"`
	Verdict     events.Verdict   `json:"verdict"`
	Summary     string           `json:"summary"`
	Result      string           `json:"result"`
	Metadata    jsontext.Value   `json:"metadata"`
	Artifacts   []string         `json:"artifacts"`
	Created     []events.TaskID  `json:"created_cards"`
	Reviewer    string           `json:"reviewer"`
	Reason      string           `json:"reason"`
	Block       events.BlockKind `json:"kind"`
	Options     []string         `json:"options"`
	Answer      string           `json:"answer"`
	Note        string           `json:"note"`
	Done        uint32           `json:"done"`
	Total       uint32           `json:"total"`
	Path        string           `json:"path"`
	FileName    string           `json:"filename"`
	FileContent *string          `json:"content_base64"`
}

// read checks the arguments of a call against those the tool has. An argument
// that is null is taken as not given.
func (t *tool) read(raw json.RawMessage) (arguments, error) {
	var a arguments
	given := map[string]jsontext.Value{}
	if len(raw) > 0 && string(raw) != "null" {
		if jsontext.Value(raw).Kind() != '{' {
			return a, badCall("", "the arguments of %s are an object", t.name)
		}
		if err := jsonx.Unmarshal(raw, &given); err != nil {
			return a, badCall("", "%s: %.300s", t.name, err.Error())
		}
	}
	for _, name := range sorted(given) {
		i := slices.IndexFunc(t.args, func(a arg) bool { return a.name == name })
		switch {
		case i < 0:
			return a, badCall(nearest(name, t.names()), "%s has no argument %.100q", t.name, name)
		case given[name].Kind() == 'n':
			delete(given, name)
		default:
			if err := t.args[i].check(t.name, given[name]); err != nil {
				return a, err
			}
		}
	}
	for _, arg := range t.args {
		if _, ok := given[arg.name]; arg.required && !ok {
			return a, badCall(arg.name+": "+arg.what, "%s wants %s", t.name, arg.name)
		}
	}
	clean, err := jsonx.Marshal(given, jsonx.Deterministic(true))
	if err == nil {
		err = jsonx.Unmarshal(clean, &a)
	}
	if err != nil {
		return a, badCall("", "%s: %.300s", t.name, err.Error())
	}
	return a, nil
}

func (a *arg) check(tool string, v jsontext.Value) error {
	ok := false
	switch k := v.Kind(); a.kind {
	case text:
		ok = k == '"'
	case integer, count:
		n, err := strconv.ParseInt(string(v), 10, 32)
		ok = err == nil && (a.kind == integer || n >= 0)
	case yesno:
		ok = k == 't' || k == 'f'
	case object:
		ok = k == '{'
	case texts:
		var list []jsontext.Value
		ok = k == '[' && jsonx.Unmarshal(v, &list) == nil && !slices.ContainsFunc(list, func(v jsontext.Value) bool { return v.Kind() != '"' })
	case task:
		var id events.TaskID
		ok = k == '"' && jsonx.Unmarshal(v, &id) == nil
	case tasks:
		var ids []events.TaskID
		ok = k == '[' && jsonx.Unmarshal(v, &ids) == nil
	}
	if !ok {
		return badCall(a.name+": "+a.what, "%s of %s is %s, not %.60s", a.name, tool, kindNames[a.kind], v)
	}
	if a.one == nil {
		return nil
	}
	var word string
	if err := jsonx.Unmarshal(v, &word); err != nil || !slices.Contains(a.one, word) {
		return badCall("one of: "+strings.Join(a.one, ", "), "%s of %s is not %.60s", a.name, tool, v)
	}
	return nil
}

func (t *tool) names() []string {
	out := make([]string, len(t.args))
	for i, a := range t.args {
		out[i] = a.name
	}
	return out
}

func sorted(m map[string]jsontext.Value) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// nearest is a hint: the name that was meant, or all there are.
func nearest(name string, among []string) string {
	if best := worker.Nearest(name, among); best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	if len(among) == 0 {
		return "it takes no arguments"
	}
	return "its arguments: " + strings.Join(among, ", ")
}

func badCall(hint, format string, v ...any) *worker.Error {
	return &worker.Error{Code: string(boards.CodeBadCommand), Message: fmt.Sprintf(format, v...), Hint: hint}
}
