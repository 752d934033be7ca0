// Package dockerbox runs programs in containers, by way of Docker or podman.
// Both are spoken to by Docker's API over a unix socket, in the version that
// the engine and this package have in common.
//
// # What the program sees
//
// An image's root, read-only, with the spec's folders where the other sandboxes
// have them. The image is a reference, a digest or an archive, which is
// imported once under the hash of its content. Nothing is ever pulled: an image
// that is missing is an [*ImageError] with the command to get it. Without an
// image the root is empty but for what the spec mounts, which is enough for a
// static program.
//
// The program has its own process, network, mount, IPC and host name spaces, no
// capabilities and no way to gain any. It is behind the engine's system call
// filter and behind ours. /tmp, /var/tmp, /run, /dev/shm and what the image
// declares as volumes are in memory and bounded. What is mounted on the host
// below a folder that is given is left out. The full network is the host's.
//
// Memory, processor time and processes are limited by the engine; that it did
// so is looked up on the host before the program is started. What is written
// into the workspace and outputs is not limited. The kernel is the host's.
//
// # Who it is
//
// It is never root. For an ordinary user it has that user's ids. For root it
// has the ids 64000, and the folders are shown through mounts that translate
// owners: what root owns is the program's, and what the program makes is
// root's. This needs a file system that can (ext4, xfs, btrfs, tmpfs and
// others); where a writable folder's cannot, the start is refused.
//
// # The first process
//
// The first process of a container is a copy of this very program, which is
// therefore linked statically and calls [Main] first thing. It connects to a
// socket that only this container is shown. By that connection it gets
// arguments, environment and pipes, so that the engine knows none of them and
// the streams do not pass through it; and by it the kernel tells who it is on
// the host. When the connection ends, because the supervisor did, it ends, and
// with it everything in the container.
//
// Kill and Close end the first process by the kernel's handle on it, and wait
// until it has ended, which the kernel delays until every other process in the
// container is gone. An engine that hangs or has died is not needed for that.
// Then they wait until the engine has removed the container; one that cannot
// at that moment leaves it to [Reap].
//
// # What it needs
//
// An engine on this host, and its socket: whoever may use Docker's is as good
// as root. Podman without root needs control groups of version 2; Docker
// without root is refused, because there the owner of files cannot be chosen.
// Engines in a virtual machine are refused, too: their processes are not ours
// to see.
package dockerbox
