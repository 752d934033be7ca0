// Package pack writes and reads the compact private form of snapshots:
// varints, lengths and raw bytes, one after the other, without names or types.
// Writing is appending to a slice. Reading is a [Reader] whose first error
// stays, so that a decoder is straight code with one check at the end.
//
// A snapshot is a cache that may be damaged. A Reader therefore never panics,
// never reads beyond its bytes, never allocates more than a small multiple of
// them, and accepts each value in one spelling only.
package pack
