//go:build linux

package runtime

import (
	"slices"
	"strings"
	"testing"
)

// toldBy is all that a plan tells an agent besides its prompt, wherever that
// stands.
func toldBy(p *Plan) string {
	return strings.Join(p.Argv, "\n") + p.Files[instructionsFile] + p.Files["model.json"] + strings.ReplaceAll(p.Stdin, "the prompt", "")
}

// TestPlanSkills looks at how each runtime learns of skills, with a tool that
// reads files and without.
func TestPlanSkills(t *testing.T) {
	const file = "/agent/skills/prices/SKILL.md"
	for kind, tools := range readers {
		t.Run(kind, func(t *testing.T) {
			f := facts(t, kind)
			f.Agent.Told = "Be brief."
			f.Skills = []Skill{{Name: "prices", About: "How prices are compared.", Text: "Divide by the weight.", Wanted: true}, {Name: "rest", Text: "Take a break."}}
			for _, tool := range tools {
				f.Agent.Runtime.Tools = []string{tool}
				p, err := adapters[kind].Plan(f)
				if err != nil {
					t.Fatal(err)
				}
				if got := toldBy(p); !strings.Contains(got, "Be brief.") || !strings.Contains(got, file+": How prices are compared. Your task asks for this one.") || strings.Contains(got, "Divide") {
					t.Errorf("with the tool %s got %s\nwant the instructions and where the skill is", tool, got)
				}
				all := toldBy(p) + p.Files["opencode.json"]
				if kind != "codex" && kind != "hermes" && !strings.Contains(strings.ReplaceAll(all, file, ""), "/agent/skills") {
					t.Errorf("with the tool %s the folder may not be read: %s", tool, all)
				}
			}
			f.Agent.Runtime.Tools = nil
			f.Skills = append(f.Skills, Skill{Name: "long", Text: strings.Repeat("x", maxSkillText)})
			p, err := adapters[kind].Plan(f)
			if err != nil {
				t.Fatal(err)
			}
			if got := toldBy(p); !strings.Contains(got, "Divide by the weight.") || !strings.Contains(got, "The skill long is left out") || strings.Contains(got, "xxx") {
				t.Errorf("without a tool got %s\nwant the skills themselves", got)
			}
		})
	}
	f := facts(t, "claude")
	f.Agent.Runtime.Tools = []string{"Read(/ws/**)"} // another folder is not read with it
	f.Skills = []Skill{{Name: "prices", Text: "Divide by the weight."}}
	if p, err := (claude{}).Plan(f); err != nil || !strings.Contains(toldBy(p), "Divide") || !slices.Contains(p.Argv, "/agent/skills") {
		t.Errorf("got %v, %q", err, p.Argv)
	}
}

// readTools are how the programs read a file.
var readTools = map[string]struct {
	tool string // as the configuration calls it
	call func(file string) reply
}{
	"claude": {"Read", func(file string) reply { return reply{Tool: "Read", Args: map[string]any{"file_path": file}} }},
	"codex": {"shell", func(file string) reply {
		return reply{Tool: "exec_command", Args: map[string]any{"cmd": "cat " + file}}
	}},
	"opencode": {"read", func(file string) reply { return reply{Tool: "read", Args: map[string]any{"filePath": file}} }},
}

// testSkills has an agent read a skill where it was told that there is one.
func testSkills(t *testing.T, s subject) {
	a := s.agent
	read := readTools[a.Runtime.Kind]
	a.Runtime.Tools = []string{read.tool}
	b := s.bench(t, a)
	b.skills = []Skill{{Name: "prices", About: "How prices are compared.", Text: "Divide by the weight, 7f3a."}}
	const file = "/agent/skills/prices/SKILL.md"
	b.model.Script = script(read.call(file), reply{Tool: "kanban_complete", Args: map[string]any{"summary": "done"}})
	r := b.run(false)
	asked := b.model.Requests()
	if !asked[0].Heard(file+": How prices are compared.") || asked[0].Heard("7f3a") || !strings.Contains(r.log, "Divide by the weight, 7f3a.") {
		t.Errorf("the agent did not find the skill\n%s", r)
	}
	b = s.bench(t, s.agent) // without a tool that reads
	b.skills = []Skill{{Name: "prices", Text: "Divide by the weight, 7f3a."}}
	b.model.Script = script(reply{Tool: "kanban_complete", Args: map[string]any{"summary": "done"}})
	if b.run(false); !b.model.Requests()[0].Heard("Divide by the weight, 7f3a.") {
		t.Error("the agent was not told the skill")
	}
}
