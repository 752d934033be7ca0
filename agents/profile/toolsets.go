package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents"
)

// toolsets are groups of tools by the public Python system's names, and which
// tools of each runtime belong to them. An agent has no tools but those that its
// configuration lists, so a set that is not here, or not in its runtime, is one
// that it does not have.
var toolsets = map[string]map[string][]string{
	"model": {
		"file": {"read", "write", "list"}, "terminal": {"shell"}, "code_execution": {"shell"},
	},
	"claude": {
		"file":     {"Read", "Write", "Edit", "MultiEdit", "NotebookEdit", "NotebookRead", "Glob", "Grep", "LS", "LSP"},
		"terminal": {"Bash", "BashOutput", "KillShell", "PowerShell", "Monitor"}, "code_execution": {"Bash", "BashOutput", "KillShell", "PowerShell", "Monitor"},
		"web": {"WebFetch", "WebSearch"}, "search": {"WebSearch"},
		"delegation": {"Task", "Agent", "TaskOutput", "TaskStop", "SendMessage"}, "todo": {"TodoWrite", "TaskCreate", "TaskGet", "TaskList", "TaskUpdate"},
		"skills": {"Skill"}, "clarify": {"AskUserQuestion"}, "cronjob": {"CronCreate", "CronDelete", "CronList"},
	},
	"codex": {
		"file": {"apply_patch"}, "terminal": {"shell"}, "code_execution": {"shell"}, "vision": {"view_image"},
	},
	"opencode": {
		"file":     {"read", "write", "edit", "multiedit", "patch", "apply_patch", "glob", "grep", "list", "lsp"},
		"terminal": {"bash"}, "code_execution": {"bash"},
		"web": {"webfetch", "websearch", "codesearch"}, "search": {"websearch", "codesearch"},
		"delegation": {"task"}, "todo": {"todowrite", "todoread"}, "skills": {"skill"}, "clarify": {"question"},
	},
}

// The groups of the board's own tools, and of what reads skills.
const (
	boardToolset = "kanban"
	skillToolset = "skills"
)

// Toolsets are the names of the groups of tools that are known here, sorted.
// There may be others: agent.disabled_toolsets is not bound to them.
func Toolsets() []string {
	names := map[string]bool{}
	for _, sets := range toolsets {
		for name := range sets {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// disable takes away the toolsets that the profile's agents may not use.
func (p *Profile) disable(a *agents.Agent) error {
	off := p.Config.Agent.DisabledToolsets
	if len(off) == 0 {
		return nil
	}
	refuse := func(format string, v ...any) error {
		return &agents.Problem{Code: "agent_config", Agent: a.Name, Detail: fmt.Sprintf("agent %s: agent.disabled_toolsets of profile %s names %s, but ", a.Name, p.Name, strings.Join(off, ", ")) +
			fmt.Sprintf(format, v...)}
	}
	a.NoSkills = slices.Contains(off, skillToolset)
	sets, known := toolsets[a.Runtime.Kind]
	switch {
	case slices.Contains(off, boardToolset):
		return refuse("the tools of its board cannot be switched off: an agent without them could give no verdict")
	case a.Runtime.Kind == "builtin": // it has its board's tools only
		return nil
	case a.Runtime.Kind == "hermes": // it is given the toolsets that are named, and no others
		a.Runtime.Tools = slices.DeleteFunc(slices.Clone(a.Runtime.Tools), func(set string) bool { return slices.Contains(off, set) })
		return nil
	case !known:
		return refuse("runtime %s cannot honour that: nobody here knows the tools of its program; hermes -p %s config unset agent.disabled_toolsets", a.Runtime.Kind, p.Name)
	}
	var left []string
	for _, tool := range a.Runtime.Tools {
		name, _, _ := strings.Cut(tool, "(") // Bash(git log:*)
		in := setsOf(sets, name)
		if len(in) == 0 {
			return refuse("which group the tool %s of runtime %s belongs to is not known here: take it out of runtime.tools", name, a.Runtime.Kind)
		}
		if !slices.ContainsFunc(in, func(set string) bool { return slices.Contains(off, set) }) {
			left = append(left, tool)
		}
	}
	a.Runtime.Tools = left
	return nil
}

// setsOf are the groups that a tool belongs to.
func setsOf(sets map[string][]string, tool string) (in []string) {
	for name, tools := range sets {
		if slices.Contains(tools, tool) {
			in = append(in, name)
		}
	}
	return in
}
