package logtest

import (
	"context"

	"github.com/hermesboard/hermes/events"
)

// Follow follows a log in memory from a position on, as a board does. look
// returns its entries and a channel that is closed when there are more.
func Follow(ctx context.Context, from uint64, look func() ([]events.Entry, <-chan struct{}), yield func(events.Entry) error) error {
	for {
		entries, more := look()
		next := entries[min(int(from)-1, len(entries)):]
		for _, e := range next {
			if err := yield(e); err != nil {
				return err
			}
			from = e.Seq + 1
		}
		if len(next) > 0 {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
