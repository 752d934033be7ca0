package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
)

func runProfileUse(_ context.Context, x *visit) error {
	home, name := x.house, x.words[0]
	// The one that is in use because nothing was named may always be left.
	if cmp.Or(x.str("profile"), x.Getenv("HERMES_PROFILE")) != "" {
		if _, err := x.profileNamed(home, name); err != nil {
			return err
		}
	}
	if err := profile.Use(home.Dir(), name); errors.Is(err, profile.ErrUnknown) {
		return unknownProfile(home.Dir(), name)
	} else if err != nil {
		return err
	}
	return x.done(map[string]string{"profile": name}, name, "profile %s is meant where none is named", name)
}

// unattended refuses to touch a profile whose gateway runs.
func unattended(home *registry.Home, name string) error {
	running, err := gateways(home, false)
	if i := slices.IndexFunc(running, func(g gatewayInfo) bool { return g.Profile == name }); i >= 0 {
		return &boards.Rejection{Code: "gateway_running", Detail: fmt.Sprintf("the gateway of profile %s runs (PID %d)", name, running[i].PID),
			Hint: "stop it first: hermes -p " + name + " gateway stop"}
	}
	return err
}

func runProfileRename(_ context.Context, x *visit) error {
	home, from, to := x.house, x.words[0], x.words[1]
	if err := unattended(home, from); err != nil {
		return err
	}
	switch err := profile.Rename(home.Dir(), from, to); {
	case errors.Is(err, profile.ErrUnknown):
		return unknownProfile(home.Dir(), from)
	case errors.Is(err, profile.ErrExists):
		return profileExists(to)
	case err != nil:
		return err
	}
	if x.alias(from).ours {
		if err := errors.Join(x.dropAlias(from), x.makeAlias(home.Dir(), to)); err != nil {
			return err
		}
	}
	return x.done(map[string]string{"profile": to, "was": from}, to, "profile %s is now %s; its boards keep their names", from, to)
}

func profileExists(name string) error {
	return &boards.Rejection{Code: "profile_exists", Detail: fmt.Sprintf("there is a profile %s already", name), Hint: "hermes profile show " + name}
}

func runProfileDelete(_ context.Context, x *visit) error {
	home, name := x.house, x.words[0]
	if _, err := os.Lstat(profile.Dir(home.Dir(), name)); err != nil || !profile.ValidName(name) {
		return unknownProfile(home.Dir(), name)
	}
	if err := unattended(home, name); err != nil {
		return err
	}
	if err := x.confirm("remove the profile "+name+" with its secrets", name); err != nil {
		return err
	}
	if err := errors.Join(profile.Delete(home.Dir(), name), x.dropAlias(name)); err != nil {
		return err
	}
	return x.done(map[string]string{"deleted": name}, name, "profile %s is gone; its boards are still there", name)
}

func runProfileDescribe(_ context.Context, x *visit) error {
	p, err := x.profileNamed(x.house, x.words[0])
	if err != nil {
		return err
	}
	words := strings.Join(append(x.words[1:], x.str("text")), "")
	if words == "" && !x.isSet("text") {
		return x.done(map[string]string{"description": p.Config.Description}, line(p.Config.Description), "%s", line(p.Config.Description))
	}
	if err := profile.EditConfig(p.Dir, func(file []byte) ([]byte, error) { return profile.SetValue(file, "description", line(words)) }); err != nil {
		return keyError(err)
	}
	return x.saySet("description")
}

func runProfileBoards(ctx context.Context, x *visit) error {
	p, err := x.profileNamed(x.house, x.words[0])
	if err != nil {
		return err
	}
	if slugs := x.words[1:]; len(slugs) > 0 {
		if err := operatorOnly(x.me); err != nil {
			return err
		}
		if err := profile.EditConfig(p.Dir, func(file []byte) ([]byte, error) { return profile.SetValue(file, "boards", slugs) }); err != nil {
			return keyError(err)
		}
		p.Config.Boards = slugs
		x.sayMissing(ctx, slugs)
	}
	if x.json() {
		return x.emit(map[string][]string{"boards": p.Config.Boards})
	}
	for _, b := range p.Config.Boards {
		fmt.Fprintln(x.Stdout, b)
	}
	return nil
}

// sayMissing says which of the boards are not there yet.
func (x *visit) sayMissing(ctx context.Context, slugs []string) {
	entries, err := x.house.List(ctx)
	if err != nil {
		return
	}
	for _, slug := range slugs {
		if slug != "*" && !slices.ContainsFunc(entries, func(e registry.Entry) bool { return e.Slug == slug && e.State != registry.Archived }) {
			x.say("there is no board %s yet: hermes board create %s", slug, slug)
		}
	}
}
