// Package projections folds a board's log into what people and programs ask
// about it. A [View] is one read model; each of its aspects has a file: the
// board, its tasks, their graph, the queue, the open runs, the inbox, the
// counts. The timeline puts single records into words.
//
// Everything here is pure: no clock, no randomness, no I/O. Events say their
// outcome outright, so folding needs no rules, and Apply is total: it takes
// any record without panicking and without an error. Prose is not kept, only
// the positions of the records whose texts hold it; a query is therefore
// answered in two steps. First the rows are made from the View, under the lock
// that guards it. Then, outside the lock, the texts are read from the log and
// filled in. A text that was erased reads "(erased)".
//
// A View can be written as a snapshot and read back; folding the rest of the
// log on top gives the same View as folding all of it. Snapshots are a cache:
// what cannot be read is dropped and folded anew.
package projections
