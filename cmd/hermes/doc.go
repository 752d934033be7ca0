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
//
// A few files join what does not know each other: service.go (a board, its
// socket and its dispatcher), dispatch.go (the dispatcher and the agents),
// rundoor.go (a run and whoever owns its board), gateway_hold.go (a gateway and
// the boards that come, go and are held by others), kanban_planner.go (rough
// ideas and the profile's planner).
package main
