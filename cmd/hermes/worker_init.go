package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/sandbox/proxy"
)

func workerInitVerb(env Env) *cli.Command {
	c := verb(env, "init", "-- PROGRAM [ARGUMENT…]", "run a program behind a relay to its sandbox's proxy", "", []cli.Flag{
		str("listen", "", "where to listen inside"),
		str("to", "", "the unix socket that connections are carried to"),
	}, workerInit)
	c.Hidden = true
	return c
}

func workerInit(_ context.Context, x *call) error {
	argv, err := x.args(1, -1, "a program")
	if err != nil {
		return err
	}
	if x.str("listen") == "" || x.str("to") == "" {
		return usagef("hermes worker init is started by a sandbox: it wants --listen and --to")
	}
	code, err := proxy.Init(x.str("listen"), x.str("to"), argv)
	if err != nil {
		x.say("hermes: %v", err)
	}
	return exitError(code)
}
