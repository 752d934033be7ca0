// Package cgroup keeps the processes of one session in a control group of
// their own, which a process cannot leave by starting children, sessions or
// daemons, and bounds what they use together.
//
// A [Host] is what this machine offers. One hierarchy is used to find and kill
// processes: the unified one (version 2) where it has cgroup.kill, else the
// freezer of version 1. Memory, processor time and the number of processes are
// limited by the unified hierarchy's controllers or, for those it does not
// have, by version 1's. Both versions may be mounted at once.
//
// Groups are made in a folder "hermes" of the cgroup that this process may
// divide, and only there: the root, where nobody has placed this process, or
// one that was delegated to it (an attribute that service managers set). A
// cgroup that somebody else put this process into belongs to them; it is
// neither divided nor left, so that the limits it sets hold on.
//
// A group's name is its session's mark. While the supervisor that made it
// lives, it holds a lock on the group's folder, by which a sweep tells groups
// in use from those left behind.
//
// A supervisor may have a group of its own, made by whoever starts it. Then the
// groups of its sessions are made in there, beside it, and one path names all
// that came of it:
//
//	hermes/s4K…/supervisor   the supervisor, and programs that it starts itself
//	hermes/s4K…/3f2a…        a session, by its mark
//
// A process is born in its group: the kernel forks into it (version 2), or the
// forking thread enters it for the moment of the fork (version 1).
package cgroup
