package bus

import (
	"context"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Consume subscribes and hands over the messages one after the other: what the
// handler returns nil for is acknowledged, all else comes again. It blocks until
// ctx ends, s is closed, or the board can be read no more, which is the error.
// A Watermill router does the same for many subscribers at once.
func Consume(ctx context.Context, s *Subscriber, handle message.NoPublishHandlerFunc) error {
	in, err := s.Subscribe(ctx, "")
	if err != nil {
		return err
	}
	for m := range in {
		if handle(m) != nil {
			m.Nack()
		} else {
			m.Ack()
		}
	}
	return s.Err()
}
