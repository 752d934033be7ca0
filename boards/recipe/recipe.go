package recipe

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

//go:embed *.yaml
var shipped embed.FS

// maxFile is the size of the largest recipe that is read, in bytes.
const maxFile = 64 << 10

// Recipe is a pipeline as data. Load checks it; it does not change afterwards.
type Recipe struct {
	Name   string  `yaml:"name"`
	About  string  `yaml:"about"`
	Inputs []Input `yaml:"inputs"`
	Roles  []Role  `yaml:"roles"`

	order []int // of the roles, parents first
}

// Input is what a recipe asks for.
type Input struct {
	Name    string  `yaml:"name"`
	About   string  `yaml:"about"`
	Default *string `yaml:"default"` // nil = must be given
	List    bool    `yaml:"list"`    // items separated by commas or lines
}

// Role is one kind of task.
type Role struct {
	Name     string   `yaml:"name"`
	By       string   `yaml:"by"` // role whose run makes these tasks; empty = made at once
	Title    string   `yaml:"title"`
	Body     string   `yaml:"body"`
	Assignee string   `yaml:"assignee"`
	Reviewer string   `yaml:"reviewer"`
	Count    string   `yaml:"count"` // a number, or the input that says it; empty = 1
	Each     string   `yaml:"each"`  // a list input: one task for each item
	After    []After  `yaml:"after"`
	Priority int32    `yaml:"priority"`
	Skills   []string `yaml:"skills"`
	Model    string   `yaml:"model"`
}

// After makes a role wait for all tasks of another.
type After struct {
	Role  string `yaml:"role"`
	Needs string `yaml:"needs"` // pass or any; empty = pass
}

// List returns the names of the recipes in fsys (as NAME.yaml) and of the
// shipped ones, sorted. A nil fsys holds none.
func List(fsys fs.FS) ([]string, error) {
	names := make(map[string]bool)
	for _, f := range []fs.FS{fsys, shipped} {
		if f == nil {
			continue
		}
		files, err := fs.Glob(f, "*.yaml")
		if err != nil {
			return nil, err
		}
		for _, name := range files {
			names[strings.TrimSuffix(name, ".yaml")] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// Load reads and checks the recipe NAME.yaml from fsys, or the shipped one if
// there is none. The error says all that is wrong with it; it is an
// fs.ErrNotExist if there is no such recipe.
func Load(fsys fs.FS, name string) (*Recipe, error) {
	if !boards.Slug(name) {
		return nil, fmt.Errorf("recipe %q: %w", name, fs.ErrNotExist)
	}
	b, err := []byte(nil), fs.ErrNotExist
	if fsys != nil {
		b, err = fs.ReadFile(fsys, name+".yaml")
	}
	if errors.Is(err, fs.ErrNotExist) {
		b, err = shipped.ReadFile(name + ".yaml")
	}
	if err != nil {
		return nil, fmt.Errorf("recipe %s: %w", name, err)
	}
	r, err := Parse(b)
	if err == nil && r.Name != name {
		err = fmt.Errorf("it calls itself %q", r.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("recipe %s: %w", name, err)
	}
	return r, nil
}

// Parse reads and checks a recipe.
func Parse(b []byte) (*Recipe, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("%d bytes, at most %d", len(b), maxFile)
	}
	var r Recipe
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// placeholder is compiled when first needed: every command of the program
// would pay for it otherwise.
var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`) })

var reserved = []string{"number", "count", "item"}

// check returns all problems joined.
func (r *Recipe) check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !boards.Slug(r.Name) {
		bad("name %q: want a-z, 0-9, - and _", r.Name)
	}
	seen := make(map[string]bool)
	for _, in := range r.Inputs {
		if !boards.Slug(in.Name) || slices.Contains(reserved, in.Name) || seen[in.Name] {
			bad("input %q: want a name of its own, not %v", in.Name, reserved)
		}
		seen[in.Name] = true
	}
	if len(r.Roles) == 0 {
		bad("no roles")
	}
	clear(seen)
	for i := range r.Roles {
		role := &r.Roles[i]
		if !boards.Slug(role.Name) || seen[role.Name] {
			bad("role %q: want a name of its own", role.Name)
		}
		seen[role.Name] = true
		r.checkRole(role, bad)
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	return r.sort()
}

func (r *Recipe) checkRole(role *Role, bad func(string, ...any)) {
	if strings.TrimSpace(role.Title) == "" {
		bad("role %s: no title", role.Name)
	}
	if role.Count != "" && role.Each != "" {
		bad("role %s: count or each, not both", role.Name)
	}
	if n, ok := number(role.Count); !ok && role.Count != "" && r.input(role.Count) == nil || ok && (n < 1 || n > events.MaxCommandTasks) {
		bad("role %s: count %q is neither an input nor a number from 1 to %d", role.Name, role.Count, events.MaxCommandTasks)
	}
	if in := r.input(role.Each); role.Each != "" && (in == nil || !in.List) {
		bad("role %s: each %q is not a list input", role.Name, role.Each)
	}
	if role.By != "" {
		switch maker := r.Role(role.By); {
		case maker == nil || maker == role:
			bad("role %s: by %q is not another role", role.Name, role.By)
		case maker.Count != "" || maker.Each != "" || maker.By != "":
			bad("role %s: by %s, which is not a single task made at once", role.Name, role.By)
		}
	}
	for _, a := range role.After {
		parent := r.Role(a.Role)
		switch {
		case parent == nil:
			bad("role %s: after %q is not a role", role.Name, a.Role)
		case parent.By != role.By && parent.Name != role.By:
			bad("role %s: after %s, which is not made together with it", role.Name, a.Role)
		}
		if a.Needs != "" && a.Needs != "pass" && a.Needs != "any" {
			bad("role %s: needs %q, want pass or any", role.Name, a.Needs)
		}
	}
	for _, text := range []string{role.Title, role.Body, role.Assignee, role.Reviewer} {
		for _, m := range placeholder().FindAllStringSubmatch(text, -1) {
			if r.input(m[1]) == nil && !slices.Contains(reserved, m[1]) || m[1] == "item" && role.Each == "" {
				bad("role %s: {{%s}} is not an input", role.Name, m[1])
			}
		}
	}
}

// sort finds an order in which parents come first.
func (r *Recipe) sort() error {
	placed := make(map[string]bool)
	for len(r.order) < len(r.Roles) {
		before := len(r.order)
		for i := range r.Roles {
			role := &r.Roles[i]
			waits := slices.ContainsFunc(role.After, func(a After) bool { return !placed[a.Role] })
			if !placed[role.Name] && !waits {
				placed[role.Name] = true
				r.order = append(r.order, i)
			}
		}
		if len(r.order) == before {
			return errors.New("the roles wait for each other in a circle")
		}
	}
	return nil
}

// Role returns a role by name, or nil.
func (r *Recipe) Role(name string) *Role {
	for i := range r.Roles {
		if r.Roles[i].Name == name {
			return &r.Roles[i]
		}
	}
	return nil
}

func (r *Recipe) input(name string) *Input {
	for i := range r.Inputs {
		if r.Inputs[i].Name == name {
			return &r.Inputs[i]
		}
	}
	return nil
}

// Makes reports whether the run of a role makes further tasks of the recipe.
func (r *Recipe) Makes(role string) bool {
	return slices.ContainsFunc(r.Roles, func(o Role) bool { return o.By != "" && o.By == role })
}
