package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// call is one invocation of a verb: its environment, flags and arguments.
type call struct {
	Env
	c    *cli.Context
	slug string // the board named by an id written as board/t7
	bare string // an id that was written without a board
}

// Tree builds the command tree for one invocation.
func Tree(env Env) *cli.App {
	app := &cli.App{
		Name:                      "hermes",
		Usage:                     "event-sourced Kanban boards for AI agents",
		HideHelp:                  true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		Writer:                    env.Stdout,
		ErrWriter:                 env.Stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              func(_ *cli.Context, err error, _ bool) error { return usagef("%v", err) },
		Flags: []cli.Flag{
			str("home", "", "the folder of all boards and profiles (default $HERMES_HOME or ~/.hermes)"),
			str("board", "b", "the board (default $HERMES_BOARD, then the current one)"),
			str("profile", "p", "the profile (default $HERMES_PROFILE)"),
			flag("json", "", "answer in JSON"),
			flag("quiet", "q", "print ids only"),
		},
		Commands: []*cli.Command{
			boardCommand(env), kanbanCommand(env), statusCommand(env), inboxCommand(env), costCommand(env), cronCommand(env), stopCommand(env),
			profileCommand(env), configCommand(env), clientCommand(env), pairingCommand(env), skillsCommand(env), updateCommand(env),
			gatewayCommand(env), demoCommand(env), sandboxCommand(env), agentCommand(env), workerCommand(env), runnerCommand(env),
			versionCommand(env), completionCommand(env), verifyChildCommand(env),
		},
	}
	return app
}

// run carries out one invocation and returns its exit code.
func run(ctx context.Context, env Env) int {
	err := execute(ctx, env)
	return report(env, err)
}

func execute(ctx context.Context, env Env) error {
	app := Tree(env)
	inv, err := arrange(app, env.Args)
	switch {
	case err != nil:
		return err
	case inv.version:
		return printVersion(env)
	case inv.help:
		return printHelp(env, app, inv)
	case len(inv.path) == 0:
		writeHelp(env.Stderr, app, inv)
		return exitError(exitUsage)
	}
	return app.RunContext(ctx, inv.argv())
}

// verb makes a command that does something.
func verb(env Env, names, args, usage, help string, flags []cli.Flag, do func(context.Context, *call) error) *cli.Command {
	all := strings.Split(names, ",")
	return &cli.Command{
		Name: all[0], Aliases: all[1:], ArgsUsage: args, Usage: usage, Description: help,
		Flags: flags, HideHelp: true,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return usagef("%v", err) },
		Action:       func(c *cli.Context) error { return do(c.Context, &call{Env: env, c: c}) },
	}
}

// noun makes a command that only groups others.
func noun(env Env, names, usage string, verbs ...*cli.Command) *cli.Command {
	all := strings.Split(names, ",")
	cmd := &cli.Command{Name: all[0], Aliases: all[1:], Usage: usage, HideHelp: true, Subcommands: verbs}
	cmd.Action = func(c *cli.Context) error {
		name := "hermes " + cmd.Name
		if c.Args().Len() == 0 {
			return &usageError{msg: name + " wants a verb", hint: name + " --help lists them"}
		}
		return unknownVerb(name, c.Args().First(), verbs)
	}
	return cmd
}

// str, flag, num and list make flags. No flag reads the environment by itself:
// what an invocation knows of it comes through its Env.
func str(name, short, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, Aliases: aliases(short), Usage: usage}
}

func flag(name, short, usage string) cli.Flag {
	return &cli.BoolFlag{Name: name, Aliases: aliases(short), Usage: usage}
}

func num(name, short, usage string) cli.Flag {
	return &cli.IntFlag{Name: name, Aliases: aliases(short), Usage: usage}
}

func list(name, short, usage string) cli.Flag {
	return &cli.StringSliceFlag{Name: name, Aliases: aliases(short), Usage: usage}
}

// hidden keeps a flag out of the help: it is there for those who know it from elsewhere.
func hidden(f cli.Flag) cli.Flag {
	switch f := f.(type) {
	case *cli.StringFlag:
		f.Hidden = true
	case *cli.BoolFlag:
		f.Hidden = true
	case *cli.IntFlag:
		f.Hidden = true
	case *cli.StringSliceFlag:
		f.Hidden = true
	}
	return f
}

func aliases(short string) []string {
	if short == "" {
		return nil
	}
	return strings.Split(short, ",")
}

// args returns the arguments, at least min and at most max of them (max < 0 = any number).
func (x *call) args(min, max int, want string) ([]string, error) {
	a := x.c.Args().Slice()
	if len(a) < min {
		return nil, &usageError{msg: "wants " + want, hint: x.c.Command.HelpName + " --help"}
	}
	if max >= 0 && len(a) > max {
		return nil, &usageError{msg: fmt.Sprintf("does not want %q; wants %s", a[max], want), hint: x.c.Command.HelpName + " --help"}
	}
	return a, nil
}

func (x *call) str(name string) string    { return x.c.String(name) }
func (x *call) flag(name string) bool     { return x.c.Bool(name) }
func (x *call) num(name string) int       { return x.c.Int(name) }
func (x *call) list(name string) []string { return x.c.StringSlice(name) }
func (x *call) isSet(name string) bool    { return x.c.IsSet(name) }
func (x *call) json() bool                { return x.c.Bool("json") }

// say writes words for a person.
func (x *call) say(format string, a ...any) { say(x.Stderr, format, a...) }

func say(w io.Writer, format string, a ...any) { fmt.Fprintf(w, format+"\n", a...) }
