package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"strings"
)

// ErrUnknown is matched by the error of Registry.Get for a name nobody has.
var ErrUnknown = errors.New("unknown sandbox")

// Registry is the list of backends a program offers, made explicitly by that
// program. It does not change and is safe for concurrent use.
type Registry struct {
	boxes   []*Sandbox
	aliases map[string]string // to names
}

// NewRegistry makes a registry of the given backends, whose names differ.
func NewRegistry(boxes ...*Sandbox) (*Registry, error) {
	seen := make(map[string]bool)
	for _, box := range boxes {
		if seen[box.Name()] {
			return nil, fmt.Errorf("two sandboxes are named %q", box.Name())
		}
		seen[box.Name()] = true
	}
	return &Registry{boxes: append([]*Sandbox(nil), boxes...)}, nil
}

// WithAlias returns a registry in which the backend called name has another
// name as well. It is found by both and listed under its own. The error matches
// ErrUnknown if there is no such backend; an alias that is taken is refused.
func (r *Registry) WithAlias(alias, name string) (*Registry, error) {
	box, err := r.Get(name)
	if err != nil {
		return nil, err
	}
	if other, err := r.Get(alias); err == nil {
		return nil, fmt.Errorf("the name %q is that of sandbox %s", alias, other.Name())
	}
	aliases := map[string]string{alias: box.Name()}
	maps.Copy(aliases, r.aliases)
	return &Registry{boxes: r.boxes, aliases: aliases}, nil
}

// Get returns the backend with that name or alias. The error matches ErrUnknown
// and lists the known names.
func (r *Registry) Get(name string) (*Sandbox, error) {
	if own, ok := r.aliases[name]; ok {
		name = own
	}
	var known []string
	for _, box := range r.boxes {
		if box.Name() == name {
			return box, nil
		}
		known = append(known, box.Name())
	}
	return nil, fmt.Errorf("%w %q (known: %s)", ErrUnknown, name, strings.Join(known, ", "))
}

// Open is Get and then [Sandbox.With].
func (r *Registry) Open(name string, set Settings) (*Sandbox, error) {
	box, err := r.Get(name)
	if err != nil {
		return nil, err
	}
	return box.With(set)
}

// All returns the backends in the order given to NewRegistry.
func (r *Registry) All() []*Sandbox { return append([]*Sandbox(nil), r.boxes...) }
