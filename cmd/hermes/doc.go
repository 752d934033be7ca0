// Command hermes coordinates AI agents over event-sourced Kanban boards.
//
// This package is wiring, flags, printing and exit codes; what the program
// does lies in the packages it imports. The command tree is built anew for
// every invocation from an [Env], so that chat and tests may run many at once;
// nothing in it is global and nothing calls os.Exit but main.
//
// One file holds the verbs of one subject. Files without a noun in their name
// are the frame: env.go (what an invocation may use), tree.go (the command
// tree), args.go (flags before or after arguments), help.go, exit.go (errors to
// exit codes and hints), print.go, open.go (from flags to a board).
package main
