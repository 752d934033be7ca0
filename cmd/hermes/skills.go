package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/profile"
)

func skillsCommand(env Env) *cli.Command {
	return noun(env, "skills", "what agents can read up on",
		verb(env, "list,ls", "", "list the skills of a profile", "", nil, asProfile(0, 0, "no arguments", runSkillsList)),
		verb(env, "sync", "", "bring the skills that come with the program to every profile", `
One that you changed or removed is never touched.`, nil, asProfile(0, 0, "no arguments", runSkillsSync)),
	)
}

func updateCommand(env Env) *cli.Command {
	return verb(env, "update", "", "bring the skills up to date and say how to upgrade the program", "", nil,
		asProfile(0, 0, "no arguments", func(ctx context.Context, x *visit) error {
			if err := runSkillsSync(ctx, x); err != nil || x.json() {
				return err
			}
			x.say("This is hermes %s. To upgrade the program:", version())
			x.say("  go install github.com/hermesboard/hermes/cmd/hermes@latest")
			x.say("  hermes gateway restart      open runs go on meanwhile; the same for each profile")
			return nil
		}))
}

func runSkillsList(_ context.Context, x *visit) error {
	skills, err := profile.Skills(x.me.Dir)
	if err != nil {
		return err
	}
	if x.json() {
		return x.emit(skills)
	}
	if len(skills) == 0 {
		x.say("profile %s has no skills; hermes skills sync brings those of the program", x.me.Name)
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

func runSkillsSync(_ context.Context, x *visit) (err error) {
	names := []string{x.me.Name}
	if x.me.MayOpenAll() {
		if names, err = profile.List(x.house.Dir()); err != nil {
			return err
		}
	}
	type row struct {
		Profile string `json:"profile"`
		profile.Synced
	}
	rows := []row{}
	for _, name := range names {
		n, err := profile.SyncSkills(profile.Dir(x.house.Dir(), name))
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
