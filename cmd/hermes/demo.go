package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/builtin"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// documents are the root documents of this repository, copied here because
// embedding cannot reach above its own folder; a test keeps them equal.
//
//go:embed documents/*.md
var documents embed.FS

const (
	demoBoard    = "demo"
	demoPatience = 5 * time.Minute // the demo gives up after so long
)

func demoCommand(env Env) *cli.Command {
	return verb(env, "demo", "", "run a whole pipeline on real input and check the result", `
Examples:
  hermes demo
  hermes demo --input ~/notes --topic "what do we know about backups?"
  hermes demo --backend docker
  hermes demo --backend ssh --set ssh_host=build.example --set ssh_key=~/.ssh/hermes

An orchestrator divides the question, two researchers read the documents at the
same time, a writer merges their notes into a brief. All of them are builtin
agents: real processes in a sandbox that call no model and no network. Every
quotation of the brief is checked against the documents, and the log is verified.`,
		[]cli.Flag{
			str("input", "i", "a folder of text or Markdown (default: the documents of this program)"),
			str("topic", "t", "the question (default: what is central to the documents)"),
			str("backend", "", "the sandbox, as in hermes sandbox list (default: bubblewrap or native, whichever works)"),
			list("set", "", "KEY=VALUE, a setting terminal.KEY of the sandbox; again for several"),
		}, runDemo)
}

// demo is one demonstration under way.
type demo struct {
	*call
	home    *registry.Home
	set     agents.Terminal // the sandbox, and what it was told
	sources string          // folder of documents
	files   int
	topic   string
	started time.Time
	svc     *service
}

// demoResult is what --json prints.
type demoResult struct {
	Home        string `json:"home"`
	Board       string `json:"board"`
	Deliverable string `json:"deliverable"`
	Events      uint64 `json:"events"`
	Runs        int    `json:"runs"`
	Verified    bool   `json:"verified"`
	Citations   int    `json:"citations"`

	report builtin.Report
	verify verifyReport
}

func runDemo(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	d := &demo{call: x, topic: x.str("topic"), started: time.Now()}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	defer d.home.Close()
	err := d.work(ctx)
	if ctx.Err() != nil {
		x.say("\nstopped; nothing is left running. What there is lies in %s", d.home.Dir())
		return exitError(exitInterrupted)
	}
	if err != nil {
		return err
	}
	res, err := d.check(ctx)
	if err != nil {
		return err
	}
	if x.json() {
		err = x.emit(res)
	} else {
		err = d.conclude(ctx, res)
	}
	if err == nil && (!res.report.OK() || !res.Verified) {
		return exitError(exitDamaged)
	}
	return err
}

// prepare makes the home, the input, the agents and the board.
func (d *demo) prepare(ctx context.Context) (err error) {
	dir := d.str("home")
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hermes-demo-"); err != nil {
			return err
		}
	}
	if d.home, err = openHome(d.Env, dir); err != nil {
		return err
	}
	if err := d.input(); err != nil {
		return err
	}
	if !d.json() {
		fmt.Fprintf(d.Stdout, "hermes demo   home %s   board %s   input: %s\n", d.home.Dir(), demoBoard, d.inputWords())
	}
	if err := d.sandbox(ctx); err != nil {
		return err
	}
	for name, kind := range map[string]string{"orchestrator": "orchestrator", "researcher-a": "researcher", "researcher-b": "researcher", "writer": "writer"} {
		a := &agents.Agent{Name: name, Description: "A builtin agent: calls no model and no network.",
			Runtime: agents.Runtime{Kind: "builtin", Name: kind}, Terminal: d.set}
		if kind != "writer" {
			a.Runtime.Sources = d.sources
		}
		if kind == "orchestrator" {
			a.Role = "orchestrator"
		}
		if err := agents.Save(d.home.Dir(), a); err != nil {
			return err
		}
	}
	o, err := owner.Create(ctx, d.home, demoBoard, "Demonstration", events.DefaultPolicy(max(2, hostSlots())), d.principal(), d.ownerOptions(d.home), holdOptions(d.home))
	var exists *registry.ExistsError
	if errors.As(err, &exists) {
		return nil // a second demonstration on the same board
	} else if err != nil {
		return err
	}
	return o.Close()
}

// input finds the documents: the person's folder, or those of this program.
func (d *demo) input() error {
	if in := d.str("input"); in != "" {
		if !filepath.IsAbs(in) {
			in = filepath.Join(d.Dir, in)
		}
		real, err := filepath.EvalSymlinks(in)
		if info, serr := os.Stat(real); err != nil || serr != nil || !info.IsDir() {
			return usagef("--input %s is not a folder that can be read", in)
		}
		d.sources = real
	} else {
		d.sources = filepath.Join(d.home.Dir(), "documents")
		if err := copyDocuments(documents, d.home.Dir()); err != nil {
			return err
		}
	}
	root, err := os.OpenRoot(d.sources)
	if err != nil {
		return err
	}
	defer root.Close()
	corpus, err := builtin.Load(root.FS(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", d.sources, err)
	}
	if d.files = len(corpus.Files()); d.files == 0 {
		return usagef("%s holds no text or Markdown to read", d.sources)
	}
	return nil
}

func copyDocuments(from fs.FS, dir string) error {
	return fs.WalkDir(from, "documents", func(path string, e fs.DirEntry, err error) error {
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err != nil || e.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o755))
		}
		b, err := fs.ReadFile(from, path)
		return errors.Join(err, os.WriteFile(to, b, 0o644))
	})
}

