// Package rootfs says what a program sees of the file system in the sandboxes
// that build a root of their own on this host, so that it finds the same world
// in each of them.
//
// A [Plan] is a list of steps for a driver to carry out in order. The root is
// read-only and holds /usr, a few files in /etc, the process and device file
// systems, bounded memory at /tmp and /dev/shm, and the folders of the spec.
package rootfs
