package api

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

func TestWhoIsTheOperator(t *testing.T) {
	groups := func() []int { return []int{5, 50} }
	for _, test := range []struct {
		o    Operator
		want bool
	}{
		{Operator{}, false},
		{Operator{User: true, ID: 1000}, true}, {Operator{User: true, ID: 50}, false},
		{Operator{Group: true, ID: 50}, true}, {Operator{Group: true, ID: 1000}, false}, {Operator{Group: true}, false},
	} {
		if got := test.o.is(peer{UID: 1000}, groups); got != test.want {
			t.Errorf("%+v: got %v, want %v", test.o, got, test.want)
		}
	}
}

// TestOperatorActsAsItself: whoever comes as the operator is put on record as
// that, whatever they say.
func TestOperatorActsAsItself(t *testing.T) {
	b := newFakeBoard()
	var by boards.Principal
	b.do = func(_ context.Context, p boards.Principal, _ events.CommandID, _ boards.Command) (boards.Result, error) {
		by = p
		return boards.Result{}, nil
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := ListenShared(socket)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	h := newHandler(&Server{Board: b, Version: "1.0", Operator: Operator{User: true, ID: os.Geteuid()}}, l)
	h.uid++ // the owner is somebody else
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.serve(ctx) }()
	c, err := Dial(t.Context(), socket, "1.0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, kind := range []events.ActorKind{events.Human, events.Gateway, events.Worker} {
		says := boards.Principal{Actor: events.Actor{Kind: kind, Name: "the client", Via: "cli"}}
		if _, err := c.Do(t.Context(), says, events.CommandID{1, byte(kind)}, boards.PauseBoard{}); err != nil {
			t.Fatal(err)
		}
		if by.Actor.Kind != events.Human || by.Actor.Name != fmt.Sprint("operator:", os.Geteuid()) || !strings.HasPrefix(by.Actor.Via, "cli uid=") {
			t.Errorf("as a %s: on record is %+v", kind, by.Actor)
		}
	}
	if c, err := DialUser(t.Context(), socket, "1.0", os.Geteuid()); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if c, err := DialUser(t.Context(), socket, "1.0", os.Geteuid()+1); err == nil {
		c.Close()
		t.Error("another user's process was taken for the one that was meant")
	}
	run := DialRun(socket, "token", "1.0")
	defer run.Close()
	if _, err := run.Renew(t.Context()); err == nil {
		t.Error("the operator's socket has a run door")
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