func (d *demo) inputWords() string {
	if d.str("input") == "" {
		return plural(d.files, "document of this program", "documents of this program")
	}
	return fmt.Sprintf("%s (%s)", d.sources, plural(d.files, "document", "documents"))
}

// work runs the pipeline and returns when its last task has ended.
func (d *demo) work(ctx context.Context) error {
	warn := func(_ string, err error) {
		if ctx.Err() == nil { // while it is being stopped, trouble is expected
			d.say("warning: %v", err)
		}
	}
	h, err := newHost(d.Env, d.home, profile.Default, d.set.Backend, warn)
	if err != nil {
		return err
	}
	defer h.close()
	held, err := d.home.Hold(ctx, demoBoard, openPatience, holdOptions(d.home))
	if err != nil {
		return err
	}
	if d.svc, err = h.open(held, false); err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- d.svc.Run(serving) }() // ends with stop below
	err = d.pipeline(ctx)
	if err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopWithin)
		defer cancel()
		err = errors.Join(err, d.svc.releaseAll(cleanup, d.principal(), stopWithin))
	}
	stop()
	return errors.Join(err, <-served)
}

// pipeline creates the task that starts everything and watches until all is done.
func (d *demo) pipeline(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoPatience, fmt.Errorf("the pipeline has not ended within %s", demoPatience))
	defer cancel()
	tasks, err := d.tasks()
	if err != nil {
		return err
	}
	made, err := d.do(ctx, d.svc.owner, boards.CreateTasks{Tasks: tasks})
	if err != nil {
		return err
	}
	show := newProgress(d)
	wake, drop := d.svc.owner.Wake()
	defer drop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		cards, err := d.svc.owner.List(ctx, projections.ListQuery{Holds: true, Sort: "created"})
		if err != nil {
			return err
		}
		cards = since(cards, made.Tasks[0])
		show.update(cards)
		if ended, err := d.ended(cards); ended {
			show.end()
			return err
		}
		select {
		case <-wake:
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// since drops the tasks of earlier demonstrations on the same board.
func since(cards []projections.Card, first events.TaskID) []projections.Card {
	for i, c := range cards {
		if c.ID >= first {
			return cards[i:]
		}
	}
	return nil
}

// ended says whether nothing moves any more, and if so why that is a failure.
func (d *demo) ended(cards []projections.Card) (bool, error) {
	for _, c := range cards {
		switch {
		case c.Status == events.Done && c.Verdict != events.Pass:
			return true, d.failed(c, "ended with verdict "+c.Verdict.String())
		case c.Status == events.Blocked:
			return true, d.failed(c, "waits for a person")
		}
	}
	for _, c := range cards {
		if c.Status != events.Done || c.Run != nil {
			return false, nil
		}
	}
	return len(cards) > 0, nil
}

func (d *demo) failed(c projections.Card, how string) error {
	return &boards.Rejection{Code: "demo_failed", Task: c.ID, Detail: fmt.Sprintf("%s %q (%s) %s", c.ID, line(c.Title), c.Assignee, how),
		Hint: fmt.Sprintf("hermes --home %s -b %s kanban show %s; its output: hermes --home %s -b %s kanban log %s",
			d.home.Dir(), demoBoard, c.ID, d.home.Dir(), demoBoard, c.ID)}
}

// check fetches the brief, checks every quotation against the documents, and
// verifies the log.
func (d *demo) check(ctx context.Context) (demoResult, error) {
	res := demoResult{Home: d.home.Dir(), Board: demoBoard}
	b, err := reach(ctx, d.home, demoBoard, d.ownerOptions(d.home))
	if err != nil {
		return res, err
	}
	brief, row, err := d.deliverable(ctx, b)
	stats, serr := b.Stats(ctx)
	if err := errors.Join(err, serr, b.Close()); err != nil {
		return res, err
	}
	res.Deliverable, res.Events, res.Runs = row, stats.Events, stats.Runs
	root, err := os.OpenRoot(d.sources)
	if err != nil {
		return res, err
	}
	defer root.Close()
	res.report = builtin.Check(brief, root.FS())
	res.Citations = res.report.Good
	res.verify, err = verifyBoard(ctx, d.Env, d.home, demoBoard)
	res.Verified = err == nil && res.verify.OK
	return res, err
}

// deliverable copies the newest brief to the home and returns it.
func (d *demo) deliverable(ctx context.Context, b api.Board) ([]byte, string, error) {
	cards, err := b.List(ctx, projections.ListQuery{Assignees: []string{"writer"}, Sort: "created-desc"})
	if err != nil {
		return nil, "", err
	}
	for _, c := range cards {
		detail, err := b.Show(ctx, c.ID)
		if err != nil {
			return nil, "", err
		}
		for _, f := range detail.Artifacts {
			if f.Kind != "result" {
				continue
			}
			path, err := fetch(registry.OpenArtifacts(d.home.Paths(demoBoard).Artifacts), f, d.home.Dir(), true)
			if err != nil {
				return nil, "", err
			}
			brief, err := os.ReadFile(path)
			return brief, path, err
		}
	}
	return nil, "", errors.New("the writer handed over no brief")
}
