package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/recipe"
	"github.com/hermesboard/hermes/events"
)

func recipeCommand(env Env) *cli.Command {
	return noun(env, "recipe", "pipelines as data",
		verb(env, "list,ls", "", "list the recipes: the shipped ones and those in recipes/ of the profile", "", nil, runRecipeList),
		verb(env, "show", "NAME", "show what a recipe asks for and makes", "", nil, runRecipeShow),
		verb(env, "validate", "FILE", "check a recipe file", "", nil, runRecipeValidate),
		verb(env, "run", "NAME", "make a recipe's tasks in one commit", `
Example:
  hermes kanban recipe run research --input topic="backups" --key backups-1

The same key makes the tasks once, however often it is run.`,
			[]cli.Flag{list("input", "i", "NAME=VALUE; again for several"), str("inputs", "", "a JSON file of inputs by name; - is standard input"),
				str("key", "k", "names this use of the recipe"), str("tenant", "", "tenant of the tasks"),
				num("priority", "", "priority of the tasks"), hidden(str("bindings", "", ""))}, runRecipeRun),
		recipeExport(env),
	)
}

// recipeExport is a verb of the Python system.
func recipeExport(env Env) *cli.Command {
	return instead(env, "export", "a recipe is a file written by hand: copy what hermes kanban recipe show NAME prints into recipes/ of the profile",
		str("output", "", ""), flag("overwrite", "", ""))
}

// recipes is the folder of a profile's own recipes; nil if it has none.
func (x *call) recipes() (fs.FS, error) {
	home, err := x.home()
	if err != nil {
		return nil, err
	}
	defer home.Close()
	profile, err := x.profileDir(home)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(profile, "recipes")
	if _, err := os.Stat(dir); err != nil {
		return nil, nil
	}
	return os.DirFS(dir), nil
}

func (x *call) loadRecipe(name string) (*recipe.Recipe, error) {
	own, err := x.recipes()
	if err != nil {
		return nil, err
	}
	r, err := recipe.Load(own, name)
	if errors.Is(err, fs.ErrNotExist) {
		names, _ := recipe.List(own)
		return nil, &boards.Rejection{Code: boards.CodeNotFound, Detail: "there is no recipe " + name,
			Hint: strings.TrimSpace("hermes kanban recipe list; " + suggest(name, names, ""))}
	}
	if err != nil {
		return nil, &boards.Rejection{Code: boards.CodeBadCommand, Detail: err.Error()}
	}
	return r, nil
}

func runRecipeList(ctx context.Context, x *call) error {
	own, err := x.recipes()
	if err != nil {
		return err
	}
	names, err := recipe.List(own)
	if err != nil {
		return err
	}
	type row struct {
		Name  string `json:"name"`
		About string `json:"about"`
	}
	rows, out := []row{}, [][]string{}
	for _, n := range names {
		r, err := recipe.Load(own, n)
		if err != nil {
			x.say("%v", err)
			continue
		}
		rows, out = append(rows, row{r.Name, r.About}), append(out, []string{r.Name, line(r.About)})
	}
	if x.json() {
		return x.emit(rows)
	}
	table(x.Stdout, 0, out)
	return nil
}

func runRecipeShow(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a recipe")
	if err != nil {
		return err
	}
	r, err := x.loadRecipe(a[0])
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(r)
	}
	fmt.Fprintf(x.Stdout, "%s: %s\n\nInputs\n", r.Name, line(r.About))
	var rows [][]string
	for _, in := range r.Inputs {
		def := "must be given"
		if in.Default != nil {
			def = "default " + *in.Default
		}
		rows = append(rows, []string{"  " + in.Name, line(in.About), line(def)})
	}
	table(x.Stdout, 0, rows)
	fmt.Fprintln(x.Stdout, "\nTasks")
	rows = nil
	for _, role := range r.Roles {
		var after []string
		for _, w := range role.After {
			after = append(after, w.Role+" "+w.Needs)
		}
		rows = append(rows, []string{"  " + role.Name, "for " + line(role.Assignee), "after " + dash(strings.TrimSpace(strings.Join(after, ", ")))})
	}
	table(x.Stdout, 0, rows)
	return nil
}

func runRecipeValidate(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a file")
	if err != nil {
		return err
	}
	text, err := x.readFile(a[0], 64<<10)
	if err != nil {
		return err
	}
	r, err := recipe.Parse([]byte(text))
	if err != nil {
		return &boards.Rejection{Code: boards.CodeBadCommand, Detail: fmt.Sprintf("%s: %v", a[0], err)}
	}
	if x.json() {
		return x.emit(r)
	}
	fmt.Fprintf(x.Stdout, "%s is good: %s, %s\n", r.Name, plural(len(r.Inputs), "input", "inputs"), plural(len(r.Roles), "role", "roles"))
	return nil
}

