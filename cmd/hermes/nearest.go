package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/worker"
)

// unknownVerb is the answer to a word that names no command.
func unknownVerb(parent, verb string, among []*cli.Command) error {
	hint := suggest(verb, verbNames(among), parent+" ")
	if kanban := findCommand(among, "kanban"); hint == "" && kanban != nil { // who says hermes list means a task's verb
		hint = suggest(verb, verbNames(kanban.Subcommands), parent+" kanban ")
	}
	if hint == "" {
		hint = parent + " --help lists what there is"
	}
	return &usageError{msg: fmt.Sprintf("%s has no verb %q", parent, verb), hint: hint}
}

func verbNames(commands []*cli.Command) []string {
	var words []string
	for _, c := range commands {
		if !c.Hidden {
			words = append(words, c.Names()...)
		}
	}
	return words
}

// suggest names the nearest of the words to s, as a hint; empty if none is near.
func suggest(s string, words []string, prefix string) string {
	if best := worker.Nearest(s, words); best != "" {
		return "did you mean " + prefix + best + "?"
	}
	return ""
}
