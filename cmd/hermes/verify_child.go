package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
)

// A damaged file can end the process that maps it. So files in doubt are
// looked at by a child, and what the child says is JSON on its stdout.

// childReport is what the verifying child says.
type childReport struct {
	Problems []problem  `json:"problems"`
	Refused  *refusal   `json:"refused,omitzero"` // the file was not opened
	Newer    *newerFile `json:"newer,omitzero"`   // a newer program wrote it
	Failed   string     `json:"failed,omitzero"`  // why the check could not be done
}

// problem is one thing that is wrong with a board.
type problem struct {
	Seq  uint64 `json:"seq"` // 0 = none in particular
	What string `json:"what"`
}

func (p problem) String() string {
	if p.Seq == 0 {
		return p.What
	}
	return fmt.Sprintf("event %d: %s", p.Seq, p.What)
}

type refusal struct {
	Code string `json:"code"`
	Why  string `json:"why"`
}

type newerFile struct {
	Needs uint32 `json:"needs"`
	Have  uint32 `json:"have"`
}

// verifyChildCommand is what the child runs. It is hidden.
func verifyChildCommand(env Env) *cli.Command {
	c := verb(env, verifyChildName, "PATH", "check a board file, for other parts of this program", "", nil, func(ctx context.Context, x *call) error {
		a, err := x.args(1, 1, "the path of a board file")
		if err != nil {
			return err
		}
		report := examineFile(ctx, a[0])
		if err := x.emit(report); err != nil {
			return err
		}
		switch {
		case report.Newer != nil, report.Failed != "":
			return exitError(exitBusy)
		case len(report.Problems) > 0, report.Refused != nil:
			return exitError(exitDamaged)
		}
		return nil
	})
	c.Hidden = true
	return c
}

const verifyChildName = "verify-child"

func examineFile(ctx context.Context, path string) childReport {
	r := childReport{Problems: []problem{}}
	for p := range boltlog.Verify(ctx, path) {
		var refused *boltlog.RefusedError
		var newer *boltlog.NewerError
		switch {
		case errors.As(p.Err, &newer):
			r.Newer = &newerFile{newer.Needs, newer.Have}
			return r
		case errors.As(p.Err, &refused):
			r.Refused = &refusal{refused.Code, refused.Why}
			return r
		case p.Err != nil && !errors.Is(p.Err, events.ErrDamaged):
			r.Failed = p.Err.Error()
			return r
		}
		r.Problems = append(r.Problems, problem{p.Seq, p.What})
	}
	return r
}

// holdOptions are how every part of this program opens boards.
func holdOptions(*registry.Home) *registry.HoldOptions {
	return &registry.HoldOptions{VerifyChild: func(ctx context.Context, path string) error {
		_, err := verifyFile(ctx, path)
		return err
	}}
}

// verifyFile has a child check a file that nobody has open for writing. The
// error matches events.ErrDamaged if the file is bad, and then the problems
// say how; any other error is about the attempt.
func verifyFile(ctx context.Context, path string) ([]problem, error) {
	out, err := runChild(ctx, path)
	var r childReport
	if parseErr := json.Unmarshal(out, &r); parseErr != nil {
		return childDied(ctx, path, err)
	}
	switch {
	case r.Newer != nil:
		return nil, &boltlog.NewerError{Path: path, Needs: r.Newer.Needs, Have: r.Newer.Have}
	case r.Refused != nil:
		return nil, &boltlog.RefusedError{Path: path, Why: r.Refused.Why, Code: r.Refused.Code}
	case r.Failed != "":
		return nil, fmt.Errorf("verify %s: %s", path, r.Failed)
	case len(r.Problems) == 0:
		return nil, nil
	}
	words := r.Problems[0].String()
	if n := len(r.Problems) - 1; n > 0 {
		words += fmt.Sprintf(", and %d more", n)
	}
	return r.Problems, fmt.Errorf("%w: %s", events.ErrDamaged, words)
}

// childDied tells a child that could not be started or was stopped by us from
// one that the file has killed.
func childDied(ctx context.Context, path string, err error) ([]problem, error) {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &exit) && !stopped(exit):
		p := problem{What: fmt.Sprintf("the process that checked the file died of it: %v%s", err, firstLine(exit.Stderr))}
		return []problem{p}, fmt.Errorf("%w: %s", events.ErrDamaged, p)
	case err == nil:
		err = errors.New("the answer makes no sense")
	}
	return nil, fmt.Errorf("verify %s: %w", path, err)
}

// stopped reports whether a process was ended from outside.
func stopped(exit *exec.ExitError) bool {
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return false
	}
	switch status.Signal() {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return true
	}
	return false
}

func firstLine(b []byte) string {
	text, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if text == "" {
		return ""
	}
	return ": " + printable(text)
}

// runChild runs the hidden verb in a process of its own and returns what it
// printed; an error is not unusual.
func runChild(ctx context.Context, path string) ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, verifyChildName, "--", path)
	cmd.Args[0] = "hermes"
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	var words limited
	cmd.Stdout, cmd.Stderr = &out, &words
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		exit.Stderr = words.b
	}
	return out.Bytes(), err
}

// limited keeps the beginning of what is written to it.
type limited struct{ b []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), 4<<10-len(l.b))]...)
	return len(p), nil
}