func runRecipeRun(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a recipe")
	if err != nil {
		return err
	}
	if err := x.unsupported(map[string]string{"bindings": "who does what stands in the recipe: copy it into recipes/ of the profile and name other agents there"}); err != nil {
		return err
	}
	in := recipe.Inputs{}
	if file := x.str("inputs"); file != "" {
		text, err := x.readFile(file, 1<<20)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			return &usageError{msg: fmt.Sprintf("%s is not an object of texts: %v", file, err), hint: `for example {"topic":"backups"}`}
		}
	}
	for _, kv := range x.list("input") {
		k, v, ok := strings.Cut(kv, "=")
		if !ok {
			return usagef("--input %q is not NAME=VALUE", kv)
		}
		in[k] = v
	}
	r, err := x.loadRecipe(a[0])
	if err != nil {
		return err
	}
	tasks, err := r.Expand(in)
	if err != nil {
		return &usageError{msg: err.Error(), hint: "hermes kanban recipe show " + r.Name}
	}
	return x.createAll(ctx, tasks, "recipe "+r.Name)
}

// createAll makes a graph of tasks in one commit, once per key.
func (x *call) createAll(ctx context.Context, tasks []boards.NewTask, scope string) error {
	for i := range tasks {
		tasks[i].Tenant = x.tenant()
		if x.isSet("priority") {
			n, err := x.priority()
			if err != nil {
				return err
			}
			tasks[i].Priority = n
		}
	}
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := b.Info(ctx)
	if err != nil {
		return err
	}
	id := owner.NewCommandID()
	if key := x.str("key"); key != "" {
		id = events.ForeignCommandID(info.Board, scope, key)
	}
	res, err := b.Do(ctx, x.principal(), id, boards.CreateTasks{Tasks: tasks})
	if err != nil {
		return keyUsed(err, x.str("key"))
	}
	return x.created(ctx, b, info, res.Tasks)
}

func swarmVerb(env Env) *cli.Command {
	return verb(env, "swarm", "GOAL", "many workers, a verifier, a synthesizer, in one commit", `
Example:
  hermes kanban swarm "price report" --worker res:shops-EU --worker res:shops-US --verifier qa --synthesizer writer`,
		[]cli.Flag{list("worker", "w", "AGENT:TITLE[:SKILL,…]; again for several"), str("verifier", "", "agent that checks what the workers hand over"),
			str("synthesizer", "", "agent that puts it together"), str("tenant", "", "tenant of the tasks"), num("priority", "", "priority of the tasks"),
			str("key", "idempotency-key", "names this swarm: made once"), hidden(str("created-by", "", ""))}, runSwarm)
}

func runSwarm(ctx context.Context, x *call) error {
	if err := x.unsupported(map[string]string{"created-by": "who created a task is who ran the command; set HERMES_USER"}); err != nil {
		return err
	}
	a, err := x.args(1, 1, "a goal (in quotes)")
	if err != nil {
		return err
	}
	if len(x.list("worker")) == 0 || x.str("synthesizer") == "" {
		return &usageError{msg: "wants at least one --worker and a --synthesizer", hint: "hermes kanban swarm --help"}
	}
	var tasks []boards.NewTask
	var workers []boards.Parent
	for _, w := range x.list("worker") {
		parts := strings.SplitN(w, ":", 3)
		if len(parts) < 2 {
			return usagef("--worker %q is not AGENT:TITLE[:SKILL,…]", w)
		}
		t := boards.NewTask{Title: parts[1], Assignee: parts[0], Body: "Goal of the whole: " + a[0], Recipe: "swarm/worker"}
		if len(parts) == 3 {
			t.Skills = strings.Split(parts[2], ",")
		}
		tasks = append(tasks, t)
		workers = append(workers, boards.Parent{New: len(tasks), Needs: events.NeedsAny})
	}
	join := workers
	if v := x.str("verifier"); v != "" {
		tasks = append(tasks, boards.NewTask{Title: "Verify: " + a[0], Assignee: v, Recipe: "swarm/verifier", Parents: workers,
			Body: "Check what the workers handed over. Complete with fail if the goal cannot be reached with it."})
		join = append(workers[:len(workers):len(workers)], boards.Parent{New: len(tasks), Needs: events.NeedsPass})
	}
	tasks = append(tasks, boards.NewTask{Title: "Put together: " + a[0], Assignee: x.str("synthesizer"), Recipe: "swarm/synthesizer", Parents: join})
	return x.createAll(ctx, tasks, "swarm")
}
