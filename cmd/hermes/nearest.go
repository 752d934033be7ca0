package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
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
