// Package enclosed runs a container program, and all that it starts, in a
// process name space of its own, so that its end is certain whatever becomes of
// it: unshare(1) makes the container program the first process of the name
// space, and when that has ended, which the kernel delays until every other
// process in it has, the tree is gone. The kernel ends it with unshare, and
// unshare with the process that started it.
//
// It is shared by the drivers of container programs that leave something
// running when they are killed.
package enclosed
