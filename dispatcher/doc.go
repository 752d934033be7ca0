// Package dispatcher decides which task starts next, and sees to it that what
// was started ends.
//
// The deciding part is pure. [Explain] is total: for every task it says start,
// or a hold with a stable reason, since when and until when. [Next] walks the
// queue and takes the tasks that Explain would start until no slot is free;
// each start counts for those behind it. [Why] puts an answer into words, with
// the command that would change it. What is not on the board comes in as
// [Facts].
//
// The acting part is a [Dispatcher], one for each board that is held. Its loop
// wakes on commits, on the next timer, and every 30 s in case of a missed wake.
// A start goes in this order, so that a crash after any step leaves nothing
// running that the log does not know:
//
//	slot locked → claim committed → supervisor waits on a pipe →
//	start committed with its identity → supervisor released
//
// A claim without a start is released once no process carries it. A run must
// renew its term; when the term passes, the dispatcher looks: if no process is
// left the run is lost, if one is left it has stalled and is stopped. Terms are
// kept in memory on the monotonic clock, from the moment a renewal arrives; a
// new dispatcher gives every open run a full one. A run whose processes do not
// die keeps its claim and its slot, and says so.
//
// Stopping the loop claims nothing more and leaves the runs alone: they are
// processes of their own, and the next dispatcher takes them on.
package dispatcher
