package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func completionCommand(env Env) *cli.Command {
	return verb(env, "completion", "bash|zsh|fish", "print a script that completes commands and flags in a shell", `
Examples:
  source <(hermes completion bash)
  hermes completion zsh > "${fpath[1]}/_hermes"
  hermes completion fish > ~/.config/fish/completions/hermes.fish`, nil,
		func(_ context.Context, x *call) error {
			a, err := x.args(1, 1, "the name of a shell: bash, zsh or fish")
			if err != nil {
				return err
			}
			words := completions(Tree(x.Env))
			switch a[0] {
			case "bash":
				return bashCompletion(x.Stdout, words)
			case "zsh":
				return zshCompletion(x.Stdout, words)
			case "fish":
				return fishCompletion(x.Stdout, words)
			}
			return &usageError{msg: fmt.Sprintf("there is no completion for %q", a[0]), hint: "hermes completion bash, zsh or fish"}
		})
}

// completion is what may follow a path of commands.
type completion struct {
	path  string // "" or "board policy"
	verbs []*cli.Command
	flags []cli.Flag
}

// completions walks the tree, without what is hidden.
func completions(app *cli.App) []completion {
	list := []completion{{"", seen(app.Commands), app.Flags}}
	for _, c := range list[0].verbs {
		list = append(list, completionsOf(c, c.Name)...)
	}
	return list
}

func completionsOf(c *cli.Command, path string) []completion {
	list := []completion{{path, seen(c.Subcommands), c.Flags}}
	for _, sub := range list[0].verbs {
		list = append(list, completionsOf(sub, path+" "+sub.Name)...)
	}
	return list
}

func seen(commands []*cli.Command) []*cli.Command {
	var list []*cli.Command
	for _, c := range commands {
		if !c.Hidden {
			list = append(list, c)
		}
	}
	return list
}

// words lists what can be typed next: commands, and flags with their dashes.
func (c completion) words() (verbs, flags []string) {
	for _, v := range c.verbs {
		verbs = append(verbs, v.Name)
	}
	for _, f := range c.flags {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
			continue
		}
		flags = append(flags, "--"+f.Names()[0])
	}
	return verbs, flags
}

// bashCases prints a case for each path: what its commands and flags are.
func bashCases(w io.Writer, list []completion) {
	for _, c := range list {
		verbs, flags := c.words()
		fmt.Fprintf(w, "    %q) verbs=%q; flags=%q ;;\n", c.path, strings.Join(verbs, " "), strings.Join(flags, " "))
	}
}

func bashCompletion(w io.Writer, list []completion) error {
	_, global := list[0].words()
	fmt.Fprint(w, `# bash completion for hermes
_hermes_words() { # the words after a path of commands
  local verbs= flags=
  case "$1" in
`)
	bashCases(w, list)
	_, err := fmt.Fprintf(w, `  esac
  case "$2" in
    verbs) echo "$verbs" ;;
    flags) echo "$flags %s" ;;
  esac
}
_hermes() {
  local path= word verbs i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    verbs=" $(_hermes_words "$path" verbs) "
    [[ $verbs == *" $word "* ]] && path="${path:+$path }$word"
  done
  word=${COMP_WORDS[COMP_CWORD]}
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$(_hermes_words "$path" flags)" -- "$word"))
  else
    COMPREPLY=($(compgen -W "$(_hermes_words "$path" verbs)" -- "$word"))
  fi
}
complete -o default -F _hermes hermes
`, strings.Join(global, " "))
	return err
}

// zshCompletion is the same script, which zsh's own bridge understands.
func zshCompletion(w io.Writer, list []completion) error {
	if _, err := fmt.Fprint(w, "#compdef hermes\nautoload -U +X bashcompinit && bashcompinit\n"); err != nil {
		return err
	}
	return bashCompletion(w, list)
}

func fishCompletion(w io.Writer, list []completion) error {
	fmt.Fprint(w, `# fish completion for hermes
function __hermes_at # the commands typed so far are these
  set -l typed (string match -v -- '-*' (commandline -opc)[2..-1])
  test "$typed" = "$argv"
end
`)
	for _, c := range list {
		for _, v := range c.verbs {
			fmt.Fprintf(w, "complete -c hermes -f -n '__hermes_at %s' -a %s -d %s\n", c.path, v.Name, fishQuote(v.Usage))
		}
		for _, f := range c.flags {
			d, ok := f.(cli.DocGenerationFlag)
			if v, visible := f.(cli.VisibleFlag); !ok || visible && !v.IsVisible() {
				continue
			}
			value := ""
			if d.TakesValue() {
				value = " -r"
			}
			fmt.Fprintf(w, "complete -c hermes -n '__hermes_in %s' -l %s%s -d %s\n", c.path, f.Names()[0], value, fishQuote(d.GetUsage()))
		}
	}
	_, err := fmt.Fprint(w, `function __hermes_in # the commands typed so far begin with these
  set -l typed (string match -v -- '-*' (commandline -opc)[2..-1])
  test (count $argv) -le (count $typed); and test (count $argv) -eq 0 -o "$typed[1..(count $argv)]" = "$argv"
end
`)
	return err
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
