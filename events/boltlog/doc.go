// Package boltlog keeps a board's log in one bbolt file. It is the only code
// that knows bbolt.
//
// A file has five buckets; numbers in keys are big-endian:
//
//	meta    "board" → JSON of [Meta] and the format number, sealed;
//	        "offsets" → how many subscribers there are, sealed;
//	        "indexed" → up to which seq there are cmd and task, sealed
//	log     seq → the hashes of the tree that the record completes, the check
//	        of its command and the record's size, sealed, the record, and its
//	        text; in place of an erased text, the seal of nothing
//	cmd     command id → first seq, number of records; sealed
//	task    task and seq → nothing: which records are about a task
//	offset  subscriber → seq, sealed
//
// Sealed values end in the CRC-32C of key and value, because nothing else in
// the file would notice a damaged one. A commit costs as many writes as it
// touches pages, and more where they do not lie side by side. Therefore all
// there is about a record is one row, so that a commit writes the end of one
// bucket; and cmd and task, which follow from log, lag behind in a long-lived
// log: what they do not say yet is in memory.
//
// What a caller may rely on:
//
//   - When Append returns nil, two fdatasyncs have put its commits on disk.
//   - Readers see a record only after its Append has returned nil, although
//     bbolt itself shows it while its last fdatasync is still running.
//   - A failed commit is unknown, never undone: bbolt writes its meta page
//     before syncing it. Only refusals that provably happened before that
//     page changed are reported as definite.
//   - No method holds a read transaction while code of the caller runs.
//
// bbolt maps the file and trusts what it finds. Faults in a damaged file are
// turned into [events.ErrDamaged] where they happen on our own goroutine; those
// on bbolt's goroutines (the page check, the scan for free pages) end the
// process. So verify a suspicious file in a child process first.
package boltlog
