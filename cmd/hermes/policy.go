package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

func policyNoun(env Env) *cli.Command {
	show := verb(env, "show", "[BOARD]", "show the policy in force", "", nil, runPolicyShow)
	set := verb(env, "set", "KEY=VALUE… | KEY VALUE", "change the policy", `
Examples:
  hermes board policy set term=30m silence=2h
  hermes board policy set budget.run 2.50
  hermes board policy set agent_caps.researcher 2
  hermes board policy set agent_caps.researcher none
  hermes board policy set order fifo

hermes board policy show lists the keys. Durations are written 90s, 15m, 2h, 7d;
money as 2.50. 0 or none takes a limit away. order says which of the tasks that
could start goes first: with priority, the default, the one of higher priority
and then the older one, with fifo the older one whatever its priority.
paid_limit is after how many attempts in a row that cost something and failed
alike a task gives up; those that cost nothing have failure_limit and
verdict_limit. The change is an event.`,
		[]cli.Flag{str("reason", "", "why")}, runPolicySet)
	n := noun(env, "policy", "what a board's dispatcher goes by", show, set)
	n.Action = func(c *cli.Context) error {
		if c.Args().Len() == 0 {
			return show.Action(c)
		}
		return unknownVerb("hermes board policy", c.Args().First(), n.Subcommands)
	}
	return n
}

func runPolicyShow(ctx context.Context, x *call) error {
	if err := x.named(0); err != nil {
		return err
	}
	b, err := x.board(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	p, seq, err := b.Policy(ctx)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(struct {
			Seq    uint64        `json:"seq"` // of the event that set it
			Policy events.Policy `json:"policy"`
		}{seq, p})
	}
	var rows [][]string
	for _, s := range policySettings(&p) {
		rows = append(rows, []string{s.key, s.text(p.Currency)})
	}
	table(x.Stdout, 0, rows)
	x.say("set by event %d; change it: hermes board policy set KEY VALUE", seq)
	return nil
}

func runPolicySet(ctx context.Context, x *call) error {
	a, err := x.args(1, -1, "KEY=VALUE or KEY VALUE")
	if err != nil {
		return err
	}
	pairs, err := policyPairs(a)
	if err != nil {
		return err
	}
	b, err := x.boardToChange(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	p, _, err := b.Policy(ctx)
	if err != nil {
		return err
	}
	var changed []string
	for _, pair := range pairs {
		before, after, err := setPolicy(&p, pair[0], pair[1])
		if err != nil {
			return err
		}
		changed = append(changed, fmt.Sprintf("%s   %s → %s", pair[0], before, after))
	}
	res, err := x.do(ctx, b, boards.SetPolicy{Policy: p, Reason: x.str("reason")})
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(struct {
			Seq    uint64        `json:"seq"`
			Policy events.Policy `json:"policy"`
		}{res.Last, p})
	}
	for _, c := range changed {
		fmt.Fprintln(x.Stdout, line(c))
	}
	return nil
}

// policyPairs reads KEY=VALUE… or KEY VALUE.
func policyPairs(args []string) ([][2]string, error) {
	if len(args) == 2 && !strings.Contains(args[0], "=") {
		return [][2]string{{args[0], args[1]}}, nil
	}
	var pairs [][2]string
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			return nil, &usageError{msg: fmt.Sprintf("%q has no value", a), hint: "hermes board policy set " + key + "=VALUE"}
		}
		pairs = append(pairs, [2]string{key, value})
	}
	return pairs, nil
}
