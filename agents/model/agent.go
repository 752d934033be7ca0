package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/mcp"
	"github.com/hermesboard/hermes/agents/runtime"
)

// Agent is one attempt at a task. Its fields are set before Run.
type Agent struct {
	Config  runtime.ModelConfig
	Token   string     // what the endpoint knows the attempt by
	Prompt  string     // what the model is told first, or that the task goes on
	Board   *mcp.Tools // of the run
	Folders Folders
	Env     []string  // of commands
	Out     io.Writer // gets what happens, an object a line

	MaxTokens int64         // of the attempt, read and written; 0 = DefaultTokens
	Idle      time.Duration // how long a model may be silent; 0 = DefaultIdle

	// Wait waits between two tries of a request; nil = by the clock.
	Wait func(ctx context.Context, d time.Duration) error
}

const (
	// DefaultIdle is how long a model may be silent.
	DefaultIdle = 10 * time.Minute
	// maxConversation is what is sent of a conversation, in bytes: some hundred
	// thousand tokens.
	maxConversation = 480 << 10
	tries           = 4 // of one request
	longestWait     = time.Minute
)

// loop is the state of an attempt.
type loop struct {
	*Agent
	client *client
	talk   *transcript
	tools  *toolbox
	tally  tally
	log    log
}

// Run works until the task has a verdict, the model gives up, or a limit is
// reached, which blocks the task. An attempt without a verdict is no error: the
// board finds out. A *[Failure] says why the model cannot be asked.
func (a *Agent) Run(ctx context.Context) error {
	l, err := a.begin()
	if err != nil {
		return err
	}
	defer l.talk.file.Close()
	defer l.client.http.CloseIdleConnections()
	end, err := l.run(ctx)
	l.log.end(&l.tally, end, err)
	return err
}

func (a *Agent) begin() (*loop, error) {
	api, ok := apiOf(a.Config.API)
	if !ok {
		return nil, fmt.Errorf("this agent does not speak the API %q, only %s and %s", a.Config.API, agents.Anthropic, agents.OpenAIChat)
	}
	l := &loop{Agent: a, log: log{to: a.Out}, tools: &toolbox{board: a.Board}}
	idle := a.Idle
	if idle == 0 {
		idle = DefaultIdle
	}
	l.client = newClient(api, a.Config.BaseURL, a.Token, idle)
	l.tally.maxTurns, l.tally.maxTokens = a.Config.MaxTurns, a.MaxTokens
	if l.tally.maxTurns <= 0 {
		l.tally.maxTurns = DefaultTurns
	}
	if l.tally.maxTokens <= 0 {
		l.tally.maxTokens = DefaultTokens
	}
	for _, t := range a.Board.List {
		l.tools.list = append(l.tools.list, tool{name: t.Name, what: t.What, schema: t.Schema})
	}
	mine := own(&bench{a.Folders, a.Env})
	for _, name := range slices.Compact(slices.Sorted(slices.Values(a.Config.Tools))) {
		t, ok := mine[name]
		if !ok {
			return nil, fmt.Errorf("no tool is called %q", name)
		}
		l.tools.list = append(l.tools.list, t)
	}
	var err error
	l.talk, err = openTranscript(a.Config.Transcript, a.Config.Resume)
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return l, nil
}

// run is the loop. It returns how it ended.
func (l *loop) run(ctx context.Context) (string, error) {
	if err := l.talk.add(message{Said: l.Prompt}); err != nil {
		return "", fmt.Errorf("transcript: %w", err)
	}
	q := &question{model: l.Config.Model, system: l.system(), tools: l.tools.list}
	for {
		if reason := l.tally.spent(); reason != "" {
			return l.block(ctx, reason)
		}
		q.messages = fit(l.talk.messages, maxConversation)
		r, err := l.ask(ctx, q)
		if err != nil {
			return "", err
		}
		m := r.message(len(l.talk.messages))
		n := l.tally.after(r)
		l.log.answer(&m)
		if m.byModel() {
			if err := l.talk.add(m); err != nil {
				return "", fmt.Errorf("transcript: %w", err)
			}
		}
		if n.do == callTools {
			decided, err := l.callAll(ctx, m.Calls)
			if err != nil || decided {
				return "verdict", err
			}
		}
		switch n.do {
		case giveUp:
			return "no verdict: " + n.say, nil
		case block:
			return l.block(ctx, n.say)
		}
		if n.say != "" {
			if err := l.talk.add(message{Said: n.say}); err != nil {
				return "", fmt.Errorf("transcript: %w", err)
			}
		}
	}
}

// callAll carries out the calls of an answer in their order. After a verdict
// none is carried out any more.
func (l *loop) callAll(ctx context.Context, calls []call) (decided bool, err error) {
	m := message{}
	for _, c := range calls {
		res := mcp.Result{Text: "not done: the task has its verdict", Refused: true}
		if !decided {
			res = l.tools.call(ctx, c)
		}
		if err := ctx.Err(); err != nil {
			return false, err // the next attempt is told that it was cut off
		}
		decided = decided || res.Verdict
		l.log.result(c, res)
		text := res.Text
		if text == "" {
			text = "(nothing)"
		}
		m.Results = append(m.Results, result{c.ID, text, res.Refused})
	}
	if err := l.talk.add(m); err != nil {
		return decided, fmt.Errorf("transcript: %w", err)
	}
	return decided, nil
}

// block puts the task before a person, since a limit is reached.
func (l *loop) block(ctx context.Context, reason string) (string, error) {
	args, err := json.Marshal(object{"reason": reason, "kind": "needs_input"})
	if err != nil {
		return "", err
	}
	res := l.Board.Call(ctx, "kanban_block", args)
	l.log.result(call{Name: "kanban_block", Args: args}, res)
	if res.Refused {
		return "no verdict: " + oneLine(reason, 300), nil
	}
	return "blocked at a limit", nil
}

// system is what the model is told before everything else.
func (l *loop) system() string {
	var b strings.Builder
	if l.Config.Instructions != "" {
		b.WriteString(strings.TrimSpace(l.Config.Instructions) + "\n\n")
	}
	b.WriteString(l.Board.Instructions + "\n\n")
	fmt.Fprintf(&b, "Folders: the workspace is %s", l.Folders.Workspace)
	if l.Folders.Outputs != "" {
		fmt.Fprintf(&b, ", $HERMES_OUTPUTS for files to hand over is %s", l.Folders.Outputs)
	}
	if l.Folders.Inputs != "" {
		fmt.Fprintf(&b, ", $HERMES_INPUTS with the files of this task and of its parents is %s", l.Folders.Inputs)
	}
	if len(l.Folders.Reads) > 0 {
		fmt.Fprintf(&b, ". To be read only: %s", strings.Join(l.Folders.Reads, ", "))
	}
	return b.String() + ".\n"
}

// ask asks until there is an answer or no use in asking.
func (l *loop) ask(ctx context.Context, q *question) (*reply, error) {
	for try := 1; ; try++ {
		r, err := l.client.ask(ctx, q)
		var f *Failure
		if err == nil || !errors.As(err, &f) || !f.again || try == tries || f.Retry > longestWait {
			return r, err
		}
		wait := max(f.Retry, time.Second<<try)
		l.log.wait(f, wait)
		if err := l.wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (l *loop) wait(ctx context.Context, d time.Duration) error {
	if l.Wait != nil {
		return l.Wait(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
