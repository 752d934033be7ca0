package cron

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
)

// Entry is a file of the cron folder.
type Entry struct {
	Name     string `yaml:"-" json:"name"`
	Schedule string `yaml:"schedule" json:"schedule"`
	TimeZone string `yaml:"time_zone,omitempty" json:"time_zone,omitzero"` // IANA name; empty = the host's
	Missed   Missed `yaml:"missed,omitempty" json:"missed,omitzero"`       // skip, once (default) or all
	Paused   bool   `yaml:"paused,omitempty" json:"paused,omitzero"`
	Board    string `yaml:"board" json:"board"`
	Task     Task   `yaml:"task" json:"task"`
}

// Task is what an entry makes at each tick.
type Task struct {
	Title      string   `yaml:"title" json:"title"`
	Body       string   `yaml:"body,omitempty" json:"body,omitzero"`
	Assignee   string   `yaml:"assignee,omitempty" json:"assignee,omitzero"`
	Reviewer   string   `yaml:"reviewer,omitempty" json:"reviewer,omitzero"`
	Tenant     string   `yaml:"tenant,omitempty" json:"tenant,omitzero"`
	Priority   int32    `yaml:"priority,omitempty" json:"priority,omitzero"`
	Workspace  string   `yaml:"workspace,omitempty" json:"workspace,omitzero"`     // scratch (default), dir:/path or repo:/path
	MaxRuntime string   `yaml:"max_runtime,omitempty" json:"max_runtime,omitzero"` // for example 2h
	Model      string   `yaml:"model,omitempty" json:"model,omitzero"`
	Skills     []string `yaml:"skills,omitempty" json:"skills,omitzero"`
}

// MaxEntry bounds a file, in bytes.
const MaxEntry = 128 << 10

// ValidName reports whether s can name an entry: lower-case letters, digits, -
// and _, at most 64, the first a letter or digit.
func ValidName(s string) bool {
	return s != "" && len(s) <= 64 && s[0] != '-' && s[0] != '_' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// ErrUnknown is matched by the error of Load for an entry that is not there.
var ErrUnknown = errors.New("there is no such entry")

// Check says what is wrong with an entry.
func (e *Entry) Check() error {
	if !ValidName(e.Name) {
		return fmt.Errorf("%q cannot name an entry (want lower-case letters, digits, - and _)", e.Name)
	}
	if _, err := ParseSchedule(e.Schedule, e.TimeZone); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]Missed{"", Skip, Once, All}, e.Missed):
		return fmt.Errorf("missed: %q is none of skip, once and all", e.Missed)
	case e.Board == "":
		return errors.New("it names no board")
	case strings.TrimSpace(e.Task.Title) == "":
		return errors.New("its task has no title")
	}
	_, err := e.Command()
	return err
}

// Command is what a tick does.
func (e *Entry) Command() (boards.CreateTasks, error) {
	t := &e.Task
	ws, err := worker.ParseWorkspace(t.Workspace)
	if err != nil {
		return boards.CreateTasks{}, err
	}
	var long time.Duration
	if t.MaxRuntime != "" {
		if long, err = time.ParseDuration(t.MaxRuntime); err != nil || long < 0 {
			return boards.CreateTasks{}, fmt.Errorf("max_runtime: %q is not a duration (want for example 2h)", t.MaxRuntime)
		}
	}
	return boards.CreateTasks{Tasks: []boards.NewTask{{Title: t.Title, Body: t.Body, Assignee: t.Assignee, Reviewer: t.Reviewer, Tenant: t.Tenant,
		Priority: t.Priority, Workspace: ws, MaxRuntimeMS: long.Milliseconds(), Model: t.Model, Skills: t.Skills}}}, nil
}

func file(dir, name string) string { return filepath.Join(dir, name+".yaml") }
func mark(dir, name string) string { return filepath.Join(dir, name+".last") }

// Load reads an entry of a folder and checks it. The error matches [ErrUnknown]
// if there is none of that name.
func Load(dir, name string) (*Entry, error) {
	if !ValidName(name) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	info, err := os.Lstat(file(dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > MaxEntry:
		return nil, fmt.Errorf("cron %s: not a regular file of at most %d bytes", name, MaxEntry)
	}
	b, err := os.ReadFile(file(dir, name))
	if err != nil {
		return nil, err
	}
	e := &Entry{}
	if err := yaml.UnmarshalWithOptions(b, e, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("cron %s: %w", name, err)
	}
	e.Name = name
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("cron %s: %w", name, err)
	}
	return e, nil
}

// List returns the names of the entries of a folder, sorted.
func List(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range list {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && ValidName(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Save writes an entry, whole or not at all.
func Save(dir string, e *Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	b, err := yaml.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return replace(file(dir, e.Name), b)
}

// Remove removes an entry and its mark.
func Remove(dir, name string) error {
	if _, err := os.Lstat(file(dir, name)); !ValidName(name) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if err := os.Remove(file(dir, name)); err != nil {
		return err
	}
	if err := os.Remove(mark(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Last returns up to when the ticks of an entry have been dealt with; false if
// nobody has looked at it yet, or what stands there cannot be read.
func Last(dir, name string) (time.Time, bool) {
	b, err := os.ReadFile(mark(dir, name))
	if err != nil {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(string(b)))
	return t, err == nil
}

// SetLast notes up to when the ticks of an entry have been dealt with.
func SetLast(dir, name string, t time.Time) error {
	return replace(mark(dir, name), []byte(t.UTC().Format(time.RFC3339)+"\n"))
}

// replace writes a file under another name and renames it.
func replace(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	if err = cmp.Or(err, f.Sync()); err != nil {
		f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
