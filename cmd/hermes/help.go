package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

const exitHelp = "Exit status: 0 done, 1 refused, 2 usage, 3 not found or forbidden, 4 busy, frozen or too old, 5 damaged, 130 interrupted."

// printHelp prints the help of the command an invocation names.
func printHelp(env Env, app *cli.App, inv invocation) error {
	writeHelp(env.Stdout, app, inv)
	return nil
}

func writeHelp(w io.Writer, app *cli.App, inv invocation) {
	cmd := inv.last()
	switch {
	case cmd == nil:
		fmt.Fprintf(w, "hermes: %s\n\nUsage: hermes [flags] COMMAND …\n\n", app.Usage)
		printCommands(w, app.Commands)
		fmt.Fprint(w, "\nFlags, at any place:\n")
		printFlags(w, app.Flags)
		fmt.Fprint(w, "\nhermes COMMAND --help says more. First steps: hermes demo\n")
	case len(cmd.Subcommands) > 0:
		fmt.Fprintf(w, "%s: %s\n\nUsage: %s VERB …\n\n", inv.name(), cmd.Usage, inv.name())
		printCommands(w, cmd.Subcommands)
		fmt.Fprintf(w, "\n%s VERB --help says more.\n", inv.name())
	default:
		fmt.Fprintf(w, "%s: %s\n\nUsage: %s\n", inv.name(), cmd.Usage, strings.TrimSpace(inv.name()+" [flags] "+cmd.ArgsUsage))
		if len(cmd.Aliases) > 0 {
			fmt.Fprintf(w, "Also: %s\n", strings.Join(cmd.Aliases, ", "))
		}
		if cmd.Description != "" {
			fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(cmd.Description))
		}
		if len(cmd.Flags) > 0 {
			fmt.Fprint(w, "\nFlags:\n")
			printFlags(w, cmd.Flags)
		}
	}
	fmt.Fprintf(w, "\n%s\n", exitHelp)
}

func printCommands(w io.Writer, commands []*cli.Command) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, c := range commands {
		if !c.Hidden {
			fmt.Fprintf(tw, "  %s\t%s\n", c.Name, c.Usage)
		}
	}
	tw.Flush()
}

func printFlags(w io.Writer, flags []cli.Flag) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if v, isVisible := f.(cli.VisibleFlag); !ok || isVisible && !v.IsVisible() {
			continue
		}
		var names []string
		for _, n := range f.Names() {
			dash := "--"
			if len(n) == 1 {
				dash = "-"
			}
			names = append(names, dash+n)
		}
		left := strings.Join(names, ", ")
		if d.TakesValue() {
			left += " VALUE"
		}
		fmt.Fprintf(tw, "  %s\t%s\n", left, d.GetUsage())
	}
	tw.Flush()
}
