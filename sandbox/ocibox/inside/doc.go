// Package inside is the first process of a container: it starts the program
// behind the system call filter, passes signals on to it (or is deaf to them,
// where whoever sends one finds the program itself), reaps what becomes
// its child, and ends as the program did.
//
// A container needs one because its first process is special to the kernel:
// signals without a handler do not reach it, also not those that it sends
// itself, and dead orphans are left to it. Programs do not expect to be it.
//
// It is a second life of the program that starts sandboxes, which shows its own
// binary in the container. To import this package is all that such a program has
// to do: it does not get as far as its main function there.
package inside
