package profile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"unicode/utf8"

	"github.com/hermesboard/hermes/agents"
)

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
