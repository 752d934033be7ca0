package profile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hermesboard/hermes/agents"
)

// toolsets are the groups of tools by the public Python system's names that
// the model agent's own tools belong to. It has no others.
var toolsets = map[string][]string{
	"file":           {"read", "write", "list"},
	"terminal":       {"shell"},
	"code_execution": {"shell"},
}

// Apply gives an agent of the profile what it leaves out and the profile says,
// and takes from it what the profile forbids. The error is a [*agents.Problem]
// if its runtime cannot be kept from what is forbidden.
func (p *Profile) Apply(a *agents.Agent) error {
	fill(reflect.ValueOf(&a.Terminal).Elem(), reflect.ValueOf(&p.Config.Terminal.Terminal).Elem())
	return p.disable(a)
}

// fill sets the fields of a struct that are zero. Variables are given one by one.
func fill(to, from reflect.Value) {
	for i := range to.NumField() {
		field, value := to.Field(i), from.Field(i)
		switch {
		case field.IsZero():
			field.Set(value)
		case field.Kind() == reflect.Map:
			merged := reflect.MakeMap(field.Type()) // the agent's own map stays as it is
			for _, m := range []reflect.Value{value, field} {
				for it := m.MapRange(); it.Next(); {
					merged.SetMapIndex(it.Key(), it.Value())
				}
			}
			field.Set(merged)
		}
	}
}

// disable takes away the toolsets that the profile's agents may not use.
func (p *Profile) disable(a *agents.Agent) error {
	off := p.Config.Agent.DisabledToolsets
	if len(off) == 0 {
		return nil
	}
	switch a.Runtime.Kind {
	case "builtin": // it has its board's tools only
	case "hermes": // it is given the toolsets that are named, and no others
		a.Runtime.Tools = without(a.Runtime.Tools, off)
	case "model":
		for _, set := range off {
			a.Runtime.Tools = without(a.Runtime.Tools, toolsets[set])
		}
	default:
		return &agents.Problem{Code: "agent_config", Agent: a.Name, Detail: fmt.Sprintf(
			"agent %s: runtime %s has no toolsets that could be switched off, but agent.disabled_toolsets of profile %s names %s; say in runtime.tools which tools it may use, and hermes -p %s config unset agent.disabled_toolsets",
			a.Name, a.Runtime.Kind, p.Name, strings.Join(off, ", "), p.Name)}
	}
	return nil
}

func without(list, off []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(off, s) })
}

// Agent loads an agent of the profile as it is started: with what the profile
// adds and takes away, and told its SOUL.md if it has no instructions. Any error is a [*agents.Problem].
func (p *Profile) Agent(name string) (*agents.Agent, error) {
	a, err := agents.Load(p.Dir, name)
	if err != nil {
		return nil, err
	}
	if err := p.Apply(a); err != nil {
		return nil, err
	}
	if a.Told == "" && a.Instructions == "" && a.Honours("instructions") {
		if a.Told, err = p.soul(); err != nil {
			return nil, &agents.Problem{Code: "agent_config", Agent: name, Detail: fmt.Sprintf("profile %s: %v", p.Name, err)}
		}
	}
	if err := a.Validate(); err != nil {
		return nil, &agents.Problem{Code: "agent_config", Agent: name, Detail: fmt.Sprintf("agent %s with the terminal of profile %s: %v", name, p.Name, err)}
	}
	return a, nil
}

// maxSoul is what agents may be told at most, in bytes.
const maxSoul = 64 << 10

// soul is what agents are told that have no instructions of their own.
func (p *Profile) soul() (string, error) {
	b, err := readConfig(filepath.Join(p.Dir, soulFile))
	if err == nil && (len(b) > maxSoul || !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0) {
		err = fmt.Errorf("%s is not a text of at most %d bytes", soulFile, maxSoul)
	}
	return string(b), err
}
