package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// notifyVerbs are about who is told what happens.
func notifyVerbs(env Env) []*cli.Command {
	about := func() []cli.Flag {
		return append(destinationFlags(), flag("board-wide", "", "all tasks of the board"), str("tenant", "", "all tasks of a tenant"), str("assignee", "a", "all tasks of an agent"))
	}
	return []*cli.Command{
		verb(env, "notify-subscribe,subscribe", "[ID…]", "tell a chat or a program what happens to tasks", `
Examples:
  hermes kanban notify-subscribe t7 --to telegram:4711
  hermes kanban notify-subscribe --board-wide --to telegram:-100123/7
  hermes kanban notify-subscribe --assignee researcher --to webhook:ci

Told are completions, failures, questions, reviews, crashes and whatever else
waits for a person, from now on. telegram:CHAT[/THREAD] is a chat of the
profile's bot, webhook:NAME an entry of webhooks in its config.yaml.`,
			append(about(), compatibleFlags()...), runSubscribe),
		verb(env, "notify-list,subscriptions", "[ID]", "list who is told what, or what could not be told", `
Examples:
  hermes kanban notify-list
  hermes kanban notify-list --dead`,
			[]cli.Flag{flag("dead", "", "messages that were given up")}, runNotifyList),
		verb(env, "notify-unsubscribe,unsubscribe", "[ID…]", "tell them no more", "Example:\n  hermes kanban notify-unsubscribe t7 --to telegram:4711", about(), runUnsubscribe),
		verb(env, "notify-retry", "[EVENT…]", "send messages that were given up after all", `
Examples:
  hermes kanban notify-retry 836
  hermes kanban notify-retry --all`,
			append(destinationFlags(), flag("all", "", "all that were given up")), runNotifyRetry),
	}
}

func destinationFlags() []cli.Flag {
	return []cli.Flag{str("to", "", "telegram:CHAT[/THREAD] or webhook:NAME"),
		hidden(str("platform", "", "")), hidden(str("chat-id", "", "")), hidden(str("thread-id", "", ""))}
}

// compatibleFlags are those of the Python system by which it finds a chat
// again; here its name is enough.
func compatibleFlags() []cli.Flag {
	var flags []cli.Flag
	for _, name := range []string{"user-id", "user-id-alt", "chat-type", "notifier-profile", "delivery-mode", "parent-chat-id", "guild-id"} {
		flags = append(flags, hidden(str(name, "", "")))
	}
	return flags
}

// destination reads --to, or the flags of the Python system.
func (x *call) destination() (to events.Destination, err error) {
	const example = "for example --to telegram:4711 or --to webhook:ci"
	if s := x.str("to"); s != "" {
		var ok bool
		to.Platform, to.Chat, ok = strings.Cut(s, ":")
		to.Chat, to.Thread, _ = strings.Cut(to.Chat, "/")
		if !ok || to.Platform == "" || to.Chat == "" || strings.HasSuffix(s, "/") {
			return to, &usageError{msg: fmt.Sprintf("--to %q is not a destination", s), hint: example}
		}
		if x.isSet("platform") || x.isSet("chat-id") || x.isSet("thread-id") {
			return to, usagef("--to says it all: leave out --platform, --chat-id and --thread-id")
		}
	} else {
		to = events.Destination{Platform: x.str("platform"), Chat: x.str("chat-id"), Thread: x.str("thread-id")}
		if to.Platform == "" || to.Chat == "" {
			return to, &usageError{msg: "wants a destination", hint: example}
		}
	}
	return to, nil
}

// profileConfig is the configuration of the profile an invocation names.
func (x *call) profileConfig() (profile.Config, error) {
	home, err := x.home()
	if err != nil {
		return profile.Config{}, err
	}
	defer home.Close()
	p, err := x.profile(home)
	if err != nil {
		return profile.Config{}, err
	}
	return p.Config, nil
}

// checkWebhook refuses the name of a webhook that the profile does not have.
func (x *call) checkWebhook(to events.Destination) error {
	if to.Platform != "webhook" {
		return nil
	}
	config, err := x.profileConfig()
	if err != nil {
		return err
	}
	var names []string
	for _, w := range config.Webhooks {
		names = append(names, w.Name)
	}
	if slices.Contains(names, to.Chat) {
		return nil
	}
	hint := suggest(to.Chat, names, "--to webhook:")
	if hint == "" {
		hint = "name it under webhooks in the profile's config.yaml, with url and secret"
	}
	return &usageError{msg: fmt.Sprintf("the profile has no webhook %s", to.Chat), hint: hint}
}

// subscription is what is subscribed to: tasks, or one of the others.
type subscription struct {
	tasks         []events.TaskID // 0 = no task
	tenant, agent string
	to            events.Destination
}

