package main

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/boards"
)

// agentExamples are one configuration for each kind of runtime.
//
//go:embed testdata/agents
var agentExamples embed.FS

var apiKinds = []string{agents.Anthropic, agents.OpenAIResponses, agents.OpenAIChat}

func agentAddVerb(env Env) *cli.Command {
	return verb(env, "add,create", "NAME [-- PROGRAM [ARGUMENT…]]", "make an agent of a profile", `
What stands behind -- is the program and its arguments: the whole command of
runtime command, the path of the program for claude, codex, opencode and hermes.
The key of a model is a secret of the profile and is named here only.

  hermes agent add researcher --runtime builtin --builtin researcher --sources /srv/docs
  hermes agent add clock --runtime command -- sh -c '"$HERMES_BIN" worker complete "$(date)"'
  hermes agent add lead --runtime model --model claude-sonnet-5-5 --api anthropic --key ANTHROPIC_API_KEY --tools read,list
  hermes agent add --runtime claude --example`,
		[]cli.Flag{
			str("runtime", "", "how it is launched: "+strings.Join(agents.Kinds, ", ")),
			flag("example", "", "print a configuration of that runtime, and make nothing"),
			flag("replace", "", "although there is one of that name"),
			str("description", "", "what it is for, in a line"), str("role", "", "worker (default), orchestrator or reviewer"),
			str("instructions", "", "what it is told: a text, or the name of an .md file in its folder (default: SOUL.md of the agent, then of the profile)"),
			str("builtin", "", "which builtin: orchestrator, researcher, writer"), str("sources", "", "the folder a builtin reads"),
			str("model", "m", "the model"), str("version", "", "the version of its program that is wanted"),
			list("tools", "", "tools of the runtime's own; again, or with commas, for several"), num("max-turns", "", "answers of the model in an attempt"),
			str("api", "", "how its model is reached: "+strings.Join(apiKinds, ", ")+" (default: that of the runtime, if it has one only)"),
			str("upstream", "", "base URL of the provider, without /v1"), str("key", "", "the name of the secret with the provider's key"),
			str("backend", "", "its sandbox (default: the profile's, then bubblewrap)"), list("mount", "", "a host path it sees, read-only; again for several"),
			str("network", "", "none (default), proxy or full"), list("allow-host", "", "a host that network proxy lets through; again for several"),
		}, runAgentAdd)
}

func runAgentAdd(_ context.Context, x *call) error {
	if x.flag("example") {
		return x.printExample()
	}
	a, err := x.args(1, -1, "a name for the agent")
	if err != nil {
		return err
	}
	_, dir, err := x.configFolder()
	if err != nil {
		return err
	}
	it := x.agentOf(a[0], a[1:])
	if it.Runtime.Kind == "" {
		return &usageError{msg: "wants --runtime: " + strings.Join(agents.Kinds, ", "), hint: "hermes agent add --runtime claude --example shows a configuration"}
	}
	if it.Endpoint != nil && it.Endpoint.Kind == "" {
		return usagef("wants --api: %s", strings.Join(apiKinds, ", "))
	}
	if err := it.Validate(); err != nil {
		return usagef("%v", err)
	}
	names, err := agents.List(dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, it.Name) && !x.flag("replace") {
		return &boards.Rejection{Code: "agent_exists", Detail: fmt.Sprintf("there is an agent %s already", it.Name), Hint: "hermes agent show " + it.Name + "; --replace writes its configuration anew"}
	}
	if err := agents.Save(dir, it); err != nil {
		return err
	}
	if x.json() {
		it.Dir = filepath.Join(dir, "agents", it.Name)
		return x.emit(it)
	}
	fmt.Fprintf(x.Stdout, "agent %s made in %s\n", it.Name, filepath.Join(dir, "agents", it.Name))
	return nil
}

// agentOf is the agent that the flags describe.
func (x *call) agentOf(name string, program []string) *agents.Agent {
	it := &agents.Agent{Name: name, Description: x.str("description"), Role: x.str("role"), Instructions: x.str("instructions"),
		Runtime: agents.Runtime{Kind: x.str("runtime"), Name: x.str("builtin"), Version: x.str("version"),
			Model: x.str("model"), MaxTurns: x.num("max-turns")},
		Terminal: agents.Terminal{Backend: x.str("backend"), Network: x.str("network"), AllowHosts: x.list("allow-host")}}
	if len(program) > 0 {
		it.Runtime.Command = program
	}
	for _, t := range x.list("tools") {
		it.Runtime.Tools = append(it.Runtime.Tools, nonEmpty(strings.Split(t, ",")...)...)
	}
	for _, m := range x.list("mount") {
		it.Terminal.Mounts = append(it.Terminal.Mounts, x.path(m))
	}
	if s := x.str("sources"); s != "" {
		it.Runtime.Sources = x.path(s)
	}
	if x.str("api") != "" || x.str("upstream") != "" || x.str("key") != "" {
		it.Endpoint = &agents.Endpoint{Kind: cmp.Or(x.str("api"), agents.SoleAPI(it.Runtime.Kind)), Upstream: x.str("upstream"), Credential: agents.Credential{Env: x.str("key")}}
	}
	return it
}

func (x *call) printExample() error {
	kind := x.str("runtime")
	if !slices.Contains(agents.Kinds, kind) {
		return &usageError{msg: fmt.Sprintf("--runtime %q is none of %s", kind, strings.Join(agents.Kinds, ", ")), hint: suggest(kind, agents.Kinds, "--runtime ")}
	}
	b, err := agentExamples.ReadFile("testdata/agents/" + kind + "/config.yaml")
	if err == nil {
		_, err = x.Stdout.Write(b)
	}
	return err
}

func agentRemoveVerb(env Env) *cli.Command {
	return verb(env, "rm,remove,delete", "NAME", "remove an agent of a profile; its tasks stay", "Example:\n  hermes agent rm clock --yes",
		[]cli.Flag{flag("yes", "y", "do not ask")}, func(_ context.Context, x *call) error {
			a, err := x.args(1, 1, "the name of an agent")
			if err != nil {
				return err
			}
			_, dir, err := x.configFolder()
			if err != nil {
				return err
			}
			names, err := agents.List(dir)
			if err != nil {
				return err
			}
			if !slices.Contains(names, a[0]) {
				return &boards.Rejection{Code: boards.CodeNotFound, Detail: "there is no agent " + a[0], Hint: suggest(a[0], names, "")}
			}
			if err := x.confirm("remove the agent "+a[0], a[0]); err != nil {
				return err
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer root.Close()
			if err := root.RemoveAll(filepath.Join("agents", a[0])); err != nil {
				return err
			}
			if x.json() {
				return x.emit(map[string]string{"removed": a[0]})
			}
			fmt.Fprintf(x.Stdout, "agent %s is gone\n", a[0])
			return nil
		})
}
