package runtime

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// SkillsDir is the folder of an attempt's skills in Places.Config.
const SkillsDir = "skills"

// Skill is something that an agent can read up on: a folder of its name in
// [SkillsDir] with a SKILL.md and what that refers to.
type Skill struct {
	Name   string
	About  string // when it is of use, on a line
	Text   string // SKILL.md
	Wanted bool   // the task asks for it
}

// readers are the tools of each runtime with which an agent can read a file.
// Others read with no tool at all, or not.
var readers = map[string][]string{
	"claude": {"Read", "Bash"}, "codex": {"shell"}, "opencode": {"read", "bash"},
	"model": {"read", "shell"}, "hermes": {"file", "terminal", "code_execution"},
}

// maxSkillText bounds the skills that are told in full, in bytes.
const maxSkillText = 24 << 10

// reads are the folders that an agent may read besides those of its run.
func (f *Facts) reads() []string {
	if len(f.Skills) == 0 {
		return f.Mounts
	}
	return append(slices.Clone(f.Mounts), path.Join(f.Places.Config, SkillsDir))
}

// told is what the agent is told besides its task: its instructions, and what
// it can read up on. No program's own idea of skills is used: each has another,
// takes them from places that a workspace can add to, and reads none if it is
// kept to what the plan says.
func (f *Facts) told() string {
	if len(f.Skills) == 0 {
		return f.Agent.Told
	}
	var b strings.Builder
	if f.Agent.Told != "" {
		b.WriteString(strings.TrimRight(f.Agent.Told, "\n") + "\n\n")
	}
	b.WriteString("# Skills\n\n")
	if f.canRead() {
		b.WriteString("What is known about how to do certain things. Before you do one of them, read its file; it may name others beside it.\n\n")
		for _, s := range f.Skills {
			fmt.Fprintf(&b, "- %s: %s\n", path.Join(f.Places.Config, SkillsDir, s.Name, "SKILL.md"), s.line())
		}
		return b.String()
	}
	b.WriteString("What is known about how to do certain things.\n")
	left := maxSkillText
	for _, s := range f.Skills {
		if len(s.Text) > left {
			fmt.Fprintf(&b, "\n(The skill %s is left out: it is too long for an agent that cannot read files.)\n", s.Name)
			continue
		}
		left -= len(s.Text)
		fmt.Fprintf(&b, "\n## %s: %s\n\n%s\n", s.Name, s.line(), strings.TrimSpace(s.Text))
	}
	return b.String()
}

func (s *Skill) line() string {
	if s.Wanted {
		return strings.TrimSpace(s.About + " Your task asks for this one.")
	}
	return s.About
}

// canRead reports whether one of the agent's own tools reads files.
func (f *Facts) canRead() bool {
	return slices.ContainsFunc(f.Agent.Runtime.Tools, func(tool string) bool { // Read(/ws/**) is not enough
		return slices.Contains(readers[f.Agent.Runtime.Kind], tool)
	})
}
