package main

import (
	"context"
	"fmt"

	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
)

// reader returns some entries of a log from a position on, none at its end.
type reader func(ctx context.Context, from uint64) ([]events.Entry, error)

func readerOf(b api.Board) reader {
	return func(ctx context.Context, from uint64) ([]events.Entry, error) { return b.Read(ctx, from, 0) }
}

// readAll calls yield for the entries from a position up to last, one slice
// after another; last 0 = to the end.
func readAll(ctx context.Context, read reader, from, last uint64, yield func(events.Entry) error) error {
	for {
		entries, err := read(ctx, from)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return nil
		}
		for _, e := range entries {
			if last != 0 && e.Seq > last {
				return nil
			}
			if err := yield(e); err != nil {
				return err
			}
		}
		from = entries[len(entries)-1].Seq + 1
	}
}

// foldAll decodes the records up to last and calls apply for each.
func foldAll(ctx context.Context, read reader, last uint64, apply func(*events.Record)) error {
	var decoder events.Decoder
	return readAll(ctx, read, 1, last, func(e events.Entry) error {
		r, err := decoder.Decode(e.Record)
		if err != nil {
			return fmt.Errorf("event %d: %w", e.Seq, err)
		}
		apply(&r)
		return nil
	})
}
