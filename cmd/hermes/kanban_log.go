package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func logVerb(env Env) *cli.Command {
	return verb(env, "log", "ID", "print the output of a task's agent", "Examples:\n  hermes kanban log t7\n  hermes kanban log t7.2 -f",
		[]cli.Flag{flag("follow", "f", "go on until the attempt has ended"), num("tail", "", "only the last so many bytes"), flag("raw", "", "as it came, control characters included")},
		runLog)
}

func runLog(ctx context.Context, x *call) error {
	a, err := x.args(1, 1, "a task or an attempt (t7 or t7.2)")
	if err != nil {
		return err
	}
	task, attempt, _ := strings.Cut(a[0], ".")
	tasks, err := x.taskIDs([]string{task})
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	d, err := b.Show(ctx, tasks[0])
	info, infoErr := b.Info(ctx)
	if err := errors.Join(err, infoErr, b.Close()); err != nil { // the board is free while its log is followed
		return err
	}
	if len(d.Runs) == 0 {
		return &api.Error{Code: api.CodeNotFound, Message: d.ID.String() + " was never started", Hint: "hermes kanban why " + d.ID.String()}
	}
	run := d.Runs[len(d.Runs)-1]
	if attempt != "" {
		i := slices.IndexFunc(d.Runs, func(r projections.RunRow) bool { return fmt.Sprint(r.Run.N) == attempt })
		if i < 0 {
			return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("%s has no attempt %s", d.ID, attempt)}
		}
		run = d.Runs[i]
	}
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	return x.printLog(ctx, info.Slug, supervise.RunDir(home.Paths(info.Slug).Dir, run.Run), run.Run)
}

// printLog copies a run's kept output, older part first.
func (x *call) printLog(ctx context.Context, slug, dir string, run events.RunID) error {
	skip := int64(0)
	paths := []string{filepath.Join(dir, "log.1"), filepath.Join(dir, "log")}
	if n := int64(x.num("tail")); n > 0 {
		for _, p := range paths {
			if info, err := os.Stat(p); err == nil {
				skip += info.Size()
			}
		}
		skip = max(0, skip-n)
	}
	var at int64
	for _, p := range paths {
		f, err := os.Open(p)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		at, err = x.copyLog(f, &skip)
		f.Close()
		if err != nil {
			return err
		}
	}
	if !x.flag("follow") {
		return nil
	}
	for {
		ended := false
		err := x.peek(ctx, slug, func(b api.Board) error {
			d, err := b.Show(ctx, run.Task)
			ended = !slices.ContainsFunc(d.Runs, func(r projections.RunRow) bool { return r.Run == run && r.Ended == 0 })
			return err
		})
		if err != nil && !errors.Is(err, api.ErrNoOwner) {
			return err
		}
		if at, err = x.copyNew(paths[1], at); err != nil || ended {
			return err
		}
		if pause(ctx, 300*time.Millisecond); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// copyNew prints what a log has gained beyond a position and returns its new end.
func (x *call) copyNew(path string, at int64) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return at, nil
	} else if err != nil {
		return at, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() < at { // rotated
		at = 0
	}
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return at, err
	}
	n, err := x.copyLog(f, new(int64))
	return at + n, err
}

// copyLog prints output made safe for a terminal and returns how much it read.
func (x *call) copyLog(f io.Reader, skip *int64) (int64, error) {
	var n int64
	buf := make([]byte, 32<<10)
	for {
		k, err := f.Read(buf)
		n += int64(k)
		b := buf[:k]
		drop := min(*skip, int64(k))
		b, *skip = b[drop:], *skip-drop
		text := string(b)
		if !x.flag("raw") {
			text = printable(text)
		}
		if _, err := io.WriteString(x.Stdout, text); err != nil {
			return n, err
		}
		if err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}
