package chat

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/boardstest"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// recorder is a board that takes note of commands.
type recorder struct {
	api.Board
	did []boards.Command
	ids []events.CommandID
	by  []boards.Principal
}

func (r *recorder) Info(context.Context) (api.Info, error) {
	return api.Info{Slug: "acme", Board: events.BoardID{1}}, nil
}

func (r *recorder) Do(_ context.Context, by boards.Principal, id events.CommandID, c boards.Command) (boards.Result, error) {
	r.did, r.ids, r.by = append(r.did, c), append(r.ids, id), append(r.by, by)
	return boards.Result{First: 1, Last: uint64(len(r.did))}, nil
}

func (r *recorder) Notices(context.Context) (api.Notices, error) {
	return api.Notices{Subscriptions: []projections.Subscription{{To: here}, {To: events.Destination{Platform: "x", Chat: "8"}}}}, nil
}

var here = events.Destination{Platform: "x", Chat: "7"}

// TestSeat: of all commands there are, those that may come from a chat pass, as
// the call's person and under ids made of the update.
func TestSeat(t *testing.T) {
	call := Call{By: boardstest.Kai, Role: Owner, To: here, Update: "5"}
	for _, tc := range []struct {
		c  boards.Command
		ok bool
	}{
		{boards.CommentTask{Task: 1, Body: "x"}, true},
		{boards.CreateTasks{Tasks: []boards.NewTask{{Title: "x"}}}, true},
		{boards.CreateTasks{Tasks: []boards.NewTask{{Title: "x", Workspace: events.Workspace{Kind: events.Dir, Path: "/etc"}}}}, false},
		{boards.EditTask{Task: 1, Workspace: &events.Workspace{Kind: events.Repo, Path: "/etc"}}, false},
		{boards.StopRun{Task: 1, Force: true}, false},
		{boards.StopRun{Task: 1}, true},
		{boards.Subscribe{Task: 1, To: here}, true},
		{boards.Subscribe{To: events.Destination{Platform: "x", Chat: "8"}}, false},
		{boards.SetPolicy{}, false}, {boards.PauseBoard{}, false}, {boards.ClaimTask{Task: 1}, false}, {boards.EndRun{}, false},
		{boards.AttachFile{Task: 1}, false}, {boards.RecordSent{Of: 1, To: here}, false}, {boards.ReleaseAgent{Agent: "x"}, false},
	} {
		b := &recorder{}
		s, err := Sit(t.Context(), b, &call)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Do(t.Context(), boards.Principal{Actor: events.Actor{Kind: events.System}}, events.CommandID{9}, tc.c)
		if ok := err == nil && len(b.did) == 1 && b.by[0] == call.By; ok != tc.ok || !tc.ok && len(b.did) > 0 {
			t.Errorf("%#v: got %v, %v by %v", tc.c, err, b.did, b.by)
		}
		for role, readOnly := range map[Role]bool{Viewer: false, Nobody: false, Owner: true} {
			less := call
			less.Role, less.ReadOnly = role, readOnly
			b, s := &recorder{}, (*Seat)(nil)
			if s, err = Sit(t.Context(), b, &less); err != nil {
				t.Fatal(err)
			}
			var no *api.Error
			if _, err := s.Do(t.Context(), boards.Principal{}, events.CommandID{}, tc.c); !errors.As(err, &no) || len(b.did) > 0 {
				t.Errorf("%#v as %s, read-only %v: got %v, %v", tc.c, role, readOnly, err, b.did)
			}
		}
	}
	b := &recorder{}
	s, _ := Sit(t.Context(), b, &call)
	for range 2 {
		s.Do(t.Context(), boards.Principal{}, events.CommandID{}, boards.CommentTask{Task: 1, Body: "x"})
	}
	want := []events.CommandID{events.ForeignCommandID(events.BoardID{1}, "x", "5"), events.ForeignCommandID(events.BoardID{1}, "x", "5#1")}
	if !reflect.DeepEqual(b.ids, want) {
		t.Errorf("got ids %v, want %v", b.ids, want)
	}
	if n, err := s.Notices(t.Context()); err != nil || len(n.Subscriptions) != 1 || n.Subscriptions[0].To != here {
		t.Errorf("got %+v, %v, want what this chat is told", n.Subscriptions, err)
	}
}
