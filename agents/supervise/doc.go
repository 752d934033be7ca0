// Package supervise is the small process that runs one attempt at a task: it
// opens the sandbox, starts the agent, serves the worker socket to it, keeps
// its output, renews the run's term, enforces its limits and reports its end.
//
// It outlives the gateway that started it. A verdict is on disk before it is
// acknowledged to the agent; the end is reported only when the sandbox's
// process tree is proven gone, and is reported again until the board has it.
//
//	prepare ──► wait for one byte ──► inputs ──► sandbox ──► agent ends or is stopped
//	                  │ end of file                                │
//	                  ▼                                            ▼
//	            nothing ran                      tree proven gone ──► EndRun
//
// How an agent is launched, its runtime's adapter says. An agent with a model
// endpoint, or whose sandbox has a proxy, goes out through a gate: a socket
// beside the worker's, or with a sandbox that isolates nothing an address of
// this host. The credential is read here, from the agent's profile, and is in
// nothing that is written or goes inside.
//
// What it learns from a [Meter] on the way (tokens, money, traffic, a typed
// failure) goes on record with the end; a run that has spent its budget is stopped.
package supervise
