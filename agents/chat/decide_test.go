package chat

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/events"
)

var rules = Rules{Home: Route{Board: "acme"}, Routes: []Route{{Prefix: "/support", Board: "help", Tasks: true}, {Prefix: "/look", Board: "acme", ReadOnly: true}}}

// said is a message of somebody in private.
func said(text string) *Update {
	return &Update{ID: "1", Kind: Said, Chat: events.Destination{Platform: "x", Chat: "7"}, Private: true, From: Sender{ID: "7", Name: "Kai"}, Text: text}
}

func with(u *Update, change func(*Update)) *Update { change(u); return u }

func TestDecide(t *testing.T) {
	home, support := rules.Home, rules.Routes[0]
	inGroup := func(u *Update) { u.Private = false }
	for _, tc := range []struct {
		name string
		u    *Update
		role Role
		want Intent
	}{
		{"a verb", said(`/kanban create "x y"`), Member, Intent{Kind: Run, Route: home, Argv: []string{"create", "x y"}}},
		{"its other name", said(`/task list`), Viewer, Intent{Kind: Run, Route: home, Argv: []string{"list"}}},
		{"upper case", said(`/Kanban list`), Viewer, Intent{Kind: Run, Route: home, Argv: []string{"list"}}},
		{"on a new line", said("/kanban\ncreate x"), Member, Intent{Kind: Run, Route: home, Argv: []string{"create", "x"}}},
		{"no verb", said(`/kanban`), Viewer, Intent{Kind: Help, Route: home}},
		{"help", said(`/help`), Viewer, Intent{Kind: Help, Route: home}},
		{"a route's verb", said(`/support list`), Viewer, Intent{Kind: Run, Route: support, Argv: []string{"list"}}},
		{"a route's verb with a task", said(`/support show t7`), Viewer, Intent{Kind: Run, Route: support, Argv: []string{"show", "t7"}}},
		{"a route's create", said(`/support create "x"`), Member, Intent{Kind: Run, Route: support, Argv: []string{"create", "x"}}},
		{"text that begins with a verb", said(`/support show me the invoice`), Member, Intent{Kind: Idea, Route: support, Text: "show me the invoice"}},
		{"text with an apostrophe", said(`/support it doesn't print 'a`), Member, Intent{Kind: Idea, Route: support, Text: "it doesn't print 'a"}},
		{"text to a route without", said(`/look hello`), Member, Intent{Kind: Run, Route: rules.Routes[1], Argv: []string{"hello"}}},
		{"text", said("hello"), Owner, Intent{}},
		{"a reply", with(said("EUR"), func(u *Update) { u.ReplyTo = "5" }), Member, Intent{Kind: Reply, Text: "EUR"}},
		{"a reply without words", with(said(" \u200b"), func(u *Update) { u.ReplyTo = "5" }), Member, Intent{}},
		{"a command in reply", with(said("/kanban list"), func(u *Update) { u.ReplyTo = "5" }), Member, Intent{Kind: Run, Route: home, Argv: []string{"list"}}},
		{"hidden characters", said("/kanban \u202ecreate\u200b \x1b[31mred\x1b[0m\x00"), Member, Intent{Kind: Run, Route: home, Argv: []string{"create", "red"}}},
		{"not UTF-8", said("/kanban create \xff\xfex"), Member, Intent{Kind: Run, Route: home, Argv: []string{"create", "x"}}},
		{"quotes", said(`/kanban create "x`), Member, Intent{Kind: Refuse, Why: "A quotation mark has no partner. Nothing was done."}},
		{"too long", said("/kanban create " + strings.Repeat("x", 100<<10)), Member, Intent{Kind: Refuse, Why: "That message is too long: 32 KiB is the most. Nothing was done."}},
		{"an unknown command", said("/nonsense x"), Member, Intent{Kind: Refuse, Why: "/nonsense is not known here. /help lists what there is."}},
		{"an unknown command in a group", with(said("/nonsense x"), inGroup), Member, Intent{}},
		{"a code", said("/pair ABCD viewer"), Owner, Intent{Kind: Confirm, Argv: []string{"ABCD", "viewer"}}},
		{"a tap", &Update{ID: "1", Kind: Tapped, From: Sender{ID: "7"}, Data: "tok:2"}, Member, Intent{Kind: Press, Token: "tok", Action: "2"}},
		{"a strange tap", &Update{ID: "1", Kind: Tapped, From: Sender{ID: "7"}, Data: "x"}, Member, Intent{Kind: Refuse, Why: "This button is not one of mine."}},
		{"a stranger's tap", &Update{ID: "1", Kind: Tapped, From: Sender{ID: "9"}, Data: "tok:2"}, Nobody, Intent{Kind: Refuse, Why: "You may not answer here."}},
		{"a stranger", said("/kanban create x"), Nobody, Intent{Kind: Stranger}},
		{"a stranger in a group", with(said("/kanban create x"), inGroup), Nobody, Intent{}},
		{"forwarded", with(said("/kanban create x"), func(u *Update) { u.Foreign = true }), Owner, Intent{}},
		{"a bot", with(said("/kanban create x"), func(u *Update) { u.From.Bot = true }), Owner, Intent{}},
		{"nobody", with(said("/kanban create x"), func(u *Update) { u.From.ID = "" }), Owner, Intent{}},
		{"something else", with(said("/kanban create x"), func(u *Update) { u.Kind = Other }), Owner, Intent{}},
		{"without a name", with(said("/kanban create x"), func(u *Update) { u.ID = "" }), Owner, Intent{}},
	} {
		if got := Decide(tc.u, tc.role, &rules); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestStanding(t *testing.T) {
	people := []Person{{ID: "7", Name: "Kai", Role: Viewer}, {ID: "7", Name: "Kai", Role: Owner, Chat: "-100"}, {ID: "", Role: Owner}}
	for _, tc := range []struct {
		id, chat string
		private  bool
		want     Role
	}{{"7", "7", true, Viewer}, {"7", "-100", false, Owner}, {"7", "-200", false, Nobody}, {"8", "8", true, Nobody}, {"", "x", true, Nobody}} {
		u := &Update{From: Sender{ID: tc.id, Name: "\u202eadmin"}, Chat: events.Destination{Chat: tc.chat}, Private: tc.private}
		if got := standing(people, u); got.Role != tc.want || strings.Contains(got.Name, "\u202e") {
			t.Errorf("%+v: got %+v, want %s", tc, got, tc.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		role     Role
		readOnly bool
		pinned   bool
		verb     string
		flags    []string
		want     string // empty = may
	}{
		{Viewer, false, false, "list", []string{"status", "json"}, ""},
		{Viewer, false, false, "create", nil, "create is not for you: you are a viewer here"},
		{Member, false, false, "create", []string{"assignee"}, ""},
		{Member, false, false, "archive", nil, "archive is not for you: you are a member here"},
		{Owner, true, false, "create", nil, "nothing can be changed from here"},
		{Owner, true, false, "show", nil, ""},
		{Owner, false, false, "create", []string{"body-file"}, "create has no --body-file in chat"},
		{Owner, false, false, "list", []string{"board"}, "list has no --board in chat"},
		{Owner, false, true, "list", []string{"tenant"}, "list has no --tenant in chat"},
		{Owner, false, false, "gateway", nil, "there is no gateway in chat"},
		{Nobody, false, false, "list", nil, "list is not for you: you are a nobody here"},
	} {
		err := Check(tc.role, tc.readOnly, tc.pinned, tc.verb, tc.flags)
		if got := ""; err != nil && err.Error() != tc.want || err == nil && got != tc.want {
			t.Errorf("%+v: got %v", tc, err)
		}
	}
}
