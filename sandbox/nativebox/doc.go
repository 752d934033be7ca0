// Package nativebox runs programs behind what Linux itself offers: name
// spaces, Landlock and a system call filter, with no other program's help and
// with or without root.
//
// The program sees what package bwrapbox shows, at the same places and under
// the same uid. Its process, user, network, IPC, host name and control group
// spaces are its own. It has no capabilities and no way to gain any, and no
// way to make further name spaces. All it sees of the host's files is mounted
// read-only except where the spec says otherwise, and the process file system
// is read-only as a whole. Where the kernel has Landlock (Linux 5.13), files
// outside are refused a second time, by a rule that does not depend on mounts,
// and from Linux 6.12 so are signals and abstract sockets; the version in the
// probe's report says what there is.
//
// # Stages
//
// The backend starts a copy of this program in new name spaces, where package
// stage takes over.
// The stage gets its orders and reports over descriptors that no other
// process inherits. It keeps one capability that is of no use in a user name
// space: the kernel lets nobody who lacks it look into the stage.
//
// Memory, processor time and the number of processes are limited where
// [Options] has control groups that do so on this host; the stage's threads, up
// to ten, count. The capabilities say so.
//
// It shares the host's kernel. The full network includes the host's loopback.
// Run by root, the program has uid 0 on the files that it is given, though no
// capability.
//
// Kill and Close wait for the stage to end, which the kernel delays until every
// other process of the session is gone. The session dies with the supervisor.
package nativebox
