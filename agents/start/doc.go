// Package start puts the supervisor of a run into the world and can tell, also
// after a restart, whether anything of a run is still alive.
//
// A supervisor is a process in a session of its own. It is told over a
// socketpair which run it serves and is handed the host slot it occupies; it
// runs nothing of it before it gets one more byte, which is sent only after the
// run's start is on record. One idle supervisor is kept ready, so that a start
// costs a message and not a process. Where the host has control groups for us,
// a supervisor is born in one, which the groups of its sandboxes are made in:
// by it all that a dead supervisor left is found and ended.
package start
