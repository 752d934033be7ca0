// Package projections folds the log of a board into what people and the
// dispatcher look at: cards, queue, graph, runs, inbox and counts.
//
// Every fold is pure and disposable: its state is what the records say, a
// snapshot is only a cache, and folding a snapshot and the rest gives the same
// as folding everything. Prose is not kept; rows name the positions where it
// can be read.
package projections
