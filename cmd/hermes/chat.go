package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/boards/api"
)

// maxChatOutput is how much of what a verb prints is kept, in bytes.
const maxChatOutput = 8 << 20

// chatExec runs a verb of hermes kanban for somebody in a chat: in a tree of its
// own, on the board that the chat has given, without standard input, a terminal,
// an environment or a folder. It is a chat.Exec.
func chatExec(ctx context.Context, call *chat.Call, board api.Board, argv []string) (out, words string, code int) {
	o, e := &capped{most: maxChatOutput}, &capped{most: maxChatOutput}
	env := Env{Args: append([]string{"kanban"}, argv...), Stdin: strings.NewReader(""), Stdout: o, Stderr: e, Dir: "/",
		Getenv: func(string) string { return "" }, Width: call.Width, User: call.By.Actor.Name, Asked: call.Time}
	defer func() {
		if p := recover(); p != nil {
			out, words, code = "", "Something went wrong here. Nothing more was done.\n", exitRefused
		}
	}()
	err := chatExecute(withSeat(ctx, board), env, call)
	var denied *chat.Denied
	if errors.As(err, &denied) {
		err = &usageError{msg: denied.Message, hint: denied.Hint}
	}
	code = report(env, err)
	return o.String(), strings.TrimPrefix(e.String(), "hermes: "), code
}

func chatExecute(ctx context.Context, env Env, call *chat.Call) error {
	app := Tree(env)
	inv, err := arrange(app, env.Args)
	if err != nil {
		return inWords(err)
	}
	if err := chatAllows(&inv, call); err != nil {
		return err
	}
	if inv.help {
		return printHelp(env, app, inv)
	}
	return app.RunContext(ctx, inv.argv())
}

// inWords names the verbs of a chat as a chat does: an unknown one is answered
// from what exists there.
func inWords(err error) error {
	var usage *usageError
	if errors.As(err, &usage) {
		if _, verb, ok := strings.Cut(usage.msg, "hermes kanban has no verb "); ok {
			return chat.Check(chat.Owner, false, false, strings.Trim(verb, `"`), nil)
		}
	}
	return err
}

// chatAllows checks an invocation against what exists in a chat.
func chatAllows(inv *invocation, call *chat.Call) error {
	if len(inv.path) < 2 {
		return &chat.Denied{Message: "kanban wants a verb", Hint: "/kanban help lists what there is"}
	}
	verb := inv.path[1].Name
	var flags []string
	for _, f := range append(append([]string{}, inv.global...), inv.flags...) {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		flags = append(flags, longName(inv.path[len(inv.path)-1], name))
	}
	if len(inv.path) > 2 || inv.version {
		verb += " " + inv.path[len(inv.path)-1].Name
	}
	if err := chat.Check(call.Role, call.ReadOnly, call.Tenant != "", verb, flags); err != nil {
		return err
	}
	for _, w := range append(append([]string{}, inv.args...), inv.flags...) {
		if _, value, ok := strings.Cut(w, "="); ok && strings.HasPrefix(w, "-") {
			w = value
		}
		if err := onThisBoard(w, call.Board); err != nil {
			return err
		}
	}
	return nil
}

// longName is the first name of a flag of a command, or the name itself.
func longName(c *cli.Command, name string) string {
	for _, f := range c.Flags {
		if has(f.Names(), name) {
			return f.Names()[0]
		}
	}
	switch name {
	case "q":
		return "quiet"
	}
	return name
}

// onThisBoard refuses the id of a task of another board, in the same words
// whether there is such a board or not.
func onThisBoard(word, slug string) error {
	id, _, _ := strings.Cut(word, ":") // a parent is ID:NEEDS
	if board, _ := splitID(id); board != "" && isTask(id) && !strings.EqualFold(board, slug) {
		return &api.Error{Code: api.CodeNotFound, Message: fmt.Sprintf("there is no task %s here", line(id))}
	}
	return nil
}

// seatKey is under which a context has the board of a call from a chat.
type seatKey struct{}

func withSeat(ctx context.Context, b api.Board) context.Context {
	return context.WithValue(ctx, seatKey{}, b)
}

// seated returns the board that a chat has given to a call; false if it came
// another way. Such a call gets no other board, whatever it names.
func seated(ctx context.Context) (api.Board, bool) {
	b, ok := ctx.Value(seatKey{}).(api.Board)
	return b, ok
}

// capped keeps the beginning of what is written and says if there was more.
type capped struct {
	bytes.Buffer
	most int
	cut  bool
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.most - c.Len(); len(p) > room {
		c.cut = true
		c.Buffer.Write(p[:max(0, room)])
		return len(p), nil
	}
	return c.Buffer.Write(p)
}

func (c *capped) String() string {
	if c.cut {
		return c.Buffer.String() + "\n… (more was left out)\n"
	}
	return c.Buffer.String()
}
