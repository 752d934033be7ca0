// Package notify tells people, and other programs, what happens on a board.
//
// A [Notifier] follows one board. Each destination that is subscribed there has
// a subscriber of its own on the bus, with a durable offset, and one message in
// flight. What is told, and in which words, is a pure function of the event and
// of what the board knows: see [KindOf] and [Build]. Handing it over is the
// business of a [Sender], one for each platform.
//
// # What is promised
//
// Everything a destination wants is told at least once, in the order of the
// log. Before a message is sent, the board is asked whether it was; after the
// platform took it, that is put on record. A message is therefore repeated only
// where the platform's answer was lost, be it on the way or with this process,
// and the repetition shows the same position and has the same token.
//
// What a platform refuses is tried again with waits that grow: [Tries] times, or
// for [Patience] where the network or the platform's rate limit is at fault.
// After that the message becomes a dead letter, which is an event, and the next
// one has its turn. Nothing is dropped otherwise. A person may have a dead letter
// sent after all.
//
// After downtime, more than [Pending] messages older than [Late] become one,
// which lists them. In quiet hours nothing is sent to people; what was held back
// comes as one message when they end. Nothing passes quiet hours, however urgent:
// whoever wants to be woken leaves them out.
//
// A notifier that ends waits a few seconds for the message that a platform has,
// so that who is configured otherwise, or restarts, says nothing twice.
//
// A [Digester] tells once a day how all boards of a profile stand. Those that
// somebody else tells of it only looks at.
package notify
