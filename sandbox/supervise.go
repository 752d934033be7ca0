package sandbox

import "github.com/hermesboard/hermes/sandbox/internal/process"

// Supervise prepares this process to start sandboxes: from now on descendants
// of a session whose parent died become children of this process, where they
// can be found and ended. Call it once, before the first Start; calling it
// again changes nothing. On systems other than Linux it does nothing.
func Supervise() error { return process.Supervise() }

// Marked returns the process ids on this host whose environment carries mark
// in HERMES_MARK, sorted. A program can remove the mark from its environment,
// and processes of other users are seen only by root: it finds what a dead
// supervisor left behind, and proves nothing about the rest.
func Marked(mark string) ([]int, error) { return process.Marked(mark) }

// KillMarked sends SIGKILL to the processes that Marked finds, and to no other
// process that came by the id of one. It does not wait for their end.
func KillMarked(mark string) error { return process.KillMarked(mark) }
