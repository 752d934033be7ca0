package main

import (
	"io"
	"os"
	"os/user"
	"time"

	"golang.org/x/term"
)

// Env is all that an invocation may use of the world around it.
type Env struct {
	Args     []string // without the program's name
	Stdin    io.Reader
	Stdout   io.Writer // data
	Stderr   io.Writer // words
	Getenv   func(string) string
	Dir      string    // working folder, absolute
	Terminal bool      // Stdout is a terminal
	Prompt   bool      // Stdin and Stderr are terminals: a person can be asked
	Width    int       // columns of the terminal; 0 = unknown
	User     string    // who is asking, for the record
	Asked    time.Time // when, which "in 8h" is counted from; zero = now
}

// asked is when this was asked for, in the time zone of who asks.
func (e Env) asked() time.Time {
	if e.Asked.IsZero() {
		return time.Now()
	}
	return e.Asked
}

// systemEnv is the Env of this process.
func systemEnv() Env {
	dir, _ := os.Getwd()
	env := Env{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Dir: dir}
	env.Terminal = term.IsTerminal(int(os.Stdout.Fd()))
	env.Prompt = term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		env.Width = w
	}
	env.User = userName(os.Getenv)
	return env
}

func userName(getenv func(string) string) string {
	for _, key := range []string{"HERMES_USER", "USER", "LOGNAME"} {
		if name := getenv(key); name != "" {
			return name
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// getenv reads a HERMES_ variable, also under the name the public Python
// system gives it (HERMES_KANBAN_BOARD for HERMES_BOARD).
func (e Env) getenv(name string) string {
	if v := e.Getenv("HERMES_" + name); v != "" {
		return v
	}
	return e.Getenv("HERMES_KANBAN_" + name)
}
