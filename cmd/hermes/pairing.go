package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
)

func pairingCommand(env Env) *cli.Command {
	return noun(env, "pairing", "people who are let into a chat by a code",
		verb(env, "list,ls", "", "list who was let in, and who waits for it", `
Whoever writes to the bot and is not on its list is given a code, which holds
for an hour. They tell it to you; it is not kept here and cannot be shown.`, nil, asProfile(0, 0, "no arguments", runPairingList)),
		verb(env, "approve", "PLATFORM CODE", "let in whoever has a code", "Example:\n  hermes pairing approve telegram XKGH5N7P --role viewer",
			[]cli.Flag{str("role", "", "owner, member or viewer (default member)")}, asProfile(2, 2, "a platform and a code", runPairingApprove)),
		verb(env, "revoke", "PLATFORM ID", "shut out somebody who was let in by a code", "", nil,
			asProfile(2, 2, "a platform and the id that hermes pairing list shows", runPairingRevoke)),
		verb(env, "clear-pending", "", "drop the codes that were given out", "", nil, asProfile(0, 0, "no arguments", runPairingClear)),
	)
}

// platforms are those that have pairing codes.
var platforms = []string{"telegram"}

func pairsOf(x *visit, platform string) (*chat.Pairs, error) {
	if !slices.Contains(platforms, platform) {
		return nil, &usageError{msg: fmt.Sprintf("%q is not a platform that people are let into", platform), hint: suggest(platform, platforms, "")}
	}
	return chat.OpenPairs(x.me.Dir, platform), nil
}

func runPairingList(_ context.Context, x *visit) error {
	now := time.Now()
	in, waiting, err := chat.ListPairs(x.me.Dir, now)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(struct {
			People  []chat.Paired  `json:"people"`
			Pending []chat.Waiting `json:"pending"`
		}{in, waiting})
	}
	if len(in)+len(waiting) == 0 {
		x.say("nobody was let in by a code, and nobody waits for it")
		return nil
	}
	out := [][]string{{"PLATFORM", "ID", "NAME", "ROLE", "SINCE"}}
	for _, p := range in {
		out = append(out, []string{p.Platform, line(p.ID), line(p.Name), p.Role, fmt.Sprintf("%s, by %s", p.At.Local().Format("2006-01-02 15:04"), line(p.By))})
	}
	for _, p := range waiting {
		out = append(out, []string{p.Platform, line(p.ID), line(p.Name), "–", fmt.Sprintf("has a code for %s", p.Until.Sub(now).Round(time.Minute))})
	}
	table(x.Stdout, x.Width, out)
	return nil
}

func runPairingApprove(_ context.Context, x *visit) error {
	pairs, err := pairsOf(x, x.words[0])
	if err != nil {
		return err
	}
	role, err := chat.ParseRole(x.str("role"))
	if err != nil {
		return usagef("--role %v", err)
	}
	p, err := pairs.Confirm(x.words[1], role, x.User, time.Now())
	switch {
	case errors.Is(err, chat.ErrWrongCode):
		return &boards.Rejection{Code: "wrong_code", Detail: chat.ErrWrongCode.Error(), Hint: "hermes pairing list shows who waits; they write to the bot again for another code"}
	case errors.Is(err, chat.ErrLocked):
		return &boards.Rejection{Code: "locked", Detail: chat.ErrLocked.Error()}
	case err != nil:
		return err
	}
	return x.done(personOf(x, p), p.ID, "%s (%s) is a %s in the chats of profile %s now", line(p.Name), p.ID, p.Role, x.me.Name)
}

// pairedPerson is somebody a verb was about.
type pairedPerson struct {
	Platform string `json:"platform"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	Role     string `json:"role"`
}

func personOf(x *visit, p chat.Person) pairedPerson {
	return pairedPerson{x.words[0], p.ID, p.Name, p.Role.String()}
}

func runPairingRevoke(_ context.Context, x *visit) error {
	pairs, err := pairsOf(x, x.words[0])
	if err != nil {
		return err
	}
	p, err := pairs.Revoke(x.words[1])
	if errors.Is(err, chat.ErrNotPaired) {
		no := &boards.Rejection{Code: "not_paired", Detail: fmt.Sprintf("nobody with the id %s was let in by a code", line(x.words[1])), Hint: "hermes pairing list"}
		if slices.ContainsFunc(x.me.Config.Telegram.Allow, func(a profile.Person) bool { return a.ID == x.words[1] }) {
			no.Detail, no.Hint = x.words[1]+" is on the profile's list telegram.allow", "take it out there: hermes -p "+x.me.Name+" config edit"
		}
		return no
	}
	if err != nil {
		return err
	}
	return x.done(personOf(x, p), p.ID, "%s (%s) is shut out of the chats of profile %s", line(p.Name), p.ID, x.me.Name)
}

func runPairingClear(_ context.Context, x *visit) error {
	n, err := chat.OpenPairs(x.me.Dir, platforms[0]).Forget()
	if err != nil {
		return err
	}
	return x.done(map[string]int{"dropped": n}, fmt.Sprint(n), "%s dropped", plural(n, "code", "codes"))
}
