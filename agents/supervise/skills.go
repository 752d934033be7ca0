package supervise

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/agents/runtime"
)

// skills puts the skills of the agent's profile among the files of its plan,
// as they are now: what is changed in the profile meanwhile is for the next
// attempt. One that the task asks for has to be there.
func (r *run) skills() ([]runtime.Skill, error) {
	agent := &r.spec.Agent
	if agent.Runtime.Kind == "builtin" || agent.Dir == "" { // knows what it knows; belongs to no profile
		return nil, nil
	}
	if agent.NoSkills {
		if wanted := r.detail.Skills; len(wanted) > 0 {
			return nil, fmt.Errorf("the task asks for the skill %s, but skills are switched off by agent.disabled_toolsets of the profile", wanted[0])
		}
		return nil, nil
	}
	dir := filepath.Dir(filepath.Dir(agent.Dir)) // <profile>/agents/<name>
	given, err := profile.GiveSkills(dir, filepath.Join(r.spec.Dir(), configDir, runtime.SkillsDir))
	if err != nil {
		return nil, err
	}
	var skills []runtime.Skill
	for _, s := range given {
		skills = append(skills, runtime.Skill{Name: s.Name, About: s.About, Text: s.Text, Wanted: slices.Contains(r.detail.Skills, s.Name)})
	}
	for _, name := range r.detail.Skills {
		if !slices.ContainsFunc(given, func(s profile.GivenSkill) bool { return s.Name == name }) {
			return nil, fmt.Errorf("the task asks for the skill %s, which is not in %s", name, filepath.Join(dir, "skills"))
		}
	}
	return skills, nil
}
