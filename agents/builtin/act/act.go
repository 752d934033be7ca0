// Package act plays the builtin agents: it connects the text work of package
// builtin to a task through the worker socket. It runs inside the sandbox.
//
// The orchestrator divides the question over researchers and a writer who
// waits for them; a researcher reads its documents and hands over notes; the
// writer merges the notes it is handed into a brief. None of them calls a
// model or the network.
package act

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents/builtin"
	"github.com/hermesboard/hermes/agents/worker"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/recipe"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// Env is what a builtin agent sees of its sandbox.
type Env struct {
	Client  *worker.Client
	Sources string // folder of documents; empty = none given
	Inputs  string // folder of the parents' files
	Outputs string // folder for results
	Warn    func(string)
}

// Names of the files that builtin agents hand to each other and to people.
const (
	notesFile = "notes.json"
	notesText = "notes.md"
	briefFile = "brief.md"
)

const (
	maxNotesBytes = 16 << 20
	maxWarnings   = 20
)

// Run plays the agent named (orchestrator, researcher or writer) and returns
// when it has given its verdict. A task it cannot do ends with a fail verdict
// or a question, not with an error; an error means that the board could not be
// reached.
func Run(ctx context.Context, name string, env Env) error {
	role, ok := map[string]func(context.Context, Env, *projections.Detail) (worker.Complete, error){
		"orchestrator": orchestrate, "researcher": research, "writer": write,
	}[name]
	if !ok {
		return fmt.Errorf("there is no builtin agent %q", name)
	}
	if env.Warn == nil {
		env.Warn = func(string) {}
	}
	var own *worker.Answer
	err := patiently(ctx, func() (err error) { own, err = env.Client.Own(ctx); return err })
	if err != nil {
		return err
	}
	done, err := role(ctx, env, own.Task)
	var refused *worker.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // told to stop: that says nothing about the task
	case errors.As(err, &refused) && refused.Retry:
		return err
	case err != nil:
		done = worker.Complete{Verdict: events.Fail, Summary: plainly(err)}
	}
	done.Key = "verdict"
	return patiently(ctx, func() error { _, err := env.Client.Call(ctx, "complete", done); return err })
}

