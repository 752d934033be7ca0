package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/sandbox"
)

// Exit codes. README lists them.
const (
	exitOK          = 0
	exitRefused     = 1
	exitUsage       = 2
	exitNotFound    = 3 // or forbidden: the same answer
	exitBusy        = 4 // busy, frozen or too old
	exitDamaged     = 5
	exitInterrupted = 130
)

// usageError is a command line that makes no sense.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, a ...any) error { return &usageError{msg: fmt.Sprintf(format, a...)} }

// exitError says how to end where the words have been printed already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// failure is an error as people and scripts see it.
type failure struct {
	Code    string        `json:"code"`
	Message string        `json:"message"`
	Hint    string        `json:"hint,omitzero"`
	Task    events.TaskID `json:"task,omitzero"`
	exit    int
}

// explainError is the one place that maps errors to exit codes and hints.
func explainError(err error) failure {
	var usage *usageError
	var rej *boards.Rejection
	var apiErr *api.Error
	switch {
	case errors.As(err, &usage):
		return failure{Code: "usage", Message: err.Error(), Hint: usage.hint, exit: exitUsage}
	case errors.As(err, &rej):
		exit := exitRefused
		switch rej.Code {
		case boards.CodeNotFound:
			exit = exitNotFound
		case boards.CodeBadCommand:
			exit = exitUsage
		}
		return failure{Code: string(rej.Code), Message: err.Error(), Hint: rej.Hint, Task: rej.Task, exit: exit}
	case errors.As(err, &apiErr):
		return failure{Code: apiErr.Code, Message: err.Error(), Hint: apiErr.Hint, exit: apiExit(apiErr.Code)}
	case errors.Is(err, context.Canceled):
		return failure{Code: "interrupted", Message: "interrupted", exit: exitInterrupted}
	}
	if f, ok := explainStore(err); ok {
		return f
	}
	return failure{Code: api.CodeInternal, Message: err.Error(), exit: exitRefused}
}

func apiExit(code string) int {
	switch code {
	case api.CodeNotFound, api.CodeForbidden:
		return exitNotFound
	case api.CodeBusy, api.CodeFrozen, api.CodeTooOld:
		return exitBusy
	case api.CodeDamaged:
		return exitDamaged
	}
	return exitRefused
}

// report prints an error and returns the exit code.
func report(env Env, err error) int {
	var code exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	}
	f := explainError(err)
	if wantsJSON(env.Args) {
		b, _ := json.Marshal(struct {
			Error failure `json:"error"`
		}{f})
		fmt.Fprintf(env.Stderr, "%s\n", b)
		return f.exit
	}
	sayFailure(env, "hermes: ", f)
	return f.exit
}

// sayFailure writes an error and its hint for a person.
func (x *call) sayFailure(f failure) { sayFailure(x.Env, "", f) }

func sayFailure(env Env, prefix string, f failure) {
	say(env.Stderr, "%s%s", prefix, printable(f.Message))
	if f.Hint != "" {
		say(env.Stderr, "  %s", printable(f.Hint))
	}
}

// wantsJSON looks for --json itself: the command line may be the error.
func wantsJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--":
			return false
		case "--json", "-json", "--json=true":
			return true
		}
	}
	return false
}

// looking says how to find out why a file cannot be used.
func looking(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) && filepath.IsAbs(at.Path) {
		return "who may use it: ls -ld " + shellQuote(filepath.Dir(at.Path)) + " " + shellQuote(at.Path)
	}
	return "the home, and all that is in it, is to be that user's"
}

// explainStore maps what opening a home or a board may answer.
func explainStore(err error) (failure, bool) {
	var (
		held       *registry.HeldError
		quarantine *registry.QuarantinedError
		exists     *registry.ExistsError
		slug       *registry.SlugError
		python     *registry.PythonHomeError
		newer      *boltlog.NewerError
		gap        *sandbox.GapError
		agent      *agents.Problem
		noHome     *homeError
	)
	f := failure{Message: err.Error()}
	switch {
	case errors.As(err, &held):
		f.Code, f.exit = api.CodeBusy, exitBusy
	case errors.As(err, &quarantine):
		f.Code, f.Hint, f.exit = api.CodeDamaged, quarantine.Hint, exitDamaged
	case errors.As(err, &exists):
		f.Code, f.exit = "board_exists", exitRefused
	case errors.As(err, &slug):
		f.Code, f.Hint, f.exit = "bad_slug", "a board's name is lower-case letters, digits, - and _, at most 64", exitUsage
	case errors.As(err, &python):
		f.Code, f.Hint, f.exit = "python_home", python.Hint(), exitRefused
	case errors.As(err, &newer):
		f.Code, f.exit = "board_newer", exitBusy
		f.Hint = "use the newer hermes that wrote this board"
	case errors.Is(err, registry.ErrNoBoard):
		f.Code, f.exit = api.CodeNotFound, exitNotFound
	case errors.Is(err, events.ErrDamaged):
		f.Code, f.exit = api.CodeDamaged, exitDamaged
	case errors.Is(err, events.ErrFull):
		f.Code, f.exit = string(boards.CodeFull), exitRefused
	case errors.As(err, &gap):
		f.Code, f.exit = "sandbox_gap", exitRefused
	case errors.Is(err, sandbox.ErrUnknown):
		f.Code, f.exit = "sandbox_unknown", exitUsage
	case errors.As(err, &agent):
		f.Code, f.exit = agent.Code, exitRefused
	case errors.Is(err, syscall.ENOSPC):
		f.Code, f.Hint, f.exit = string(boards.CodeFull), "the disk is full", exitRefused
	case errors.Is(err, syscall.EROFS):
		f.Code, f.Hint, f.exit = "read_only", "that file system is mounted read-only; another home: --home DIR, or HERMES_HOME", exitRefused
	case errors.As(err, &noHome):
		f.Code, f.Hint, f.exit = "no_home", "name a folder that is yours, or can be made: --home DIR, or HERMES_HOME", exitRefused
	case errors.Is(err, fs.ErrPermission):
		f.Code, f.Hint, f.exit = "no_permission", fmt.Sprintf("this is user %d; %s", os.Geteuid(), looking(err)), exitRefused
	default:
		return failure{}, false
	}
	return f, true
}
