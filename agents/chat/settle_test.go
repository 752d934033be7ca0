package chat

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

func task(status events.Status, change func(*projections.Detail)) *projections.Detail {
	d := &projections.Detail{Card: projections.Card{ID: 7, Status: status}}
	if change != nil {
		change(d)
	}
	return d
}

// TestSettlingWords: there is a word for everything that settles, and for nothing else.
func TestSettlingWords(t *testing.T) {
	for _, k := range events.Catalog() {
		kind := k.Type
		if _, ok := settling[kind]; ok != notify.Settles(kind) {
			t.Errorf("%s: has a word %v, settles %v", kind, ok, notify.Settles(kind))
		}
	}
}

func TestSettle(t *testing.T) {
	at := events.TimeOf(time.Date(2026, 11, 18, 2, 14, 0, 0, time.UTC))
	kai := events.Actor{Kind: events.Human, Name: "Kai", Via: "telegram"}
	blocked := task(events.Blocked, func(d *projections.Detail) {
		d.Block = &projections.BlockRow{Seq: 5, Reason: "EUR?", Options: []string{"EUR", "local"}}
	})
	later := task(events.Blocked, func(d *projections.Detail) { d.Block = &projections.BlockRow{Seq: 9, Reason: "when?"} })
	review := task(events.Review, func(d *projections.Detail) { d.Handoff = &projections.Handoff{Seq: 5} })
	running := task(events.Running, nil)
	answered := task(events.Running, func(d *projections.Detail) {
		d.Events = []projections.EventRow{{Seq: 4, Type: events.TaskBlocked{}.Type()}, {Seq: 6, Time: at, Type: events.TaskUnblocked{}.Type(), Actor: kai}}
		d.Answer = &projections.CommentRow{Seq: 6, Body: "EUR"}
	})
	for _, tc := range []struct {
		name   string
		d      *projections.Detail
		asked  bool
		action string
		text   string
		want   boards.Command
		toast  string
	}{
		{"a choice", blocked, true, "2", "", boards.UnblockTask{Task: 7, Choice: 2}, ""},
		{"no such choice", blocked, true, "3", "", nil, "There is no such answer."},
		{"a choice, too late", answered, true, "1", "", nil, "already answered by Kai 02:14: EUR"},
		{"a choice for an older question", later, true, "1", "", nil, "nothing is asked here any more; t7 is blocked"},
		{"words", blocked, true, words, "EUR", boards.UnblockTask{Task: 7, Answer: "EUR"}, ""},
		{"words to a message that asked nothing", later, false, words, "EUR", boards.UnblockTask{Task: 7, Answer: "EUR"}, ""},
		{"words to an older question", later, true, words, "EUR", nil, "t7 has asked something else since: when?"},
		{"words, too late", answered, true, words, "x", boards.CommentTask{Task: 7, Body: "x"}, "already answered by Kai 02:14: EUR"},
		{"words to a running task", running, false, words, "x", boards.CommentTask{Task: 7, Body: "x"}, ""},
		{"words to a review", review, true, words, "x", boards.RequestChanges{Task: 7, Reason: "x"}, ""},
		{"approve", review, true, Approve, "", boards.ApproveTask{Task: 7}, ""},
		{"approve, blocked", blocked, true, Approve, "", nil, "This button is not one of mine."},
		{"approve, too late", running, true, Approve, "", nil, "nothing is asked here any more; t7 is running"},
		{"changes", review, true, Changes, "", nil, "Say what is to be changed."},
		{"retry", blocked, true, Retry, "", boards.UnblockTask{Task: 7}, ""},
		{"retry, too late", answered, true, Retry, "", nil, "already answered by Kai 02:14: EUR"},
		{"stop", running, false, Stop, "", boards.StopRun{Task: 7, Then: events.ThenBlock, Reason: "stopped from a chat"}, ""},
		{"stop, blocked", blocked, true, Stop, "", boards.CompleteTask{Task: 7, Verdict: events.Cancelled, Summary: "cancelled from a chat"}, ""},
		{"stop, done", task(events.Done, nil), true, Stop, "", nil, "t7 is done."},
		{"later", blocked, true, Later, "", nil, ""},
		{"later, too late", answered, true, Later, "", nil, "already answered by Kai 02:14: EUR"},
		{"nonsense", blocked, true, "x", "", nil, "This button is not one of mine."},
	} {
		got := Settle(tc.d, 5, tc.asked, tc.action, tc.text, time.UTC)
		if !reflect.DeepEqual(got.Command, tc.want) || !strings.HasPrefix(got.Toast, tc.toast) || tc.toast == "" && got.Toast != "" {
			t.Errorf("%s: got %#v, %q; want %#v, %q", tc.name, got.Command, got.Toast, tc.want, tc.toast)
		}
	}
}
