// Package stage is the first process of a native sandbox: a second life of the
// program that starts sandboxes, in new name spaces. It builds the root, gives up
// all privilege on the thread that starts programs, starts the session's program
// from that thread, and stays to reap orphans. It ends with the main process, and
// then the kernel ends everything else.
//
// To import this package is all that such a program has to do: it does not get
// as far as its main function there.
package stage
