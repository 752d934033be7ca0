// Package ocibox runs programs in containers of the runtimes that take an OCI
// bundle: runc, which shares the host's kernel, and gVisor's runsc, which puts
// one of its own between the program and the host. One bundle serves both.
//
// The program sees what it sees in bubblewrap: /usr, a few files in /etc, its
// workspace at /ws and the listed mounts, on a read-only root with bounded
// memory at /tmp and /dev/shm. With an image, which is a folder or an archive
// of one (tar, tar.gz) on this host, /usr and /etc and the rest of the system
// are the image's, read-only; an archive is unpacked once, by its content.
//
// It has process, user, network, IPC, cgroup and host name spaces of its own, no
// capabilities and no way to gain any, and stands behind the system call filter
// of this program. The first process of the container is this program's own
// binary; see package inside. Its uid is 1000, on the files that it is given that
// of the supervisor; where the supervisor is not root its uid is 0, without any
// privilege.
//
// gVisor has no full network and does not bound the number of processes, nor,
// where the supervisor is not root, what is written to /dev. As the host sees
// only gVisor's own processes, a signal goes to the container's first process,
// which passes it on. The releases of 2022 do not know a flag that ls and stat
// of coreutils 9 set; those two fail there.
//
// # Its end
//
// The runtime and everything of the session live in a process namespace made by
// unshare(1): when its first process has ended, the tree is gone, whatever the
// runtime made of it, and the kernel ends it with the supervisor. What the
// runtime keeps in files is in a folder of the session; one that a dead
// supervisor left is removed, with the control groups named in it, when the next
// supervisor starts a session.
package ocibox
