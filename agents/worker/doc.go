// Package worker is what an agent sees of a board: the protocol on the worker
// socket, its client (used by the hermes worker verbs inside the sandbox) and
// its server (run by the supervisor outside).
//
// The protocol is HTTP/1.1 with JSON on a unix socket, one path per tool. It
// has no argument for a board, an actor or another task's life cycle: the
// socket is bound to one run, and whoever can reach it is that run. The peer is
// untrusted; every message is bounded and checked like any user's input.
package worker
