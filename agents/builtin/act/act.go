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
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
	own, err := env.Client.Own(ctx)
	if err != nil {
		return err
	}
	done, err := role(ctx, env, own.Task)
	var refused *worker.Error
	switch {
	case errors.As(err, &refused) && refused.Retry:
		return err
	case err != nil:
		_, err = env.Client.Call(ctx, "complete", worker.Complete{Key: "verdict", Verdict: events.Fail, Summary: err.Error()})
		return err
	}
	done.Key = "verdict"
	_, err = env.Client.Call(ctx, "complete", done)
	return err
}

// orchestrate makes the rest of the recipe its task came from: the question is
// divided over the researchers, and a writer waits for them.
func orchestrate(ctx context.Context, env Env, d *projections.Detail) (worker.Complete, error) {
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
	made, err := env.Client.Make(ctx, "plan", toolTasks(tasks, d.Priority)...)
	if err != nil {
		return worker.Complete{}, err
	}
	return worker.Complete{
		Summary: fmt.Sprintf("%d documents divided over %d researchers; %s writes when they have passed", len(corpus.Files()), len(parts), made[len(made)-1]),
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
		Summary:   fmt.Sprintf("%d notes from %d documents, %d passages scored", len(notes.Notes), len(notes.Files), notes.Passages),
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
			b, err := os.ReadFile(filepath.Join(env.Inputs, in.Task.String(), notesFile))
			if err != nil {
				return worker.Complete{}, err
			}
			var n builtin.Notes
			if err := json.Unmarshal(b, &n); err != nil {
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

// load reads the documents the agent was given.
func load(env Env) (*builtin.Corpus, error) {
	if env.Sources == "" {
		return nil, errors.New("this agent was given no folder of documents (runtime.sources in its config.yaml)")
	}
	root, err := os.OpenRoot(env.Sources)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	corpus, err := builtin.Load(root.FS(), nil)
	if err != nil {
		return nil, err
	}
	for _, s := range corpus.Skipped {
		env.Warn(fmt.Sprintf("left out %s: %s", s.Path, s.Why))
	}
	return corpus, nil
}

// handOver writes results into the outputs folder and puts them in the store.
func handOver(ctx context.Context, env Env, files map[string][]byte) ([]worker.Artifact, error) {
	var out []worker.Artifact
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(env.Outputs, name), b, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		a, err := env.Client.Put(ctx, name, bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b worker.Artifact) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

const fenceMark = "```json hermes"

// block writes parameters into a task's body so that fenced finds them.
func block(params []byte) string { return fenceMark + "\n" + string(params) + "\n```" }

// fenced reads the parameters out of a body and returns the words around them.
// A body without parameters leaves v as it is.
func fenced(body string, v any) (rest string) {
	before, after, ok := strings.Cut(body, fenceMark+"\n")
	if !ok {
		return strings.TrimSpace(body)
	}
	params, tail, _ := strings.Cut(after, "\n```")
	if json.Unmarshal([]byte(params), v) != nil {
		return strings.TrimSpace(body)
	}
	return strings.TrimSpace(before + tail)
}
