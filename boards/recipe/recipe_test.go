package recipe_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/boards/recipe"
	"github.com/hermesboard/hermes/events"
)

func load(t *testing.T, name string) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Load(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestShipped expands every shipped recipe and has the rules accept it.
func TestShipped(t *testing.T) {
	inputs := map[string]recipe.Inputs{
		"research": {"topic": "tides", "researchers": "3"},
		"review":   {"task": "halve start-up"},
		"swarm":    {"goal": "an atlas", "parts": "north, south\n\neast ,"},
	}
	tasks := map[string][2]int{"research": {1, 5}, "review": {1, 1}, "swarm": {5, 5}} // at once, in all
	names, err := recipe.List(nil)
	if err != nil || !slices.Equal(names, []string{"research", "review", "swarm"}) {
		t.Fatalf("got %v, %v", names, err)
	}
	for _, name := range names {
		r := load(t, name)
		first, err := r.Expand(inputs[name])
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.ExpandAll(inputs[name])
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int{len(first), len(all)}; got != tasks[name] {
			t.Errorf("%s: got %v tasks, want %v", name, got, tasks[name])
		}
		b := boardstest.New(t)
		b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: first})
		b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: all})
	}
}

// TestOrchestratorMakesTheRest plays the research recipe through: the run of
// the orchestrator makes the others from what its task says.
func TestOrchestratorMakesTheRest(t *testing.T) {
	b := boardstest.New(t)
	first, err := load(t, "research").Expand(recipe.Inputs{"topic": "tides and `ticks`\n```", "researchers": "2"})
	if err != nil {
		t.Fatal(err)
	}
	b.Must(t, boardstest.Kai, boards.CreateTasks{Tasks: first})
	b.Must(t, boardstest.TheDispatcher, boards.ClaimTask{
		Task: 1, Agent: "orchestrator", Role: events.RoleOrchestrator, Token: boardstest.Token(events.RunID{Task: 1, N: 1}),
	})
	self, _ := b.Worker(1)

	name, in, ok := recipe.ParseParams(first[0].Body)
	if !ok || name != "research" {
		t.Fatalf("no parameters in %q", first[0].Body)
	}
	parts := []string{"moon", "sun", "wind"}
	rest, err := load(t, name).ExpandAfter("orchestrator", 1, in, recipe.Plan{
		Counts: map[string]int{"researcher": len(parts)},
		Shape: func(role string, i int, n *boards.NewTask) {
			if role == "researcher" {
				n.Title = parts[i]
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Must(t, self, boards.CreateTasks{Tasks: rest})
	b.Must(t, self, boards.CompleteTask{Task: 1, Created: []events.TaskID{2, 3, 4, 5}})
	want := []events.Status{events.Done, events.Ready, events.Ready, events.Ready, events.Todo}
	for i, w := range want {
		if got := b.State.Status(events.TaskID(i + 1)); got != w {
			t.Errorf("t%d: got %v, want %v", i+1, got, w)
		}
	}
	if rest[1].Title != "sun" || rest[3].Recipe != "research/writer" || len(rest[3].Parents) != 3 || rest[3].Parents[0].Needs != events.NeedsPass {
		t.Errorf("got %+v", rest)
	}
}

func TestTextIsNotATemplate(t *testing.T) {
	tasks, err := load(t, "review").Expand(recipe.Inputs{"task": "say {{reviewer}} and {{number}}", "reviewer": ""})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tasks[0].Title, "say {{reviewer}} and {{number}}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long, err := load(t, "review").Expand(recipe.Inputs{"task": strings.Repeat("ä ", 400)})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(long[0].Title); n > 210 || !strings.HasSuffix(long[0].Title, "…") {
		t.Errorf("got a title of %d bytes", n)
	}
}

func TestInputs(t *testing.T) {
	r, swarm := load(t, "research"), load(t, "swarm")
	for name, c := range map[string]struct {
		r    *recipe.Recipe
		in   recipe.Inputs
		want string
	}{
		"missing":      {r, nil, "input topic is missing"},
		"unknown":      {r, recipe.Inputs{"topic": "x", "colour": "red"}, `no input "colour"`},
		"not a number": {r, recipe.Inputs{"topic": "x", "researchers": "many"}, `"many" is not a number`},
		"none":         {r, recipe.Inputs{"topic": "x", "researchers": "0"}, "want 1 to 256"},
		"too many":     {r, recipe.Inputs{"topic": "x", "researchers": "255"}, "more than 256 tasks"},
		"empty list":   {swarm, recipe.Inputs{"goal": "x", "parts": " , "}, "lists nothing"},
	} {
		if _, err := c.r.ExpandAll(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := r.ExpandAfter("writer", 1, recipe.Inputs{"topic": "x"}, recipe.Plan{}); err == nil {
		t.Error("the writer made tasks")
	}
}

func TestRefused(t *testing.T) {
	const head = "name: x\ninputs: [{name: n, default: '1'}, {name: l, list: true}]\nroles:\n"
	for name, c := range map[string]struct{ yaml, want string }{
		"unknown field":       {"name: x\ncolour: red\n", "colour"},
		"no roles":            {"name: x\n", "no roles"},
		"bad name":            {"name: ../x\nroles: [{name: a, title: t}]\n", `name "../x"`},
		"no title":            {head + "- {name: a}\n", "no title"},
		"twice":               {head + "- {name: a, title: t}\n- {name: a, title: t}\n", `role "a"`},
		"unknown role":        {head + "- {name: a, title: t, after: [{role: b}]}\n", `after "b"`},
		"circle":              {head + "- {name: a, title: t, after: [{role: b}]}\n- {name: b, title: t, after: [{role: a}]}\n", "circle"},
		"own parent":          {head + "- {name: a, title: t, after: [{role: a}]}\n", "circle"},
		"needs":               {head + "- {name: a, title: t}\n- {name: b, title: t, after: [{role: a, needs: most}]}\n", `needs "most"`},
		"unknown input":       {head + "- {name: a, title: 't {{q}}'}\n", "{{q}}"},
		"item without list":   {head + "- {name: a, title: '{{item}}'}\n", "{{item}}"},
		"count":               {head + "- {name: a, title: t, count: lots}\n", `count "lots"`},
		"count of 1000":       {head + "- {name: a, title: t, count: '1000'}\n", `count "1000"`},
		"each":                {head + "- {name: a, title: t, each: n}\n", `each "n"`},
		"count and each":      {head + "- {name: a, title: t, each: l, count: n}\n", "not both"},
		"by nobody":           {head + "- {name: a, title: t, by: b}\n", `by "b"`},
		"by many":             {head + "- {name: a, title: t, count: n}\n- {name: b, title: t, by: a}\n", "not a single task"},
		"after what is later": {head + "- {name: a, title: t}\n- {name: b, title: t, by: a}\n- {name: c, title: t, after: [{role: b}]}\n", "not made together"},
		"reserved input":      {"name: x\ninputs: [{name: item}]\nroles: [{name: a, title: t}]\n", `input "item"`},
		"too large":           {"name: x\n#" + strings.Repeat("x", 70_000), "at most"},
	} {
		if _, err := recipe.Parse([]byte(c.yaml)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	own := fstest.MapFS{
		"review.yaml": {Data: []byte("name: review\nroles: [{name: a, title: mine}]\n")},
		"other.yaml":  {Data: []byte("name: different\nroles: [{name: a, title: t}]\n")},
	}
	r, err := recipe.Load(own, "review")
	if err != nil || r.Roles[0].Title != "mine" {
		t.Errorf("got %+v, %v; want one's own recipe before the shipped one", r, err)
	}
	if _, err := recipe.Load(own, "other"); err == nil || !strings.Contains(err.Error(), "different") {
		t.Errorf("got %v, want the wrong name refused", err)
	}
	for _, name := range []string{"nothing", "../review", ""} {
		if _, err := recipe.Load(own, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v, want fs.ErrNotExist", name, err)
		}
	}
	names, err := recipe.List(own)
	if err != nil || !slices.Equal(names, []string{"other", "research", "review", "swarm"}) {
		t.Errorf("got %v, %v", names, err)
	}
}

func TestParamsRoundTrip(t *testing.T) {
	in := recipe.Inputs{"a": "x\n```recipe\n{}", "b": "\"quoted\" ```"}
	name, got, ok := recipe.ParseParams("some text\n" + recipe.Params("research", in))
	if !ok || name != "research" || len(got) != 2 || got["a"] != in["a"] || got["b"] != in["b"] {
		t.Errorf("got %q %v %t", name, got, ok)
	}
	for _, body := range []string{"", "text", "```recipe\nnot json\n```", "x```recipe\n{\"recipe\":\"y\"}\n```"} {
		if name, _, ok := recipe.ParseParams(body); ok {
			t.Errorf("%q: got %q, want nothing", body, name)
		}
	}
}
