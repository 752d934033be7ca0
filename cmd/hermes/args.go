package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// invocation is an argument list sorted out: which command is meant, its flags
// and its arguments. cli v2 stops looking for flags at the first argument;
// people do not.
type invocation struct {
	path    []*cli.Command // from the noun to the verb; empty = none named
	global  []string       // flags of the program itself
	flags   []string       // flags of the last command in path
	args    []string       // everything that is neither
	help    bool
	version bool
}

// arrange sorts argv out against the tree. Flags may stand anywhere before
// "--"; a flag that the named command does not have is looked for among the
// program's own. Errors are usage errors.
func arrange(app *cli.App, argv []string) (invocation, error) {
	var inv invocation
	var early []string // flags seen before the verb was known and unknown so far
	commands := app.Commands
	for i := 0; i < len(argv); i++ {
		tok := argv[i]
		switch {
		case tok == "--":
			inv.args = append(inv.args, argv[i+1:]...)
			i = len(argv)
		case tok == "-h" || tok == "--help":
			inv.help = true
		case (tok == "--version" || tok == "-v") && len(inv.path) == 0:
			inv.version = true
		case len(tok) > 1 && tok[0] == '-' && !isNumber(tok):
			name, value, hasValue := strings.Cut(strings.TrimLeft(tok, "-"), "=")
			flag, global := lookFlag(app, inv.last(), name)
			if flag == nil {
				if !hasValue && i+1 < len(argv) && anyTakesValue(commands, name) {
					i++
					tok += "=" + argv[i]
				}
				early = append(early, tok)
				continue
			}
			spelled := []string{"--" + flag.Names()[0]}
			switch {
			case hasValue:
				spelled[0] += "=" + value
			case takesValue(flag):
				if i++; i == len(argv) {
					return inv, usagef("flag --%s wants a value", flag.Names()[0])
				}
				spelled[0] += "=" + argv[i]
			}
			if global {
				inv.global = append(inv.global, spelled...)
			} else {
				inv.flags = append(inv.flags, spelled...)
			}
		default:
			if cmd := findCommand(commands, tok); cmd != nil && len(inv.args) == 0 {
				inv.path, commands = append(inv.path, cmd), cmd.Subcommands
				continue
			}
			inv.args = append(inv.args, tok)
		}
	}
	return inv, inv.place(early)
}

// place puts the flags that were seen before their command was known.
func (inv *invocation) place(early []string) error {
	for _, tok := range early {
		if err := inv.placeOne(tok); err != nil {
			return err
		}
	}
	return nil
}

func (inv *invocation) placeOne(tok string) error {
	name, _, hasValue := strings.Cut(strings.TrimLeft(tok, "-"), "=")
	var names []string
	if last := inv.last(); last != nil {
		for _, f := range last.Flags {
			if has(f.Names(), name) && (hasValue || !takesValue(f)) {
				inv.flags = append(inv.flags, "--"+strings.TrimLeft(tok, "-"))
				return nil
			}
			names = append(names, f.Names()[0])
		}
	}
	return &usageError{msg: fmt.Sprintf("%s has no flag %s", inv.name(), tok), hint: suggest(name, names, "--")}
}

func (inv *invocation) last() *cli.Command {
	if len(inv.path) == 0 {
		return nil
	}
	return inv.path[len(inv.path)-1]
}

func (inv *invocation) name() string {
	parts := []string{"hermes"}
	for _, c := range inv.path {
		parts = append(parts, c.Name)
	}
	return strings.Join(parts, " ")
}

// argv spells the invocation the way cli v2 wants it.
func (inv *invocation) argv() []string {
	out := append([]string{"hermes"}, inv.global...)
	for _, c := range inv.path {
		out = append(out, c.Name)
	}
	out = append(out, inv.flags...)
	return append(append(out, "--"), inv.args...)
}

// lookFlag finds a flag by any of its names: the command's own before the program's.
func lookFlag(app *cli.App, cmd *cli.Command, name string) (f cli.Flag, global bool) {
	if cmd != nil {
		for _, f := range cmd.Flags {
			if has(f.Names(), name) {
				return f, false
			}
		}
	}
	for _, f := range app.Flags {
		if has(f.Names(), name) {
			return f, true
		}
	}
	return nil, false
}

// anyTakesValue reports whether one of the commands still possible has a flag
// of that name which wants a value.
func anyTakesValue(commands []*cli.Command, name string) bool {
	for _, c := range commands {
		for _, f := range c.Flags {
			if has(f.Names(), name) && takesValue(f) {
				return true
			}
		}
		if anyTakesValue(c.Subcommands, name) {
			return true
		}
	}
	return false
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

func findCommand(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func has(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func isNumber(s string) bool {
	for _, r := range s[1:] {
		if r < '0' || r > '9' {
			return false
		}
	}
	return len(s) > 1
}

// suggest names the nearest of the words to s, as a hint; empty if none is near.
func suggest(s string, words []string, prefix string) string {
	best, least := "", 3
	for _, w := range words {
		if d := distance(s, w); d < least && d < len(w) {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + prefix + best + "?"
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
