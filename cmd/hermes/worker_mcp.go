package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/mcp"
)

const mcpHelp = `An agent's program starts this as one of its MCP servers, over standard input
and output. Programs that do not pass their environment on need the flags, here
with the places as bubblewrap shows them ($HERMES_BIN, $HERMES_WORKER_SOCKET and
$HERMES_OUTPUTS hold them in any sandbox):

  {"mcpServers": {"kanban": {"command": "/run/hermes/bin/hermes",
    "args": ["worker", "mcp", "--socket", "/run/hermes/sock/sock", "--outputs", "/ws/outputs"]}}}`

func mcpVerb(env Env) *cli.Command {
	return verb(env, "mcp", "", "the tools of a run, as an MCP server over stdio", mcpHelp, []cli.Flag{
		str("socket", "", "the worker socket (default $HERMES_WORKER_SOCKET)"),
		str("outputs", "", "where relative paths of files begin (default $HERMES_OUTPUTS)"),
	}, workerMCP)
}

func workerMCP(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	client, err := x.workerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	outputs := x.str("outputs")
	if outputs == "" {
		outputs = x.Getenv("HERMES_OUTPUTS")
	}
	s := &mcp.Server{Client: client, Outputs: outputs, Dir: x.Dir, Version: version()}
	return s.Run(ctx, x.Stdin, x.Stdout)
}
