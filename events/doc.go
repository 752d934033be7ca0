// Package events is the vocabulary and the arithmetic of a board's log: what
// an event is, how it is written as bytes, and how the bytes are hashed.
//
// A board is one append-only sequence of records. Each record is one JSON
// object, stored as it is hashed and never re-encoded. What people and agents
// write is kept beside the record as its text; the record carries only the
// text's SHA-256, so that a text can be erased later without touching a
// record, a proof or a fold. Payloads therefore hold ids, numbers, enums and
// digests, never prose.
//
// Invariants:
//
//   - seq is dense from 1; it is also the position and, for a claim, the fence.
//   - all records of one command are appended together or not at all.
//   - nothing is ever rewritten; old payload versions are lifted when read.
//   - time is for people and schedules, never for ordering.
//   - decoding a record and encoding it again gives the same bytes.
//
// The package is pure: no clock, no randomness, no I/O. FORMAT.md describes
// the bytes exactly enough to write a reader in another language.
package events
