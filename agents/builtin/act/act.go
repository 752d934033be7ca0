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
	"strings"

	"github.com/hermesboard/hermes/agents/builtin"
	"github.com/hermesboard/hermes/agents/worker"
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

// order is what the orchestrator may be told in its task, as a fenced block of JSON.
type order struct {
	Researchers []string `json:"researchers"` // assignees; default researcher-a and researcher-b
	Writer      string   `json:"writer"`      // assignee; default writer
}

func orchestrate(ctx context.Context, env Env, d *projections.Detail) (worker.Complete, error) {
	o := order{Researchers: []string{"researcher-a", "researcher-b"}, Writer: "writer"}
	topic := fenced(d.Body, &o)
	corpus, err := load(env)
	if err != nil {
		return worker.Complete{}, err
	}
	parts := builtin.Plan(topic, corpus, len(o.Researchers))
	tasks := make([]worker.Task, 0, len(parts)+1)
	var after []string
	for i, part := range parts {
		params, err := json.MarshalIndent(part.Task, "", "  ")
		if err != nil {
			return worker.Complete{}, err
		}
		tasks = append(tasks, worker.Task{
			Title: part.Title, Assignee: o.Researchers[i%len(o.Researchers)], Parents: []string{d.ID.String()},
			Body: part.Body + "\n\n" + block(params), Recipe: "research/researcher", Priority: d.Priority,
		})
		after = append(after, fmt.Sprintf("#%d", i+1))
	}
	tasks = append(tasks, worker.Task{
		Title: "Write the brief", Body: topic, Assignee: o.Writer, Parents: after, Recipe: "research/writer", Priority: d.Priority,
	})
	made, err := env.Client.Make(ctx, "plan", tasks...)
	if err != nil {
		return worker.Complete{}, err
	}
	writer := made[len(made)-1]
	return worker.Complete{
		Summary: fmt.Sprintf("%d documents divided over %d researchers; %s writes when they have passed", len(corpus.Files()), len(parts), writer),
		Created: made,
	}, nil
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
