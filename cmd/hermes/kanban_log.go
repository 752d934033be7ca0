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
		[]cli.Flag{flag("follow", "f", "go on until the attempt has ended"), num("tail", "", "only the last so many bytes"), flag("raw", "", "as it came: the JSON of a program that writes some, control characters included")},
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
	l := growingLog{path: filepath.Join(dir, supervise.LogFile)}
	if _, err := os.Stat(filepath.Join(dir, supervise.RawLog)); err == nil && x.flag("raw") {
		l.path = filepath.Join(dir, supervise.RawLog)
	}
	defer l.close()
	if err := l.open(); err != nil {
		return err
	}
	older, err := os.Open(l.path + ".1")
	if err == nil {
		defer older.Close()
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	skip := int64(0)
	if n := int64(x.num("tail")); n > 0 {
		skip = max(0, length(older)+length(l.file)-n)
	}
	if older != nil && !same(older, l.file) { // or it was rotated just now
		if err := x.copyLog(older, &skip); err != nil {
			return err
		}
	}
	if err := l.copy(x, &skip); err != nil || !x.flag("follow") {
		return err
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
		if err := l.copy(x, new(int64)); err != nil || ended {
			return err
		}
		if pause(ctx, 300*time.Millisecond); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// growingLog is a log that is written to, and rotated, while it is read.
type growingLog struct {
	path string
	file *os.File // nil while there is none
}

func (l *growingLog) open() (err error) {
	if l.file, err = os.Open(l.path); errors.Is(err, os.ErrNotExist) {
		l.file, err = nil, nil
	}
	return err
}

func (l *growingLog) close() {
	if l.file != nil {
		l.file.Close()
	}
}

// copy prints what has come since the last time.
func (l *growingLog) copy(x *call, skip *int64) error {
	for {
		if l.file == nil {
			if err := l.open(); l.file == nil {
				return err
			}
		}
		if err := x.copyLog(l.file, skip); err != nil {
			return err
		}
		next, err := os.Open(l.path)
		if err != nil || same(next, l.file) {
			if err == nil {
				next.Close()
			}
			return nil
		}
		// It was rotated, perhaps after something was added to the old file.
		err = x.copyLog(l.file, skip)
		l.file.Close()
		if l.file = next; err != nil {
			return err
		}
	}
}

func same(a, b *os.File) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

func length(f *os.File) int64 {
	if f == nil {
		return 0
	}
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// copyLog prints output made safe for a terminal.
func (x *call) copyLog(f io.Reader, skip *int64) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := f.Read(buf)
		drop := min(*skip, int64(n))
		*skip -= drop
		text := string(buf[drop:n])
		if !x.flag("raw") {
			text = printable(text)
		}
		if _, err := io.WriteString(x.Stdout, text); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
