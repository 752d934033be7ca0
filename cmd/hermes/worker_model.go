package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/mcp"
	"github.com/hermesboard/hermes/agents/model"
	"github.com/hermesboard/hermes/agents/runtime"
)

const (
	// modelToken has what the model's endpoint knows the run by.
	modelToken = "HERMES_MODEL_TOKEN"
	// exitTryLater tells the supervisor that the model is asked too often: the
	// EX_TEMPFAIL of sysexits.
	exitTryLater   = 75
	maxPromptBytes = 4 << 20
)

func modelVerb(env Env) *cli.Command {
	c := verb(env, "model", "", "be an agent that asks a model", "", []cli.Flag{
		str("socket", "", "the worker socket (default $HERMES_WORKER_SOCKET)"),
		str("config", "", "the file that says which model, and how it is asked"),
	}, workerModel)
	c.Hidden = true
	return c
}

// modelConfig is the file of --config.
type modelConfig struct {
	runtime.ModelConfig
	Reads []string `json:"reads"` // folders that may be read besides the run's own
}

func workerModel(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments; the first words are read from standard input"); err != nil {
		return err
	}
	if x.str("config") == "" {
		return usagef("hermes worker model is started by a supervisor: it wants --config")
	}
	var config modelConfig
	b, err := os.ReadFile(x.str("config"))
	if err == nil {
		err = json.Unmarshal(b, &config)
	}
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	client, err := x.workerClient()
	if err != nil {
		return err
	}
	defer client.Close()
	prompt, err := io.ReadAll(io.LimitReader(x.Stdin, maxPromptBytes))
	if err != nil {
		return fmt.Errorf("the first words: %w", err)
	}
	if len(prompt) == 0 { // started by hand: the task says it all
		own, err := client.Own(ctx)
		if err != nil {
			return err
		}
		prompt = []byte(runtime.Prompt(own.Context, config.Resume))
	}
	folders := model.Folders{Workspace: x.Getenv("HERMES_WORKSPACE"), Inputs: x.Getenv("HERMES_INPUTS"), Outputs: x.Getenv("HERMES_OUTPUTS"), Reads: config.Reads}
	if folders.Workspace == "" {
		folders.Workspace = x.Dir
	}
	if sources := x.Getenv("HERMES_SOURCES"); sources != "" {
		folders.Reads = append(folders.Reads, sources)
	}
	board := &mcp.Server{Client: client, Outputs: folders.Outputs, Dir: folders.Workspace, Version: version()}
	agent := &model.Agent{
		Config: config.ModelConfig, Token: x.Getenv(modelToken), Prompt: string(prompt), Board: board.Tools(ctx), Folders: folders, Out: x.Stdout,
		Env: slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, modelToken+"=") }),
	}
	err = agent.Run(ctx)
	var f *model.Failure
	if errors.As(err, &f) && f.Class == runtime.RateLimited {
		x.say("hermes: %s", f.Detail)
		return exitError(exitTryLater)
	}
	return err
}
