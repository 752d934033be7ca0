// Package owner is the process that holds a board: it folds the log, decides
// commands, and answers queries.
//
// One goroutine, the writer, takes every command that waits, decides each
// against the rule state, and appends the events of all in one transaction.
// The rule state belongs to the writer and runs ahead of the disk. All that
// others see (the view, queries, followers, answers) follows the commit.
//
//	Do ─► queue ─► writer: decide, stamp, encode ─► Append ─► view ─► answers, wakes
//
// Invariants:
//
//   - a command is answered only after its events are durable.
//   - a command is carried out at most once, however often it is sent under
//     one id. One that produced no event is not remembered and decided anew.
//   - an append whose outcome is unknown freezes the board: nothing is
//     answered, the log is reopened, everything is folded again, and each
//     waiting command is looked up before it is decided again.
//   - folding the log gives the rule state and the view; a snapshot is a cache.
//
// Life cycle: New folds; Run owns all goroutines; Close ends Run, signs the
// head, saves the snapshots and lets go of the board. Open does all of it for
// callers that need no say in it.
package owner
