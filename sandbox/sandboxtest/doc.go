// Package sandboxtest is the conformance suite of sandbox drivers. A driver's
// test file calls [Main] from TestMain and [Run] from one test; core semantics
// need no further tests there.
//
// The suite runs the test binary itself inside the sandbox, as the spec's
// Program, and looks at the outcome from the host's side wherever it can.
//
// Attempts to break the isolation are made twice: in the driver under test,
// where they must fail, and without isolation, where the same attempt must
// succeed. One that fails in both places proves nothing and fails the suite;
// calls into the kernel that this host refuses to everybody are reported as
// not testable here.
package sandboxtest
