// Package filter is the system call filter of the sandboxes on this host's
// kernel: it keeps out what agents do not need and kernels were broken through,
// and everything newer than itself.
//
// It is a list of refusals in front of an allowance. Three things make such a
// list hold: calls of another architecture than the native one kill the
// process, calls newer than the list do not exist, and arguments are compared
// in the 32 bits that the kernel itself looks at, so that bits set above them
// do not hide a value.
//
// It exists on amd64 and arm64.
package filter
