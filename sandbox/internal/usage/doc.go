// Package usage measures what a session has taken of a disk, and says when it
// is more than it may.
//
// Nothing here keeps a program from writing: whoever is told ends it. What it
// has then is bounded by how fast it is noticed. The free space of the file
// systems is asked for every few milliseconds when the limit is near, and at
// least ten times a second. When so much of it has gone that the session may be
// beyond its limit, its processes are stopped and its folders walked. If it is
// not, it goes on: then others write to the same file system, most likely, and so
// that this costs little, more may go before the next alarm, up to 64 MiB or an
// eighth of the limit, whichever is more. A
// session that is stopped can finish the system calls it is in, which with
// [Disk.FileBytes] as a limit of single files is not without end either; one
// that makes processes faster than they can be stopped is ended.
//
// A walk beside the running session every few seconds finds what the free space
// does not tell: others freed as much as the session took, or the file system
// (btrfs, or one of another machine) is slow to count what was written.
//
// Each file counts for its blocks, and for four KiB at the least, by which a
// limit of bytes is one of files, too. What was deleted and is still open
// counts, and for root also what is only mapped. While a descriptor is on its
// way through a socket, all that has gone from the disk counts as the session's.
package usage
