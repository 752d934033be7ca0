// Package process starts and watches the outermost process of a sandbox that
// lives on this host. It is shared by the drivers that do so.
//
// A process may be born in a control group, so that nothing it does comes
// before it is there.
//
// On Linux all processes are forked from one thread that never ends, because
// the kernel delivers the parent-death signal when the creating thread ends,
// not the process; that thread is started with the first process and is never
// stopped. No descriptor of this process is inherited. A process that ended is
// kept as a zombie until [Process.Release], so that its id, which is also the
// id of its session, cannot be given to another process while its descendants
// are being looked for.
package process
