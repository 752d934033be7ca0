package owner

import (
	"context"
	"sync"

	"github.com/hermesboard/hermes/events"
)

// offsets are the positions of subscribers that wait to be saved.
type offsets struct {
	log func() events.Log

	offsetMu sync.Mutex // guards dirty
	dirty    map[string]uint64
}

// SaveOffset implements [api.Board]. What waits is also saved when Run ends.
func (f *offsets) SaveOffset(_ context.Context, subscriber string, seq uint64) error {
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	if f.dirty == nil {
		f.dirty = make(map[string]uint64)
	}
	f.dirty[subscriber] = seq
	return nil
}

// Offset returns how far a subscriber has come, saved or not; 0 if unknown.
func (o *Owner) Offset(_ context.Context, subscriber string) (uint64, error) {
	o.offsetMu.Lock()
	seq, ok := o.dirty[subscriber]
	o.offsetMu.Unlock()
	if ok {
		return seq, nil
	}
	seq, err := o.store.Log().Offset(subscriber)
	if err != nil {
		return 0, o.readError(err)
	}
	return seq, nil
}

// waiting returns what has yet to be saved.
func (f *offsets) waiting() []events.Offset {
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	if len(f.dirty) == 0 {
		return nil
	}
	list := make([]events.Offset, 0, len(f.dirty))
	for subscriber, seq := range f.dirty {
		list = append(list, events.Offset{Subscriber: subscriber, Seq: seq})
	}
	return list
}

// saved forgets what has been saved, unless it moved on meanwhile.
func (f *offsets) saved(list []events.Offset) {
	f.offsetMu.Lock()
	defer f.offsetMu.Unlock()
	for _, s := range list {
		if f.dirty[s.Subscriber] == s.Seq {
			delete(f.dirty, s.Subscriber)
		}
	}
}
