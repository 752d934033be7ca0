package model

import (
	"fmt"

	"github.com/hermesboard/hermes/agents"
)

// Limits of one attempt, where the configuration has none.
const (
	DefaultTurns  = 100
	DefaultTokens = 20_000_000
	maxNudges     = 1
	maxCutOff     = 3 // answers without a call that were cut off at their limit, one after the other
)

// tally is what decisions depend on besides the answer itself.
type tally struct {
	turns, maxTurns int
	sum             agents.Tokens
	maxTokens       int64
	nudges, cutOff  int
	warned          bool
}

// next is what to do after an answer.
type next struct {
	do  deed
	say string // to the model, or as the reason of the block
}

type deed uint8

const (
	callTools deed = iota // and say, if there is something to say
	speak                 // to the model
	giveUp                // without a verdict
	block                 // the task: a person decides how it goes on
)

// after decides what follows an answer, and counts. Calls are carried out even
// if they are the last: one may be the verdict, and then nothing else matters.
func (t *tally) after(r *reply) next {
	t.turns++
	t.sum.Input += r.tokens.Input
	t.sum.Output += r.tokens.Output
	t.sum.CacheRead += r.tokens.CacheRead
	t.sum.CacheWrite += r.tokens.CacheWrite
	if len(r.calls) > 0 {
		t.nudges, t.cutOff = 0, 0
		return next{callTools, t.warning()}
	}
	if reason := t.spent(); reason != "" {
		return next{block, reason}
	}
	if r.stop == tooLong && t.cutOff < maxCutOff {
		t.cutOff++
		return next{speak, "Your answer was cut off at its limit. Go on, with a call of a tool, and say less at once."}
	}
	if t.nudges == maxNudges {
		return next{giveUp, "it ended twice without a verdict"}
	}
	t.nudges++
	return next{speak, "You have ended your turn, but the task has no verdict yet, and nobody reads what you write. " + verdictWords}
}

const verdictWords = "Go on with the tools and end with a verdict: call kanban_complete or kanban_block (in a review: kanban_approve, kanban_request_changes or kanban_block)."

func (t *tally) tokens() int64 {
	return t.sum.Input + t.sum.Output + t.sum.CacheRead + t.sum.CacheWrite
}

// warning is given once, when nine tenths of a limit are used up.
func (t *tally) warning() string {
	if t.warned || t.turns < t.maxTurns-max(1, t.maxTurns/10) && t.tokens() < t.maxTokens/10*9 {
		return ""
	}
	t.warned = true
	return fmt.Sprintf("Notice: %d of your %d answers are used up. Finish what you can now. %s", t.turns, t.maxTurns, verdictWords)
}

// spent is the limit that is used up; empty if there is none. It is asked
// before each request.
func (t *tally) spent() string {
	switch {
	case t.turns >= t.maxTurns:
		return fmt.Sprintf("The agent has used its limit of %d answers of its model (runtime.max_turns) without coming to a verdict. It goes on where it stopped, with as many answers again, when this is answered.", t.maxTurns)
	case t.tokens() >= t.maxTokens:
		return fmt.Sprintf("The agent has used its limit of %d tokens for one attempt without coming to a verdict. It goes on where it stopped, with as many again, when this is answered.", t.maxTokens)
	}
	return ""
}
