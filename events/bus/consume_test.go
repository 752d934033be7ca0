package bus_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/bus"
)

// flaky refuses every second message, and notes those it took.
func flaky(took *[]string) message.NoPublishHandlerFunc {
	n := 0
	return func(m *message.Message) error {
		if n++; n%2 == 1 {
			return errors.New("not now")
		}
		*took = append(*took, m.Metadata[bus.Seq])
		return nil
	}
}

func TestConsume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newMemory()
		for range 3 {
			log.add(t, 1, events.TaskCommented{})
		}
		var took []string
		ctx, cancel := context.WithCancel(t.Context())
		s := bus.NewSubscriber(log, bus.Options{Name: "a"})
		defer s.Close()
		done := make(chan error)
		go func() { done <- bus.Consume(ctx, s, flaky(&took)) }()
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil || !slices.Equal(took, []string{"1", "2", "3"}) || log.saved["a"] != 3 {
			t.Errorf("got %v, %v, offset %d", took, err, log.saved["a"])
		}
	})
}

// TestRouter: a Watermill router drives the same handler.
func TestRouter(t *testing.T) {
	log := newMemory()
	for range 3 {
		log.add(t, 1, events.TaskCommented{})
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 10 * time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := bus.NewSubscriber(log, bus.Options{Name: "a", Wait: func(int) time.Duration { return time.Millisecond }})
	defer s.Close()
	var took []string
	handle, all := flaky(&took), make(chan struct{})
	router.AddConsumerHandler("a", "board", s, func(m *message.Message) error {
		err := handle(m)
		if len(took) == 3 {
			close(all)
		}
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- router.Run(ctx) }()
	select {
	case <-all:
	case <-time.After(20 * time.Second):
		t.Error("the router is not through in 20 s")
	}
	cancel()
	if err := <-done; err != nil || !slices.Equal(took, []string{"1", "2", "3"}) {
		t.Errorf("got %v, %v", took, err)
	}
}
