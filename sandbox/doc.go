// Package sandbox runs a program with no more of the host than it is given.
// It knows commands and files, not tasks.
//
// A [Sandbox] is one backend behind a portable type; constructors live in the
// driver packages (localbox, bwrapbox), and a [Registry] made by the caller
// maps the names of a configuration to them. [Sandbox.Start] runs a [Spec] and
// returns a [Session].
//
// # Never weaker than asked
//
// A backend declares what it enforces as [Capabilities]. What a profile
// requires is compared by [Sandbox.Check] before any work is taken on, and
// what a spec asks for again by Start; a difference is a [*GapError] naming
// the backend and everything it lacks.
//
// # Life of a session
//
//	Start ──► running ──► main process ended ──► tree empty
//	             │              ▲    Wait             ▲
//	             │ Stop, Signal │                     │
//	             └──────────────┴──── Kill, Close ────┘
//
// [Session.Wait] returns when the main process has ended. Its descendants may
// live on: a program can leave a daemon behind. Only a nil error of
// [Session.Kill] or [Session.Close] says that the whole tree is gone; an error
// matching [ErrTreeAlive] says that it is not. Every session is closed by the
// one who started it. When the context given to Start ends, the tree is
// killed.
//
// # Supervising
//
// A process that starts sandboxes calls [Supervise] once, early. It makes
// orphaned descendants children of this process, so that they can be found
// and ended. Such a process starts nothing else that moves to a new session
// of its own (setsid), because that is how descendants of a sandbox are told
// from other children, and it never waits for "any child".
//
// What a supervisor's own sudden death does to its sessions depends on the
// backend: bubblewrap's end with it, with localbox only the main process does.
// [CgroupAlive] and [Marked] find what is left, and [SweepCgroups] removes the
// empty groups of the dead.
//
// # Control groups
//
// [DetectCgroups] looks for control groups on this host. Backends made with
// them give each session one of its own, which is part of the proof that its
// tree is gone, and enforce limits of memory, processor time and processes as
// far as the groups can: their capabilities grow accordingly. Where there are
// none, everything else works as it does without, and a spec with such a limit
// is refused.
//
// [Sandbox.Cgroup] tells a session's group by its mark, before it is started.
// With that path [KillCgroup] ends what a dead supervisor left behind, also
// what gave its environment away. A supervisor that was started by
// [StartSupervisor] has a group of its own as well, with those of its sessions
// in it: one path then names all that came of it, programs that it started
// itself included.
//
// # Disk
//
// No backend bounds what a program writes into folders of the host, for the
// kernel offers nothing that works with every file system and without root.
// Instead [Session] watches what has been written since Start, and ends a session
// that is beyond [Limits].DiskBytes with a [*DiskError]. What it takes until then
// is at most the limit, after false alarms 64 MiB or an eighth of the limit, and
// what this machine writes in the time that it takes to notice: some hundredths
// of a second, and some seconds if others delete as much meanwhile or the file
// system is slow to tell. Others who write to the same file system cause false
// alarms. For a look at what it has taken, a session's processes are stopped for
// a moment with SIGSTOP. The kernel keeps each single file from getting larger
// than the limit, or than the limit and the largest file that was there before.
// What is deleted and still open, or on its way through a socket, counts. See
// [Sandbox.Watched].
//
// # Network
//
// A spec has no network, all of the host's, or a proxy's: then the sandbox has
// its own loopback interface alone, and what listens there is the spec's
// Program, a hermes binary, which Start puts before the program that was asked
// for. It carries connections to the unix socket [proxy.Socket] in SocketDir,
// which the caller serves with a [proxy.Proxy] for as long as the session
// lives. Clients find it by HTTP_PROXY and HTTPS_PROXY. That the program does
// not exist is then told by exit code 127.
//
// # What comes back
//
// Files a sandboxed program wrote are untrusted: they are opened only with
// [OpenArtifact].
package sandbox
