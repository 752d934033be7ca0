package chat

import "time"

// maxBuckets bounds the chats that are remembered.
const maxBuckets = 4096

// rate lets each chat do so many things a minute, as many at once. Not safe for
// concurrent use.
type rate struct {
	perMinute int // 0 = any number
	buckets   map[string]*bucket
}

type bucket struct {
	left float64
	at   time.Time
	told bool // that it is too much
}

// take reports whether a chat may do one more thing now, and otherwise whether
// that is still to be said.
func (r *rate) take(chat string, now time.Time) (ok, say bool) {
	if r.perMinute <= 0 {
		return true, false
	}
	b := r.buckets[chat]
	if b == nil {
		r.forget(now)
		b = &bucket{left: float64(r.perMinute), at: now}
		r.buckets[chat] = b
	}
	b.left = min(float64(r.perMinute), b.left+max(0, now.Sub(b.at).Minutes())*float64(r.perMinute))
	b.at = now
	if b.left >= 1 {
		b.left--
		b.told = false
		return true, false
	}
	say, b.told = !b.told, true
	return false, say
}

// forget drops the chats that may do as much as one that is new.
func (r *rate) forget(now time.Time) {
	if len(r.buckets) < maxBuckets {
		return
	}
	for chat, b := range r.buckets {
		if now.Sub(b.at) >= time.Minute {
			delete(r.buckets, chat)
		}
	}
	for chat := range r.buckets { // all of them lively: any half, so that this is rare
		if len(r.buckets) <= maxBuckets/2 {
			return
		}
		delete(r.buckets, chat)
	}
}
