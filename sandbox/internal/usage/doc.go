// Package usage measures what a session has taken of a disk, and says when it
// is more than it may.
//
// Nothing here keeps a program from writing: whoever is told ends it. What it
// can write until then is what it writes in about a hundredth of a second when
// it is near its limit. Looking costs little: the folders are walked only when
// so much space of their file systems has gone since the last walk that the
// session may have passed its limit, and every few seconds.
//
// Each file counts for its blocks, and for four KiB at the least, by which a
// limit of bytes is one of files, too. What was deleted and is still open
// counts, and for root also what is only mapped; a descriptor that is on its way
// through a socket is not seen.
package usage
