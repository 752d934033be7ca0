package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
)

func skillsCommand(env Env) *cli.Command {
	return noun(env, "skills", "what agents can read up on",
		verb(env, "list,ls", "", "list the skills of a profile", "", nil, runSkillsList),
		verb(env, "sync", "", "bring the skills that come with the program to every profile", `
One that you changed or removed is never touched.`, nil, runSkillsSync),
	)
}

func updateCommand(env Env) *cli.Command {
	return verb(env, "update", "", "bring the skills up to date and say how to upgrade the program", "", nil,
		func(ctx context.Context, x *call) error {
			if err := runSkillsSync(ctx, x); err != nil || x.json() {
				return err
			}
			x.say("This is hermes %s. To upgrade the program:", version())
			x.say("  go install github.com/hermesboard/hermes/cmd/hermes@latest")
			x.say("  hermes gateway restart      open runs go on meanwhile; the same for each profile")
			return nil
		})
}

func runSkillsList(_ context.Context, x *call) error {
	home, p, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	skills, err := profile.Skills(p.Dir)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(skills)
	}
	if len(skills) == 0 {
		x.say("profile %s has no skills; hermes skills sync brings those of the program", p.Name)
		return nil
	}
	out := [][]string{{"SKILL", "FROM"}}
	for _, s := range skills {
		from := "this profile"
		switch {
		case s.Changed:
			from = "hermes, changed"
		case s.Bundled:
			from = "hermes"
		}
		out = append(out, []string{line(s.Name), from})
	}
	table(x.Stdout, x.Width, out)
	return nil
}

func runSkillsSync(_ context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	home, me, err := x.homeAndProfile()
	if err != nil {
		return err
	}
	defer home.Close()
	names := []string{me.Name}
	if me.MayOpenAll() {
		if names, err = profile.List(home.Dir()); err != nil {
			return err
		}
	}
	type row struct {
		Profile string `json:"profile"`
		profile.Synced
	}
	rows := []row{}
	for _, name := range names {
		n, err := profile.SyncSkills(profile.Dir(home.Dir(), name))
		if err != nil {
			return fmt.Errorf("profile %s: %w", name, err)
		}
		rows = append(rows, row{name, n})
	}
	if x.json() {
		return x.emit(rows)
	}
	for _, r := range rows {
		fmt.Fprintf(x.Stdout, "%s: %s, %d new, %d updated, %d unchanged, %d yours, %d removed by you\n", r.Profile,
			plural(r.Added+r.Updated+r.Same+r.Kept+r.Removed, "skill", "skills"), r.Added, r.Updated, r.Same, r.Kept, r.Removed)
	}
	return nil
}
