package owner

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// A board in a real home, made, served on its socket, let go of and taken again.
func TestBoardInAHome(t *testing.T) {
	home, err := registry.OpenHome(filepath.Join(t.TempDir(), "home"), &registry.HomeOptions{TempDir: t.TempDir(), Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	hold := &registry.HoldOptions{}
	o, err := Create(ctx, home, "acme", "Acme & Co", events.DefaultPolicy(2), kai, Options{Version: "1"}, hold)
	if err != nil {
		t.Fatal(err)
	}
	id := NewCommandID()
	if _, err := o.Do(ctx, kai, id, create("one")); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(ctx, home, "acme", "again", events.DefaultPolicy(2), kai, Options{}, hold); err == nil {
		t.Error("got a second board of the same slug, want an error")
	}
	if _, err := home.Hold(ctx, "acme", 0, hold); !errors.As(err, new(*registry.HeldError)) {
		t.Errorf("got %v, want it held", err)
	}
	closeOwner(t, o)

	h, err := home.Hold(ctx, "acme", 0, hold)
	if err != nil {
		t.Fatal(err)
	}
	if h.Unclean() || h.Anchored().Seq != 3 {
		t.Errorf("got unclean %v, signed at %d, want a clean stop signed at 3", h.Unclean(), h.Anchored().Seq)
	}
	if o, err = Open(ctx, h, Options{Version: "1"}); err != nil {
		t.Fatal(err)
	}
	socket, err := h.SocketPath()
	if err != nil {
		t.Fatal(err)
	}
	l, err := api.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Serving(socket); err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- (&api.Server{Board: o, Doors: o.Door, Version: "1"}).Serve(serving, l) }()
	c, err := api.Dial(ctx, socket, "1")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Do(ctx, kai, id, create("one")); err != nil || !r.Repeat {
		t.Errorf("got %+v, %v, want a repeat across owners and doors", r, err)
	}
	follows := make(chan uint64, 10)
	followed := make(chan error, 1)
	go func() {
		followed <- c.Follow(ctx, 3, func(e events.Entry) error { follows <- e.Seq; return nil })
	}()
	r, err := c.Do(ctx, kai, NewCommandID(), create("two"))
	if err != nil || r.Tasks[0] != 2 {
		t.Fatalf("got %+v, %v, want t2", r, err)
	}
	for want := uint64(3); want <= r.Last; want++ {
		if got := <-follows; got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if _, err := o.Do(ctx, dispatcher, NewCommandID(), boards.ClaimTask{Task: 2, Agent: "writer", Role: events.RoleWorker, Token: events.DigestOf([]byte("secret"))}); err != nil {
		t.Fatal(err)
	}
	run := api.DialRun(socket, "secret", "1")
	if _, err := run.Do(ctx, NewCommandID(), boards.CompleteTask{Task: 2, Summary: "done"}); err != nil {
		t.Fatal(err)
	}
	if s, err := run.Renew(ctx); err != nil || !s.Verdict {
		t.Errorf("got %+v, %v, want a verdict", s, err)
	}
	cards, err := c.List(ctx, projections.ListQuery{Sort: "created"})
	if err != nil || len(cards) != 2 || cards[1].Title != "two" || cards[1].Status != events.Done {
		t.Errorf("got %+v, %v, want two cards, the second done", cards, err)
	}
	if info, err := c.Info(ctx); err != nil || info.Title != "Acme & Co" || info.Slug != "acme" {
		t.Errorf("got %+v, %v", info, err)
	}
	artifact := events.Artifact{SHA256: events.DigestOf([]byte("x")), Size: 1}
	if _, err := c.Do(ctx, kai, NewCommandID(), boards.AttachFile{Task: 1, Name: "x", Artifact: artifact}); codeOf(err) != "artifact_missing" {
		t.Errorf("got %v, want artifact_missing", err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := <-followed; !errors.Is(err, api.ErrNoOwner) {
		t.Errorf("got %v from Follow, want no owner", err)
	}
	if err := errors.Join(run.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	closeOwner(t, o)
}
