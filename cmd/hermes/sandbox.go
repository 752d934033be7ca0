package main

import (
	"context"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// cgroups is what this host offers; it does not change while the process lives.
var cgroups = sync.OnceValue(sandbox.DetectCgroups)

// sandboxes is the list of backends this program offers.
func sandboxes() (*sandbox.Registry, error) {
	return sandbox.NewRegistry(localbox.New(localbox.WithCgroups(cgroups())), bwrapbox.New(&bwrapbox.Options{Cgroups: cgroups()}))
}

func sandboxCommand(env Env) *cli.Command {
	return noun(env, "sandbox", "the sandboxes agents run in",
		verb(env, "list,ls", "", "list the backends and what each enforces here", "", nil, runSandboxList))
}

func runSandboxList(ctx context.Context, x *call) error {
	if err := sandbox.Supervise(); err != nil {
		return err
	}
	boxes, err := sandboxes()
	if err != nil {
		return err
	}
	type row struct {
		Name         string   `json:"name"`
		Available    bool     `json:"available"`
		Version      string   `json:"version,omitzero"`
		Reason       string   `json:"reason,omitzero"`
		Capabilities []string `json:"capabilities"`
		ProbeMS      int64    `json:"probe_ms"`
	}
	var rows []row
	for _, b := range boxes.All() {
		start := time.Now()
		rep := b.Probe(ctx)
		rows = append(rows, row{b.Name(), rep.Available, rep.Version, rep.Reason, b.Capabilities().Names(), time.Since(start).Milliseconds()})
	}
	if x.json() {
		return x.emit(rows)
	}
	out := [][]string{{"BACKEND", "HERE", "ENFORCES"}}
	for _, r := range rows {
		here := "works"
		if !r.Available {
			here = "no: " + line(r.Reason)
		} else if r.Version != "" {
			here = r.Version
		}
		enforces := warning(r.Name)
		if enforces == "" {
			boxes, _ := boxes.Get(r.Name)
			enforces = boxes.Capabilities().String()
		}
		out = append(out, []string{r.Name, here, enforces})
	}
	table(x.Stdout, x.Width, out)
	for _, p := range cgroups().Problems() {
		x.say("control groups: %s", line(p))
	}
	return nil
}

// warning says in words what a list of capabilities would hide.
func warning(name string) string {
	if name == "local" {
		return "NO ISOLATION: the agent runs as you and can reach your files, your network and this board's socket"
	}
	return ""
}
