// Package proxy lets a sandboxed program reach named hosts and nothing else.
//
// A sandbox with a proxy network has no network but its own loopback
// interface. What listens there is [Relay], the first program inside: it
// carries every connection to a unix socket in the run's socket folder, where
// a [Proxy] on the host answers.
//
//	inside                                │ host
//	program ──► 127.0.0.1:8787 ──► Relay ─┼─► SocketDir/proxy ──► Proxy ──► host allowed
//	                                      │                         └────► Fallback
//
// A Proxy takes three kinds of requests. CONNECT opens a tunnel. A request with
// an absolute URL is plain HTTP and is sent on once, with a head that is written
// anew; its connection ends with the answer, and redirects are the client's to
// follow. A request with a path alone is for the host side itself and goes to
// [Options.Fallback].
//
// # What is let through
//
// A request is for one of [Options.Allow] or refused; an empty list refuses
// everything. Names are lower-case letters, digits and hyphens between dots:
// addresses in any spelling, trailing dots, other alphabets, user names and
// control bytes are refused before anything is looked up, so what is refused
// never reaches a name server. A name is resolved once and the connection goes
// to what was found. If any of the addresses lies in a loopback, private,
// link-local, shared, multicast or otherwise special range, in whatever form of
// IPv6 it is wrapped, the request is refused.
//
// An allowed host is a way out for data: what is sent to it is not looked at,
// and a name under an allowed *.domain can itself carry some.
package proxy
