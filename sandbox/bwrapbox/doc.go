// Package bwrapbox runs programs in bubblewrap (bwrap 0.8 or later), with or
// without root.
//
// The program sees /usr, a few files in /etc, its workspace at /ws and the
// listed mounts, and nothing else of the host's files. It has its own process,
// user, network, IPC and host name spaces, no capabilities, no way to gain
// any, and no way to make further namespaces; its uid is 1000. The root is
// read-only; /tmp and /dev/shm are in memory and bounded. A system call filter
// keeps out what agents do not need and kernels were broken through, and
// everything newer than the filter. Programs of another architecture than the
// host's native one are killed.
//
// Memory, processor time and the number of processes are limited where
// [Options] has control groups that do so on this host; bwrap's own two
// processes count. The capabilities say so.
//
// bwrap itself is the sandbox's first process, and the kernel lets the program
// look into it and change its memory. It has no more privilege than the
// program; all that can be gained is a false exit code. Where the host's user
// is root, bwrap is run from a copy in memory and with device files made for
// the session, because the program could change the modes of the host's.
//
// It shares the host's kernel. The full network includes the host's loopback
// and its abstract sockets. Run by root, the program has uid 0 on the files
// that it is given, though no capability.
//
// Kill and Close wait for the first process of the session's process namespace
// to end, which the kernel delays until every other process in it is gone. The
// session dies with the supervisor.
package bwrapbox
