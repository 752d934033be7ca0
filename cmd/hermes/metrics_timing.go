package main

import (
	"strconv"
	"sync/atomic"
	"time"
)

// timingBounds are the upper bounds of the buckets of a timing.
var timingBounds = [...]time.Duration{500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, time.Second, 5 * time.Second}

// timing counts how long something took, each time. Safe for concurrent use.
type timing struct {
	buckets [len(timingBounds) + 1]atomic.Uint64
	sum     atomic.Int64 // nanoseconds
}

func (t *timing) note(took time.Duration) {
	i := 0
	for i < len(timingBounds) && took > timingBounds[i] {
		i++
	}
	t.buckets[i].Add(1)
	t.sum.Add(int64(took))
}

// timed is a timing at one instant.
type timed struct {
	buckets [len(timingBounds) + 1]uint64 // not more than the bound of each, and more than that of the one before
	sum     time.Duration
}

func (t *timing) now() (n timed) {
	for i := range t.buckets {
		n.buckets[i] = t.buckets[i].Load()
	}
	n.sum = time.Duration(t.sum.Load())
	return n
}

// histogram writes the lines of a timing.
func (x *metrics) histogram(t timed, labels ...string) {
	name := x.name
	defer func() { x.name = name }()
	var count uint64
	x.name = name + "_bucket"
	for i, n := range t.buckets {
		count += n
		bound := "+Inf"
		if i < len(timingBounds) {
			bound = strconv.FormatFloat(timingBounds[i].Seconds(), 'f', -1, 64)
		}
		x.line(float64(count), append(labels[:len(labels):len(labels)], "le", bound)...)
	}
	x.name = name + "_sum"
	x.line(t.sum.Seconds(), labels...)
	x.name = name + "_count"
	x.line(float64(count), labels...)
}
