package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/escape"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

const checkHelp = `Each attempt is made inside, and judged from the host by files, listeners and
the list of processes. It is also made without a sandbox, where it must
succeed: otherwise it is "not testable here". Without a BACKEND, all that work
here are tried, except local. It takes about half a minute for each.

Exits with 1 if an attempt is open that the backend claims to contain.`

// breakouts is what hermes sandbox check found out about one backend.
type breakouts struct {
	Backend string          `json:"backend"`
	Version string          `json:"version,omitzero"`
	Results []escape.Result `json:"results"`
}

func sandboxCheck(ctx context.Context, x *call) error {
	names, err := x.args(0, -1, "backends")
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := sandbox.Supervise(); err != nil {
		return err
	}
	boxes, err := x.boxesToCheck(ctx, names)
	if err != nil {
		return err
	}
	var all []breakouts
	var controls escape.Controls
	for _, b := range boxes {
		c, err := x.checkOne(ctx, b, &controls)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	switch {
	case x.json():
		err = x.emit(all)
	case x.flag("markdown"):
		writeMarkdown(x, all, time.Now())
	}
	if err != nil {
		return err
	}
	for _, c := range all {
		for _, r := range c.Results {
			if r.Broken() {
				return exitError(exitRefused)
			}
		}
	}
	return nil
}

// boxesToCheck are the backends named, or all that work but the one that
// isolates nothing.
func (x *call) boxesToCheck(ctx context.Context, names []string) ([]*sandbox.Sandbox, error) {
	known, err := sandboxes()
	if err != nil {
		return nil, err
	}
	var boxes []*sandbox.Sandbox
	for _, name := range names {
		b, err := known.Open(name, sandbox.Settings{Image: x.str("image")})
		if _, refused := errors.AsType[*sandbox.SettingError](err); refused && len(names) > 1 {
			b, err = known.Get(name) // the image is for the others
		}
		if err != nil {
			return nil, err
		}
		boxes = append(boxes, b)
	}
	if len(names) > 0 {
		return boxes, nil
	}
	for _, b := range known.All() {
		if b.Name() == "local" {
			continue
		}
		if report := b.Probe(ctx); report.Available {
			boxes = append(boxes, b)
		} else {
			x.say("%s is left out: %s", b.Name(), line(report.Reason))
		}
	}
	return boxes, nil
}

func (x *call) checkOne(ctx context.Context, b *sandbox.Sandbox, controls *escape.Controls) (breakouts, error) {
	report := b.Probe(ctx)
	c := breakouts{Backend: b.Name(), Version: report.Version}
	if !report.Available {
		return c, &usageError{msg: fmt.Sprintf("%s does not work here: %s", b.Name(), line(report.Reason)), hint: "hermes sandbox list"}
	}
	words := !x.json() && !x.flag("markdown")
	if words {
		fmt.Fprintf(x.Stdout, "%s %s\n", c.Backend, c.Version)
		if w := warning(c.Backend); w != "" {
			fmt.Fprintln(x.Stdout, w)
		}
	}
	opts := &escape.Options{Args: []string{"sandbox", "attempt"}, Display: line, Controls: controls}
	if only := x.list("only"); len(only) > 0 {
		opts.Only = only
	}
	count := map[escape.Outcome]int{}
	broken := 0
	opts.Each = func(r escape.Result) {
		count[r.Outcome]++
		if r.Broken() {
			broken++
		}
		if words {
			fmt.Fprintf(x.Stdout, "%-4s %-19s %s%s\n", r.ID, outcomeOf(r), r.Name, detail(r))
		}
	}
	var err error
	if c.Results, err = escape.Run(ctx, b, localbox.New(), opts); err != nil {
		return c, err
	}
	if words {
		fmt.Fprintf(x.Stdout, "%d contained, %d open (%d of them against what %s claims), %d not testable here\n",
			count[escape.Contained], count[escape.Open], broken, c.Backend, count[escape.NotTestable])
	}
	return c, nil
}

// outcomeOf says of an open attempt whether the backend claims to contain it.
func outcomeOf(r escape.Result) string {
	switch {
	case r.Broken():
		return "OPEN"
	case r.Outcome == escape.Open:
		return "open (not claimed)"
	case r.Outcome == escape.NotTestable:
		return "not testable here"
	}
	return string(r.Outcome)
}

// markOf is outcomeOf for a table.
func markOf(r escape.Result) string {
	switch {
	case r.Outcome == escape.Contained:
		return "✓"
	case r.Outcome == escape.NotTestable:
		return "–"
	case r.Broken():
		return "**open**"
	}
	return "open"
}

func detail(r escape.Result) string {
	if r.Detail == "" {
		return ""
	}
	return ": " + line(r.Detail)
}

// writeMarkdown prints one table with a column for each backend.
func writeMarkdown(x *call, all []breakouts, now time.Time) {
	if len(all) == 0 {
		return
	}
	var kernel unix.Utsname
	unix.Uname(&kernel) // does not fail
	fmt.Fprintf(x.Stdout, "Made by `hermes sandbox check --markdown` on %s: hermes %s, %s %s, %s", now.UTC().Format(time.DateOnly), version(),
		unix.ByteSliceToString(kernel.Sysname[:]), unix.ByteSliceToString(kernel.Release[:]), runtime.GOARCH)
	head, rule := "| | Attempt |", "|---|---|"
	for _, c := range all {
		if c.Version != "" {
			fmt.Fprintf(x.Stdout, ", %s %s", c.Backend, line(c.Version))
		}
		head += " " + c.Backend + " |"
		rule += "---|"
	}
	fmt.Fprintf(x.Stdout, ".\n✓ is contained, – not testable there.\n\n%s\n%s\n", head, rule)
	for i, r := range all[0].Results {
		row := fmt.Sprintf("| %s | %s |", r.ID, strings.ReplaceAll(r.Name, "|", "\\|"))
		for _, c := range all {
			row += " " + markOf(c.Results[i]) + " |"
		}
		fmt.Fprintln(x.Stdout, row)
	}
}

// attemptVerb is what the suite starts inside.
func attemptVerb(env Env) *cli.Command {
	c := verb(env, "attempt", "", "make one attempt, inside; started by hermes sandbox check", "", nil, func(_ context.Context, x *call) error {
		a, err := x.args(1, 2, "an attempt")
		if err != nil {
			return err
		}
		escape.Inside(a)
		return nil
	})
	c.Hidden = true
	return c
}