// subscription reads arguments and flags, and opens the board.
func (x *call) subscription(ctx context.Context) (s subscription, b api.Board, err error) {
	args, err := x.args(0, -1, "tasks")
	if err != nil {
		return s, nil, err
	}
	if s.to, err = x.destination(); err != nil {
		return s, nil, err
	}
	given := 0
	for _, is := range []bool{len(args) > 0, x.flag("board-wide"), x.isSet("tenant"), x.isSet("assignee")} {
		if is {
			given++
		}
	}
	if given != 1 {
		return s, nil, &usageError{msg: "wants either tasks, --board-wide, --tenant or --assignee", hint: x.c.Command.HelpName + " --help"}
	}
	s.tenant, s.agent = x.str("tenant"), x.str("assignee")
	if (x.isSet("tenant") && s.tenant == "") || (x.isSet("assignee") && s.agent == "") {
		return s, nil, usagef("--tenant and --assignee want a name")
	}
	b, s.tasks, err = x.on(ctx, args)
	if len(s.tasks) == 0 {
		s.tasks = []events.TaskID{0}
	}
	return s, b, err
}

// what says what is subscribed to.
func (s subscription) what(task events.TaskID) string {
	switch {
	case task != 0:
		return task.String()
	case s.tenant != "":
		return "tenant " + s.tenant
	case s.agent != "":
		return "agent " + s.agent
	}
	return "the board"
}

