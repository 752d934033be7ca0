// Package escape tries to get out of a sandbox, and looks from the host whether
// it did.
//
// An attempt is a program that runs inside and a judge outside. The judge does
// not ask the program: it looks at canary files and at whether anything it wrote
// has their content, counts connections to listeners of the host, lists the
// host's processes. The exceptions are calls into the kernel, where nothing
// outside could tell, and how much a program could use up: there the program
// says what it got.
//
// Each attempt is made twice. Without the sandbox it must succeed: by the same
// program, run by the backend that isolates nothing, or, where even that one
// would refuse, by a careless supervisor. If it does not, this host refuses it
// to everybody, and it is [NotTestable] here, never [Contained]. The same goes
// for an attempt that did not run to its end inside.
//
// The program is the one that calls [Run], started again inside with the
// arguments that make it call [Inside].
//
// Attempts at resources are scaled down: they need not exhaust the machine to
// show that a limit of some megabytes is not there.
package escape
