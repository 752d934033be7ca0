// Package localbox runs programs on the host itself, with no isolation: they
// have the files, the network and the rights of the user who runs the
// supervisor. It is for programs that are trusted as much as that user, and it
// is chosen only by name.
//
// What it does give is a clean start (an environment built from nothing, no
// inherited descriptors, a session of its own) and, on Linux, a certain end:
// descendants are found by their session, their ancestry and the mark in their
// environment, also when they left their parent, their session and their
// environment behind, and Kill returns nil only when none is left. For this
// the supervisor must have called sandbox.Supervise; Start refuses otherwise.
// While two sessions run in one supervisor, a descendant that kept none of
// those three belongs to either: Kill of one then reports it instead of ending
// it. Nothing here stops a hostile program from having another service of the
// host (cron, a container engine) start something for it.
//
// With [WithCgroups], on a host that offers them, each session also has a
// control group of its own. A descendant is then always known for what it is,
// and what several sessions leave behind is told apart. The limits of the group
// hold for programs that do not mean to lift them: one that has the rights to
// (root's, or those of the user that the groups belong to) can.
//
// When the supervisor dies, the main process is killed by the kernel. Its
// descendants live on.
//
// Inputs and mounts are used where they are on the host and are not protected
// from writing. On systems other than Linux only the process group of the main
// process is ended.
package localbox
