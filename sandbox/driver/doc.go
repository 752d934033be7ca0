// Package driver is what a sandbox backend implements. Users of sandboxes hold
// the portable types of package sandbox and never call a driver themselves.
//
// A backend is a [Driver]: it declares what it can enforce, says where things
// are found inside, and starts one [Session] per call. What is common to all
// backends (checking a spec, refusing gaps, cancellation, idempotent closing)
// lives in package sandbox; a driver does only what differs.
//
// # Contract
//
// The program in [Spec.Argv] is executed directly, never through a shell. It
// sees the variables of [Spec.Env], PWD set to its working directory, and
// HERMES_MARK set to [Spec.Mark]; nothing of the environment of the process
// that started it.
//
// Standard input, output and error are pipes (or the null device where the
// spec has nil): no descriptor of the host is ever handed in. Output is
// streamed to the writers as it arrives and is never collected.
//
// A driver that cannot enforce something the spec asks for returns an error
// from Start. It never runs the program in a weaker sandbox.
//
// [Session.Wait] returns when the main process has ended; its descendants may
// live on. [Session.Kill] and [Session.Close] end the whole tree and return
// nil only when it is proven empty, as package sandbox documents.
package driver
