package main

import (
	"context"
	"fmt"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
)

// visit is an invocation of a verb about profiles: its arguments, the home,
// and who asks.
type visit struct {
	*call
	words []string
	house *registry.Home
	me    *profile.Profile // the profile that is meant; nil for verbs that work although it is broken
}

type visiting func(context.Context, *visit) error

// atHome makes the action of a verb that takes so many arguments and needs the
// home alone. want says what arguments are missing.
func atHome(min, max int, want string, do visiting) func(context.Context, *call) error {
	return func(ctx context.Context, x *call) error {
		words, err := x.args(min, max, want)
		if err != nil {
			return err
		}
		home, err := x.home()
		if err != nil {
			return err
		}
		defer home.Close()
		return do(ctx, &visit{call: x, words: words, house: home})
	}
}

// asProfile is atHome for what needs to know the profile that is meant.
func asProfile(min, max int, want string, do visiting) func(context.Context, *call) error {
	return atHome(min, max, want, func(ctx context.Context, x *visit) (err error) {
		if x.me, err = x.profile(x.house); err != nil {
			return err
		}
		return do(ctx, x)
	})
}

// asOperator is asProfile for what only somebody may do who may open every board.
func asOperator(min, max int, want string, do visiting) func(context.Context, *call) error {
	return asProfile(min, max, want, func(ctx context.Context, x *visit) error {
		if err := operatorOnly(x.me); err != nil {
			return err
		}
		return do(ctx, x)
	})
}

func operatorOnly(p *profile.Profile) error {
	if p.MayOpenAll() {
		return nil
	}
	return &boards.Rejection{Code: "not_operator", Detail: fmt.Sprintf("profile %s may look after itself only", p.Name), Hint: "as the operator: hermes -p default …"}
}

// done says what was done: as a value for scripts, as a name for --quiet, and
// in words otherwise.
func (x *call) done(v any, name, words string, a ...any) error {
	switch {
	case x.json():
		return x.emit(v)
	case x.flag("quiet"):
		fmt.Fprintln(x.Stdout, name)
	default:
		fmt.Fprintf(x.Stdout, words+"\n", a...)
	}
	return nil
}
