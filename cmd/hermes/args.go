package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

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
	for i, tok := range argv {
		if !utf8.ValidString(tok) {
			return inv, usagef("argument %d is not UTF-8: %q", i+1, tok)
		}
	}
	for i := 0; i < len(argv); i++ {
		tok := argv[i]
		switch {
		case tok == "--":
			inv.args = append(inv.args, argv[i+1:]...)
			i = len(argv)
		case tok == "-h" || tok == "--help" || tok == "help" && len(inv.args) == 0 && inv.groups():
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
			if !hasValue && takesValue(flag) {
				if i++; i == len(argv) {
					return inv, usagef("--%s wants a value", flag.Names()[0])
				}
				value, hasValue = argv[i], true
			}
			spelled, err := spell(flag, value, hasValue)
			if err != nil {
				return inv, err
			}
			for flag.Names()[0] == severalIDs && i+1 < len(argv) && isTask(argv[i+1]) {
				i++
				spelled = append(spelled, "--"+severalIDs+"="+argv[i])
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
	if len(inv.args) > 0 && inv.groups() {
		return inv, unknownVerb(inv.name(), inv.args[0], commands)
	}
	if err := inv.once("home", "profile"); err != nil {
		return inv, err
	}
	return inv, inv.place(early)
}

// once refuses flags of the program that name two things: a profile's own
// command names them already, and is to be of that profile whatever follows.
func (inv *invocation) once(names ...string) error {
	for _, name := range names {
		first := ""
		for _, tok := range inv.global {
			if value, ok := strings.CutPrefix(tok, "--"+name+"="); ok && first != "" && value != first {
				return usagef("--%s is given twice", name)
			} else if ok {
				first = value
			}
		}
	}
	return nil
}

// severalIDs is the flag that takes every id that follows it, as the Python
// system's does: --ids t7 t8.
const severalIDs = "ids"

// spell writes a flag the way cli v2 wants it and says in plain words if its
// value is of the wrong kind.
func spell(f cli.Flag, value string, hasValue bool) ([]string, error) {
	name := "--" + f.Names()[0]
	if !hasValue {
		return []string{name}, nil
	}
	switch f.(type) {
	case *cli.BoolFlag:
		if _, err := strconv.ParseBool(value); err != nil {
			return nil, usagef("%s is on or off: %s or %s=false, not %q", name, name, name, value)
		}
	case *cli.IntFlag:
		if _, err := strconv.ParseInt(value, 0, 64); err != nil {
			return nil, usagef("%s wants a whole number, not %q", name, value)
		}
	}
	return []string{name + "=" + value}, nil
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
	name, value, hasValue := strings.Cut(strings.TrimLeft(tok, "-"), "=")
	var names []string
	if last := inv.last(); last != nil {
		for _, f := range last.Flags {
			if has(f.Names(), name) && (hasValue || !takesValue(f)) {
				spelled, err := spell(f, value, hasValue)
				inv.flags = append(inv.flags, spelled...)
				return err
			}
			if v, ok := f.(cli.VisibleFlag); !ok || v.IsVisible() {
				names = append(names, f.Names()[0])
			}
		}
	}
	hint := suggest(name, names, "--")
	if hint == "" {
		hint = inv.name() + " --help lists the flags"
	}
	flag, _, _ := strings.Cut(tok, "=")
	return &usageError{msg: fmt.Sprintf("%s has no flag %s", inv.name(), flag), hint: hint}
}

// groups reports whether what is named so far only groups commands.
func (inv *invocation) groups() bool {
	last := inv.last()
	return last == nil || len(last.Subcommands) > 0
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
