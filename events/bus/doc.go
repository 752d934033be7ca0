// Package bus hands the committed events of a board to Watermill handlers.
//
// A [Subscriber] is a Watermill subscriber over one board's log. It has a name
// and a durable offset: it catches up from where it stopped, then goes on as
// events are committed. One message is in flight at a time. Ack moves the
// offset; Nack has the same event come again after a wait that grows. So every
// event is handled at least once, in order, and again only if the handler did
// not say that it was done.
//
// An event goes out as a CloudEvents 1.0 JSON object; see [Encode].
package bus