func runSubscribe(ctx context.Context, x *call) error {
	if mode := x.str("delivery-mode"); mode != "" && mode != "notify" {
		return &usageError{msg: "--delivery-mode " + mode + " has no meaning here", hint: "no agent sits in the chat to be woken; leave it out"}
	}
	if err := x.unsupported(map[string]string{"notifier-profile": "the gateway that holds the board tells; leave it out"}); err != nil {
		return err
	}
	s, b, err := x.subscription(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := x.checkWebhook(s.to); err != nil {
		return err
	}
	err = x.subscribed(ctx, b, s, "is told about", func(t events.TaskID) boards.Command {
		return boards.Subscribe{Task: t, Tenant: s.tenant, Agent: s.agent, To: s.to}
	})
	if info, err := b.Info(ctx); err == nil {
		x.sayNoDispatcher(info)
	}
	return err
}

func runUnsubscribe(ctx context.Context, x *call) error {
	s, b, err := x.subscription(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	return x.subscribed(ctx, b, s, "is told no more about", func(t events.TaskID) boards.Command {
		return boards.Unsubscribe{Task: t, Tenant: s.tenant, Agent: s.agent, To: s.to}
	})
}

// subscribed carries out one command for each task, and says what it did.
func (x *call) subscribed(ctx context.Context, b api.Board, s subscription, done string, command func(events.TaskID) boards.Command) error {
	var rows []subscriptionRow
	for _, t := range s.tasks {
		res, err := x.do(ctx, b, command(t))
		if err != nil {
			return err
		}
		rows = append(rows, subscriptionRow{Task: t, Tenant: s.tenant, Agent: s.agent, To: projections.DestinationName(s.to), Seq: res.Last})
		if !x.json() {
			fmt.Fprintln(x.Stdout, line(fmt.Sprintf("%s %s %s", projections.DestinationName(s.to), done, s.what(t))))
		}
	}
	if x.json() {
		return x.emit(rows)
	}
	return nil
}

// subscriptionRow is a subscription, as --json prints it.
type subscriptionRow struct {
	Task   events.TaskID `json:"task,omitzero"`
	Tenant string        `json:"tenant,omitzero"`
	Agent  string        `json:"agent,omitzero"`
	To     string        `json:"to"`
	Seq    uint64        `json:"seq"` // of the event that made or ended it
	By     *events.Actor `json:"by,omitzero"`
}

// deadRow is a message that was given up, as --json prints it.
type deadRow struct {
	Event  uint64        `json:"event"`
	Task   events.TaskID `json:"task,omitzero"`
	To     string        `json:"to"`
	Tries  uint32        `json:"tries"`
	At     events.Time   `json:"at"`
	Reason string        `json:"reason,omitzero"`
}

func runNotifyList(ctx context.Context, x *call) error {
	args, err := x.args(0, 1, "at most one task")
	if err != nil {
		return err
	}
	ids, err := x.taskIDs(args)
	if err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	n, err := b.Notices(ctx)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		n.Subscriptions = slices.DeleteFunc(n.Subscriptions, func(s projections.Subscription) bool { return s.Task != ids[0] })
		n.Dead = slices.DeleteFunc(n.Dead, func(d projections.Dead) bool { return d.Task != ids[0] })
	}
	if x.flag("dead") {
		return x.printDead(ctx, b, n.Dead)
	}
	return x.printSubscriptions(n)
}

func (x *call) printSubscriptions(n api.Notices) error {
	rows := []subscriptionRow{}
	out := [][]string{{"DESTINATION", "IS TOLD ABOUT", "SINCE EVENT", "BY"}}
	for _, s := range n.Subscriptions {
		by := s.By
		rows = append(rows, subscriptionRow{s.Task, s.Tenant, s.Agent, projections.DestinationName(s.To), s.Since, &by})
		what := subscription{tenant: s.Tenant, agent: s.Agent}.what(s.Task)
		out = append(out, []string{line(projections.DestinationName(s.To)), what, strconv.FormatUint(s.Since, 10), person(s.By)})
	}
	if x.json() {
		return x.emit(rows)
	}
	if len(rows) == 0 {
		x.say("nobody is told; hermes kanban notify-subscribe --help")
	} else {
		table(x.Stdout, x.Width, out)
	}
	if len(n.Dead) > 0 {
		x.say("%s given up: hermes kanban notify-list --dead", plural(len(n.Dead), "message was", "messages were"))
	}
	return nil
}

func (x *call) printDead(ctx context.Context, b api.Board, dead []projections.Dead) error {
	rows := []deadRow{}
	out := [][]string{{"EVENT", "TASK", "DESTINATION", "TRIES", "GIVEN UP", "BECAUSE"}}
	for _, d := range dead {
		entries, err := b.Read(ctx, d.Seq, 1)
		if err != nil {
			return err
		}
		r := deadRow{Event: d.Of, Task: d.Task, To: projections.DestinationName(d.To), Tries: d.Tries, At: d.At}
		if len(entries) == 1 && entries[0].Text != nil {
			text, err := events.DecodeText(entries[0].Text)
			if err != nil {
				return err
			}
			r.Reason = text.Fields.Reason
		}
		rows = append(rows, r)
		out = append(out, []string{strconv.FormatUint(d.Of, 10), dash(d.Task.String()), line(r.To), strconv.Itoa(int(d.Tries)), clock(d.At), line(r.Reason)})
	}
	if x.json() {
		return x.emit(rows)
	}
	if len(rows) == 0 {
		x.say("nothing was given up")
		return nil
	}
	table(x.Stdout, x.Width, out)
	x.say("send one after all: hermes kanban notify-retry EVENT")
	return nil
}

func runNotifyRetry(ctx context.Context, x *call) error {
	args, err := x.args(0, -1, "positions of events, or --all")
	if err != nil {
		return err
	}
	if (len(args) == 0) != x.flag("all") {
		return &usageError{msg: "wants the positions of events, or --all", hint: "hermes kanban notify-list --dead lists them"}
	}
	of := make(map[uint64]bool)
	for _, a := range args {
		seq, err := strconv.ParseUint(a, 10, 64)
		if err != nil || seq == 0 {
			return usagef("%q is not the position of an event", a)
		}
		of[seq] = false
	}
	var to *events.Destination
	if x.isSet("to") || x.isSet("platform") {
		d, err := x.destination()
		if err != nil {
			return err
		}
		to = &d
	}
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	return x.retryDead(ctx, b, of, to)
}

// retryDead has those letters sent that are of the events, all if there are
// none, and to the destination, any if it is nil.
func (x *call) retryDead(ctx context.Context, b api.Board, of map[uint64]bool, to *events.Destination) error {
	n, err := b.Notices(ctx)
	if err != nil {
		return err
	}
	rows := []deadRow{}
	for _, d := range n.Dead {
		if _, meant := of[d.Of]; !meant && len(of) > 0 || to != nil && *to != d.To {
			continue
		}
		if _, err := x.do(ctx, b, boards.RetryDead{Of: d.Of, Task: d.Task, To: d.To}); err != nil {
			return err
		}
		of[d.Of] = true
		rows = append(rows, deadRow{Event: d.Of, Task: d.Task, To: projections.DestinationName(d.To), Tries: d.Tries, At: d.At})
		if !x.json() {
			fmt.Fprintln(x.Stdout, line(fmt.Sprintf("event %d is told to %s again", d.Of, projections.DestinationName(d.To))))
		}
	}
	for seq, done := range of {
		if !done {
			return &boards.Rejection{Code: boards.CodeNotFound, Detail: fmt.Sprintf("no message about event %d was given up", seq), Hint: "hermes kanban notify-list --dead"}
		}
	}
	if x.json() {
		return x.emit(rows)
	}
	if len(rows) == 0 {
		x.say("nothing was given up")
	}
	return nil
}

// told says who was told last about a task: "Kai on telegram 23:48:03"; empty =
// nobody.
func (x *call) told(ctx context.Context, b api.Board, task events.TaskID) (string, error) {
	a, err := b.FindSent(ctx, api.SentQuery{Task: task})
	if err != nil || !a.Found {
		return "", err
	}
	return fmt.Sprintf("%s on %s %s", x.chatName(a.Sent.To), a.Sent.To.Platform, clock(a.Sent.At)), nil
}

// chatName is what the profile calls a chat, or the chat itself.
func (x *call) chatName(to events.Destination) string {
	config, err := x.profileConfig()
	if err != nil || to.Platform != "telegram" { // it is said by its id then
		return line(to.Chat)
	}
	for _, p := range config.Telegram.Allow {
		if p.Name != "" && p.ID == to.Chat {
			return line(p.Name)
		}
	}
	return line(to.Chat)
}
