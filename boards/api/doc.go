// Package api is how one talks to a board: the interface that the owner and
// every client share, the server on the board's unix socket, and the client.
//
// The process that holds a board's lock owns it and serves HTTP/1.1 with JSON
// on a unix socket; every other process is its client. The server has two
// doors. The board door is for the operator's own programs: the socket is
// 0600 and the peer's uid is checked, and such a program names the principal
// it acts for. The run door takes a run's token and acts as that run whatever
// the request says. A third door, into the sandbox, is served by the run's
// supervisor and lies elsewhere.
//
// Requests come in two ways to the same routes. A plain one, as [Client] sends
// it, is read and answered here, with one system call each, by a reader so
// strict that it agrees with net/http on all that it takes; the first request
// of a connection that it does not take goes to net/http, and the connection
// with it.
package api
