// Package registry keeps boards on disk: where they lie, who holds them, and
// whether they are still what they were.
//
// A [Home] is the folder of everything. A board is a folder in it, made whole
// or not at all by [Home.Create], and held by one process at a time: whoever
// has the flock on the board's lock file is its owner ([Home.Hold], [Held]).
// The lock file is made with the board and never replaced, because board.db
// may be: a copy-forward gives it another inode.
//
// A board's signed checkpoints are kept outside its folder, in its anchor:
//
//	boards/<slug>/        lock board.db snap/ artifacts/ runs/ state/
//	boards/_archived/     boards that were put away
//	boards/current        the board meant where none is named
//	anchors/<board id>/   slug (where the board lies), key, log (one checkpoint a line)
//	run/                  sockets, slots
//
// Nobody gets a board that is not at least as long as its last checkpoint and
// has not the same Merkle root there. Such a board is quarantined: the caller
// gets a [*QuarantinedError], a file beside the board says so, and nothing is
// repaired or made anew. Only a person's word goes on from there
// ([Home.HoldAccepting], [Held.AnchorReset]).
//
// Beside the log lie the artifacts, stored by content before the event that
// names them, and snapshots of projections, which are a cache.
package registry
