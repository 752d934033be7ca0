package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/owner"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func watchVerb(env Env) *cli.Command {
	return verb(env, "watch", "[ID]", "print events as they happen", `
Examples:
  hermes kanban watch
  hermes kanban watch --type task.blocked --type run.ended
  hermes kanban watch --json --assignee researcher`,
		[]cli.Flag{list("type", "kinds", "only these event types; the part before or behind the dot will do"), list("assignee", "a", "only tasks of these agents"),
			str("tenant", "", "only this tenant"), intervalFlag()},
		func(ctx context.Context, x *call) error {
			a, err := x.args(0, 1, "at most one task")
			if err != nil {
				return err
			}
			return x.watch(ctx, a, false)
		})
}

func tailVerb(env Env) *cli.Command {
	return verb(env, "tail", "ID", "print a task's events from the start, and go on", "Example:\n  hermes kanban tail t7",
		[]cli.Flag{list("type", "kinds", "only these event types"), intervalFlag()},
		func(ctx context.Context, x *call) error {
			a, err := x.args(1, 1, "a task")
			if err != nil {
				return err
			}
			return x.watch(ctx, a, true)
		})
}

func intervalFlag() cli.Flag {
	return str("interval", "", "how often to look where no gateway holds the board (default 0.5)")
}

// watch prints the events of a board, from now on or from the first.
func (x *call) watch(ctx context.Context, args []string, fromStart bool) error {
	tasks, err := x.taskIDs(args)
	if err != nil {
		return err
	}
	types, err := x.eventTypes()
	if err != nil {
		return err
	}
	every, err := x.interval()
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	info, err := b.Info(ctx)
	if err == nil && len(tasks) > 0 {
		_, err = b.Why(ctx, tasks[0]) // a task that is not there has no events to wait for
	}
	if err := errors.Join(err, b.Close()); err != nil {
		return err
	}
	from := info.Head.Seq + 1
	if fromStart {
		from = 1
	}
	return x.follow(ctx, info.Slug, from, every, func(b api.Board, e events.Entry) (bool, error) {
		r, err := events.Decode(e.Record)
		switch {
		case err != nil,
			len(tasks) > 0 && r.Task != tasks[0],
			len(types) > 0 && !slices.Contains(types, r.Data.Type()),
			x.isSet("tenant") && r.Tenant != x.str("tenant"):
			return false, err
		case len(x.list("assignee")) == 0:
			return true, nil
		}
		cards, err := b.List(ctx, projections.ListQuery{Tasks: []events.TaskID{r.Task}, Assignees: x.list("assignee"), Archived: true})
		return len(cards) > 0, err
	})
}

// interval reads the flag of that name: seconds, also with a fraction, or a duration.
func (x *call) interval() (time.Duration, error) {
	s := x.str("interval")
	if s == "" {
		return 500 * time.Millisecond, nil
	}
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		d, err = parseDuration(s)
	}
	if err == nil && d < 50*time.Millisecond {
		return 0, usagef("--interval %s is too short, at least 0.05", s)
	}
	return d, err
}

// eventTypes reads --type: names of event types, or their parts: task, blocked.
func (x *call) eventTypes() ([]events.Type, error) {
	var types []events.Type
	var words []string
	for _, k := range events.Catalog() {
		words = append(words, string(k.Type))
	}
	for _, w := range strings.FieldsFunc(strings.Join(x.list("type"), ","), func(r rune) bool { return r == ',' }) {
		n := len(types)
		for _, t := range words {
			if noun, verb, _ := strings.Cut(t, "."); w == t || w == noun || w == verb {
				types = append(types, events.Type(t))
			}
		}
		if len(types) == n {
			hint := suggest(w, words, "--type ")
			if hint == "" {
				hint = "for example --type task.blocked, --type run or --type completed"
			}
			return nil, &usageError{msg: fmt.Sprintf("--type %q is unknown", w), hint: hint}
		}
	}
	return types, nil
}

// follow prints the wanted events of a board from a position on, until ctx
// ends. A board that nobody serves is opened again and again, for a moment
// each, so that others can work on it meanwhile.
func (x *call) follow(ctx context.Context, slug string, from uint64, every time.Duration, wanted func(api.Board, events.Entry) (bool, error)) error {
	for {
		var found []events.Entry
		more := false
		err := x.peek(ctx, slug, func(b api.Board) error {
			if _, here := b.(*owner.Owner); !here {
				return b.Follow(ctx, from, func(e events.Entry) error {
					from = e.Seq + 1
					if ok, err := wanted(b, e); !ok || err != nil {
						return err
					}
					return x.printEvent(e)
				})
			}
			entries, err := b.Read(ctx, from, 1000)
			more = len(entries) > 0
			for _, e := range entries {
				from = e.Seq + 1
				if ok, err := wanted(b, e); err != nil {
					return err
				} else if ok {
					found = append(found, e)
				}
			}
			return err
		})
		for _, e := range found { // the board is free again: whoever reads this may take his time
			if err := x.printEvent(e); err != nil {
				return err
			}
		}
		if err != nil && !errors.Is(err, api.ErrNoOwner) {
			return err
		}
		if !more {
			pause(ctx, every)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// peek opens a board for as long as f takes.
func (x *call) peek(ctx context.Context, slug string, f func(api.Board) error) error {
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	b, err := x.reach(ctx, home, slug)
	if err != nil {
		return err
	}
	return errors.Join(f(b), b.Close())
}

// printEvent prints one record as a line, or as it is stored.
func (x *call) printEvent(e events.Entry) error {
	if x.json() {
		return x.printRecord(e)
	}
	r, err := events.Decode(e.Record)
	if err != nil {
		return err
	}
	entry := projections.Entry{Record: r}
	if e.Text != nil {
		text, err := events.DecodeText(e.Text)
		if err != nil {
			return err
		}
		entry.Fields = &text.Fields
	}
	w := projections.Words(entry)
	_, err = fmt.Fprintf(x.Stdout, "%s  %d  %s  %s\n", r.Time.Time().Local().Format("15:04:05"), r.Seq, line(w.Who), line(w.What))
	return err
}
