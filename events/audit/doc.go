// Package audit checks a board's log without trusting the code that wrote it.
// It is written from FORMAT.md alone and shares nothing with the writer: it
// imports only the standard library and has its own JSON rules, its own Merkle
// tree and its own reading of signed checkpoints.
//
// Given all records of a log in order and the texts beside them, it checks
//
//   - that positions run from 1 without a gap,
//   - that each record is in canonical form and says what it must,
//   - that each text hashes to the digest in its record,
//   - and, for each signed checkpoint, that the log still has that past.
//
// Without a checkpoint kept elsewhere, someone who can write the file can
// forge a log that is perfect in itself. With one, no record up to its size can
// be edited, removed, added or moved without being found.
//
// It does not know the event types: what a payload means, and which members it
// may have, is left to the decoder of package events.
package audit
