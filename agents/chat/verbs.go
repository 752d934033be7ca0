package chat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents/worker"
)

// Role is what a person may do.
type Role uint8

// The roles; each may do what those before it may. The zero value may nothing.
const (
	Nobody Role = iota
	Viewer      // looks
	Member      // creates, comments, answers
	Owner       // all that exists in chat
)

var roleNames = []string{"nobody", "viewer", "member", "owner"}

// String returns the role's name.
func (r Role) String() string { return roleNames[r] }

// ParseRole reads a role's name; empty is member.
func ParseRole(s string) (Role, error) {
	if s == "" {
		return Member, nil
	}
	if i := slices.Index(roleNames, s); i > 0 {
		return Role(i), nil
	}
	return Nobody, fmt.Errorf("%q is no role (want owner, member or viewer)", s)
}

// Verb is a verb of hermes kanban that exists in chat.
type Verb struct {
	Needs Role
	Flags []string // that may be given, by their long names
	Table bool     // its answer is lines of fixed width
}

// Table lists the verbs of hermes kanban that exist in chat, by their names. What
// is not listed does not exist there: nothing that follows, waits, reads or
// writes a file of the host, or reaches beyond the board.
var Table = map[string]Verb{
	"list":        {Viewer, []string{"status", "assignee", "tenant", "limit", "sort", "archived"}, true},
	"show":        {Viewer, nil, true},
	"why":         {Viewer, nil, true},
	"runs":        {Viewer, []string{"state-type", "state-name"}, true},
	"stats":       {Viewer, nil, true},
	"inbox":       {Viewer, nil, true},
	"attachments": {Viewer, nil, true},

	"create":          {Member, createFlags, false},
	"edit":            {Member, []string{"title", "body", "priority", "assignee", "tenant", "model", "max-runtime", "max-retries", "reviewer", "skill"}, false},
	"assign":          {Member, []string{"reclaim", "reason"}, false},
	"reassign":        {Member, []string{"reclaim", "reason"}, false},
	"prioritize":      {Member, nil, false},
	"link":            {Member, []string{"needs"}, false},
	"unlink":          {Member, nil, false},
	"comment":         {Member, nil, false},
	"complete":        {Member, []string{"fail", "summary", "result"}, false},
	"cancel":          {Member, []string{"reason"}, false},
	"block":           {Member, []string{"kind", "option", "reason", "ids"}, false},
	"unblock":         {Member, []string{"choice", "reason", "note", "fresh"}, false},
	"retry":           {Member, []string{"model", "note", "fresh"}, false},
	"stop":            {Member, []string{"reason"}, false},
	"schedule":        {Member, []string{"at", "reason"}, false},
	"promote":         {Member, []string{"reason", "ids"}, false},
	"reopen":          {Member, []string{"reason"}, false},
	"request-review":  {Member, []string{"reviewer", "summary"}, false},
	"request-changes": {Member, []string{"reason"}, false},
	"approve":         {Member, []string{"summary"}, false},

	"reclaim":     {Owner, []string{"reason"}, false},
	"archive":     {Owner, []string{"reason", "ids"}, false},
	"set-model":   {Owner, nil, false},
	"diagnostics": {Owner, []string{"severity", "task"}, true},
	"context":     {Owner, nil, true},
}

var createFlags = []string{"body", "assignee", "parent", "tenant", "priority", "triage", "at", "idempotency-key", "max-runtime",
	"max-retries", "reviewer", "skill", "model", "initial-status"}

// always are flags of every verb.
var always = []string{"json", "quiet"}

// Denied is why something is not done in chat.
type Denied struct{ Message, Hint string }

// Error returns the message.
func (d *Denied) Error() string { return d.Message }

// Check says whether somebody may use a verb with flags, all by their names in
// [Table]. With a pinned tenant its flag does not exist.
func Check(role Role, readOnly, pinned bool, verb string, flags []string) error {
	v, ok := Table[verb]
	if !ok {
		d := &Denied{Message: fmt.Sprintf("there is no %s in chat", clean(verb, 60)), Hint: "/kanban help lists what there is"}
		if near := worker.Nearest(verb, names()); near != "" {
			d.Hint = "did you mean /kanban " + near + "?"
		}
		return d
	}
	switch {
	case role < v.Needs:
		return &Denied{Message: fmt.Sprintf("%s is not for you: you are a %s here", verb, role), Hint: "an owner can change that"}
	case readOnly && v.Needs > Viewer:
		return &Denied{Message: "nothing can be changed from here"}
	}
	for _, f := range flags {
		if !slices.Contains(v.Flags, f) && !slices.Contains(always, f) || pinned && f == "tenant" {
			return &Denied{Message: fmt.Sprintf("%s has no --%s in chat", verb, clean(f, 60))}
		}
	}
	return nil
}

// names lists the verbs, sorted.
func names() []string {
	list := make([]string, 0, len(Table))
	for v := range Table {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

// help lists what somebody may type.
func help(role Role) string {
	var b strings.Builder
	for _, r := range []Role{Viewer, Member, Owner} {
		var words []string
		for _, v := range names() {
			if Table[v].Needs == r && r <= role {
				words = append(words, v)
			}
		}
		if len(words) > 0 {
			b.WriteString(strings.Join(words, ", ") + "\n\n")
		}
	}
	return b.String()
}