// patiently calls do again while the board is busy or the calls are too fast.
func patiently(ctx context.Context, do func() error) error {
	for wait := 250 * time.Millisecond; ; wait *= 2 {
		err := do()
		var e *worker.Error
		if !errors.As(err, &e) || !e.Retry || wait > 8*time.Second {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// plainly says what went wrong in a line that fits a summary.
func plainly(err error) string {
	s := strings.Join(strings.Fields(strings.ToValidUTF8(err.Error(), "?")), " ")
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + " …"
	}
	return s
}

// orchestrate makes the rest of the recipe its task came from: the question is
// divided over the researchers, and a writer waits for them.
func orchestrate(ctx context.Context, env Env, d *projections.Detail) (worker.Complete, error) {
	if len(d.Children) > 0 && len(d.Runs) > 1 {
		return worker.Complete{Summary: "the plan was made by an earlier attempt, which was cut off; it goes on"}, nil
	}
	name, inputs, ok := recipe.ParseParams(d.Body)
	if !ok {
		name, inputs = "research", recipe.Inputs{"topic": strings.TrimSpace(d.Title + "\n" + d.Body)}
	}
	rec, err := recipe.Load(nil, name)
	if err != nil {
		return worker.Complete{}, err
	}
	corpus, err := load(env)
	if err != nil {
		return worker.Complete{}, err
	}
	wanted, err := strconv.Atoi(rec.Value("researchers", inputs))
	if err != nil {
		return worker.Complete{}, fmt.Errorf("recipe %s: researchers: %w", name, err)
	}
	parts := builtin.Plan(inputs["topic"], corpus, wanted)
	team := strings.FieldsFunc(rec.Value("team", inputs), func(r rune) bool { return r == ',' || r == ' ' })
	if len(team) == 0 {
		return worker.Complete{}, fmt.Errorf("recipe %s: nobody is named to research", name)
	}
	var shapeErr error
	plan := recipe.Plan{Counts: map[string]int{"researcher": len(parts)}, Shape: func(role string, i int, t *boards.NewTask) {
		if role != "researcher" {
			return
		}
		params, err := json.MarshalIndent(parts[i].Task, "", "  ")
		shapeErr = errors.Join(shapeErr, err)
		t.Title, t.Body, t.Assignee = parts[i].Title, parts[i].Body+"\n\n"+block(params), team[i%len(team)]
	}}
	tasks, err := rec.ExpandAfter("orchestrator", d.ID, inputs, plan)
	if err := errors.Join(err, shapeErr); err != nil {
		return worker.Complete{}, err
	}
	var made []events.TaskID
	err = patiently(ctx, func() (err error) {
		made, err = env.Client.Make(ctx, "plan", toolTasks(tasks, d.Priority)...)
		return err
	})
	if err == nil && len(made) == 0 {
		err = fmt.Errorf("recipe %s makes no tasks", name)
	}
	if err != nil {
		return worker.Complete{}, err
	}
	return worker.Complete{
		Summary: fmt.Sprintf("%s divided over %s; %s writes when all have passed",
			count(len(corpus.Files()), "document"), count(len(parts), "researcher"), made[len(made)-1]),
		Created: made,
	}, nil
}

// toolTasks says what a recipe makes in the words of the create tool.
func toolTasks(tasks []boards.NewTask, priority int32) []worker.Task {
	out := make([]worker.Task, len(tasks))
	for i, t := range tasks {
		out[i] = worker.Task{Title: t.Title, Body: t.Body, Assignee: t.Assignee, Priority: priority, Recipe: t.Recipe}
		for _, p := range t.Parents {
			parent := p.Task.String()
			if p.New > 0 {
				parent = fmt.Sprintf("#%d", p.New)
			}
			out[i].Parents = append(out[i].Parents, parent)
			out[i].Needs = p.Needs.String()
		}
	}
	return out
}

func research(ctx context.Context, env Env, d *projections.Detail) (worker.Complete, error) {
	task := builtin.Task{Version: 1}
	rest := fenced(d.Body, &task)
	if task.Topic == "" && len(task.Files) == 0 {
		task.Topic = strings.TrimSpace(d.Title + "\n" + rest)
	}
	corpus, err := load(env)
	if err != nil {
		return worker.Complete{}, err
	}
	notes, err := builtin.Research(ctx, task, corpus, func(done, total int) {
		if done == 0 || done == total {
			// A heartbeat that does not get through changes nothing about the work.
			_ = env.Client.Beat(ctx, fmt.Sprintf("%d of %d documents read", done, total), done, total)
		}
	})
	if err != nil {
		return worker.Complete{}, err
	}
	raw, err := json.MarshalIndent(notes, "", "  ")
	if err != nil {
		return worker.Complete{}, err
	}
	files, err := handOver(ctx, env, map[string][]byte{notesFile: raw, notesText: notes.Markdown()})
	if err != nil {
		return worker.Complete{}, err
	}
	return worker.Complete{
		Summary:   fmt.Sprintf("%s from %s, %s scored", count(len(notes.Notes), "note"), count(len(notes.Files), "document"), count(notes.Passages, "passage")),
		Artifacts: files,
	}, nil
}

func write(ctx context.Context, env Env, d *projections.Detail) (worker.Complete, error) {
	var all []builtin.Notes
	var from []string
	for _, in := range d.Inputs {
		for _, a := range in.Artifacts {
			if a.Name != notesFile {
				continue
			}
			n, err := readNotes(filepath.Join(env.Inputs, in.Task.String(), notesFile))
			if err != nil {
				return worker.Complete{}, fmt.Errorf("notes of %s: %w", in.Task, err)
			}
			all, from = append(all, n), append(from, in.Task.String())
		}
	}
	if len(all) == 0 {
		return worker.Complete{}, errors.New("no parent handed over notes")
	}
	topic := all[0].Topic
	brief := builtin.Write(topic, all)
	files, err := handOver(ctx, env, map[string][]byte{briefFile: brief})
	if err != nil {
		return worker.Complete{}, err
	}
	return worker.Complete{Summary: briefFile + ", from the notes of " + strings.Join(from, " and "), Artifacts: files}, nil
}

// readNotes reads what a researcher handed over. Whoever that was, it is not
// trusted to be small.
func readNotes(path string) (n builtin.Notes, err error) {
	f, err := os.Open(path)
	if err != nil {
		return n, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxNotesBytes+1))
	if err != nil {
		return n, err
	}
	if len(b) > maxNotesBytes {
		return n, fmt.Errorf("more than %d bytes", maxNotesBytes)
	}
	return n, json.Unmarshal(b, &n)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// load reads the documents the agent was given.
func load(env Env) (*builtin.Corpus, error) {
	if env.Sources == "" {
		return nil, errors.New("this agent was given no folder of documents (runtime.sources in its config.yaml)")
	}
	root, err := os.OpenRoot(env.Sources)
	if err != nil {
		return nil, fmt.Errorf("the folder of documents (runtime.sources in this agent's config.yaml) cannot be read: %w", err)
	}
	defer root.Close()
	corpus, err := builtin.Load(root.FS(), nil)
	if err != nil {
		return nil, err
	}
	for i, s := range corpus.Skipped {
		if i == maxWarnings {
			env.Warn(fmt.Sprintf("left out %d more", len(corpus.Skipped)-i))
			break
		}
		env.Warn(fmt.Sprintf("left out %s: %s", s.Path, s.Why))
	}
	return corpus, nil
}

// handOver writes results into the outputs folder, if there is one, and puts
// them in the store.
func handOver(ctx context.Context, env Env, files map[string][]byte) ([]worker.Artifact, error) {
	var out []worker.Artifact
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if env.Outputs != "" {
			if err := os.WriteFile(filepath.Join(env.Outputs, name), files[name], 0o644); err != nil {
				return nil, err
			}
		}
		var a worker.Artifact
		err := patiently(ctx, func() (err error) {
			a, err = env.Client.Put(ctx, name, bytes.NewReader(files[name]))
			return err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

const fenceMark = "```json hermes"

// block writes parameters into a task's body so that fenced finds them.
func block(params []byte) string { return fenceMark + "\n" + string(params) + "\n```" }

// fenced reads the parameters out of a body and returns the words around them.
// They are the last of their kind: what stands before may be quoted from
// anybody. A body without parameters leaves v as it is.
func fenced[T any](body string, v *T) (rest string) {
	i := strings.LastIndex(body, fenceMark+"\n")
	if i < 0 {
		return strings.TrimSpace(body)
	}
	params, tail, _ := strings.Cut(body[i+len(fenceMark)+1:], "\n```")
	read := *v
	if json.Unmarshal([]byte(params), &read) != nil {
		return strings.TrimSpace(body)
	}
	*v = read
	return strings.TrimSpace(body[:i] + tail)
}
