package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/agents/worker"
)

// probeLimit is how long a person who changes a setting is kept waiting for
// what it will come to.
const probeLimit = 20 * time.Second

// checkBackend refuses a configuration with a sandbox that does not exist.
func checkBackend(file []byte) error {
	var c profile.Config
	if err := profile.ParseConfig(file, &c); err != nil || c.Terminal.Backend == "" {
		return err
	}
	known, err := sandboxes()
	if err != nil {
		return err
	}
	if _, err := known.Get(c.Terminal.Backend); err == nil {
		return nil
	}
	var names []string
	for _, b := range known.All() {
		names = append(names, b.Name())
	}
	return &profile.KeyError{Path: "terminal.backend", Why: fmt.Sprintf("unknown sandbox %q (%s)", c.Terminal.Backend, strings.Join(names, ", ")),
		Near: worker.Nearest(c.Terminal.Backend, names)}
}

// sayDoubts says what was set and will not come to what was meant: it was set
// all the same, because the rest may come later.
func (x *call) sayDoubts(ctx context.Context, dir, key string) {
	b, err := os.ReadFile(filepath.Join(dir, profile.ConfigFile))
	if err != nil {
		return
	}
	p := &profile.Profile{Dir: dir}
	if profile.ParseConfig(b, &p.Config) != nil {
		return
	}
	if key == "terminal.backend" && p.Config.Terminal.Backend == "local" {
		x.say("warning: the sandbox local isolates nothing: agents of this profile can read what every other client has here")
	}
	for _, doubt := range doubts(ctx, p, key) {
		x.say("warning: %s", line(doubt))
	}
}

// doubts are what of a profile's configuration will not come to what was meant
// on this host; of the key alone, or of those below it.
func doubts(ctx context.Context, p *profile.Profile, key string) (out []string) {
	about := func(k string) bool { return k == key || strings.HasPrefix(k, key+".") || strings.HasPrefix(key, k+".") }
	if cwd := p.Config.Terminal.Cwd; about("terminal.cwd") && cwd != "" {
		if info, err := os.Stat(cwd); err != nil || !info.IsDir() {
			out = append(out, fmt.Sprintf("terminal.cwd: there is no folder %s; make it: mkdir -p %s", cwd, shellQuote(cwd)))
		}
	}
	if about("terminal.backend") && p.Config.Terminal.Backend != "" {
		if doubt := backendDoubt(ctx, p); doubt != "" {
			out = append(out, doubt)
		}
	}
	if about("agent.disabled_toolsets") {
		known := profile.Toolsets()
		for _, set := range p.Config.Agent.DisabledToolsets {
			if near := worker.Nearest(set, known); near != "" && !slices.Contains(known, set) {
				out = append(out, fmt.Sprintf("agent.disabled_toolsets: no tools are known as %q; did you mean %s?", set, near))
			}
		}
	}
	return out
}

func backendDoubt(ctx context.Context, p *profile.Profile) string {
	name := p.Config.Terminal.Backend
	if name == "local" { // there is nothing that could fail
		return ""
	}
	known, err := sandboxes()
	if err != nil {
		return err.Error()
	}
	box, err := known.Open(name, p.Config.Terminal.Settings())
	if err != nil {
		return fmt.Sprintf("terminal.backend: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	if r := box.Probe(ctx); !r.Available {
		return fmt.Sprintf("terminal.backend: %s does not work here: %s", name, r.Reason)
	}
	return ""
}
