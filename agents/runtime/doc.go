// Package runtime knows how each kind of agent is launched, and what the
// output of its program means.
//
// An [Adapter] is one kind. From the facts of an attempt it makes a [Plan]: the
// command, the variables, the files of this attempt and the first words.
// Nothing here decides about the board or starts a process.
//
// # What every plan keeps to
//
// An agent can do what the tools of its board and runtime.tools of its
// configuration let it do, and nothing else. Its settings come from the plan
// alone: neither from the workspace, which may be hostile, nor from a home,
// which is not its own. It calls its model at one address, inside the sandbox,
// with a token that is worthless anywhere else. What must be found again by a
// later attempt lies in the state folder; everything else of the plan lies in
// a folder of this attempt, which is given read-only.
//
// # Going on
//
// A [Conversation] is remembered outside the sandbox. A later attempt resumes
// it if the state folder still has it.
//
// # Output
//
// A [Stream] takes a program's output and gives lines to read. What it learns
// on the way (tokens, cost, why it failed) is in its [Summary], which is typed
// from the JSON of the program and never from prose.
package runtime
