package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// backend is a row of hermes sandbox list.
type backend struct {
	Name         string   `json:"name"`
	Available    bool     `json:"available"`
	Version      string   `json:"version,omitzero"`
	Reason       string   `json:"reason,omitzero"`
	Capabilities []string `json:"capabilities"`
	Watched      []string `json:"watched"` // those of them that the supervisor looks after, and not the backend
	Settings     []string `json:"settings"`
	ProbeMS      int64    `json:"probe_ms"`
	StartMS      float64  `json:"start_ms,omitzero"` // this program, saying its version; the median of some
}

func runSandboxList(ctx context.Context, x *call) error {
	if _, err := x.args(0, 0, "no arguments"); err != nil {
		return err
	}
	if err := sandbox.Supervise(); err != nil {
		return err
	}
	boxes, err := sandboxes()
	if err != nil {
		return err
	}
	var rows []backend
	for _, b := range boxes.All() {
		rows = append(rows, describe(ctx, b))
	}
	if x.json() {
		return x.emit(rows)
	}
	out := [][]string{{"BACKEND", "HERE", "START", "ENFORCES"}}
	for _, r := range rows {
		here, start := "works", "–"
		if !r.Available {
			here = "no"
		} else if r.Version != "" {
			here = r.Version
		}
		if r.StartMS > 0 {
			start = fmt.Sprintf("%.0f ms", max(r.StartMS, 1))
		}
		enforces := warning(r.Name)
		if enforces == "" {
			enforces = strings.Join(r.marked(), ", ")
		}
		out = append(out, []string{r.Name, here, start, enforces})
	}
	table(x.Stdout, x.Width, out)
	fmt.Fprint(x.Stdout, watchedNote)
	for _, r := range rows {
		if !r.Available {
			x.say("%s does not work here: %s", r.Name, line(r.Reason))
		}
	}
	for _, r := range rows {
		if len(r.Settings) > 0 {
			x.say("%s takes terminal.%s", r.Name, strings.Join(r.Settings, ", "))
		}
	}
	for _, p := range cgroups().Problems() {
		x.say("control groups: %s", line(p))
	}
	return nil
}

// watchedNote says who holds what the backends do not.
const watchedNote = `* is measured by the supervisor of a run, which ends it when it has gone beyond.
With every backend the supervisor also ends a run after its longest runtime, and
bounds what it keeps of its output.
`

// marked are the capabilities, with a star where they are not the backend's.
func (b backend) marked() []string {
	names := slices.Clone(b.Capabilities)
	for i, name := range names {
		if slices.Contains(b.Watched, name) {
			names[i] += "*"
		}
	}
	return names
}

// warning says in words what a list of capabilities would hide.
func warning(name string) string {
	if name == "local" {
		return "NO ISOLATION: the agent runs as you and can reach your files, your network and this board's socket"
	}
	return ""
}

func describe(ctx context.Context, b *sandbox.Sandbox) backend {
	start := time.Now()
	report := b.Probe(ctx)
	row := backend{Name: b.Name(), Available: report.Available, Version: report.Version, Reason: report.Reason,
		Capabilities: b.Capabilities().Names(), Watched: append([]string{}, b.Watched().Names()...), Settings: settingKeys(b), ProbeMS: time.Since(start).Milliseconds()}
	if report.Available {
		row.StartMS = startCost(ctx, b)
	}
	return row
}

// settingKeys are the keys below terminal that the backend honours.
func settingKeys(b *sandbox.Sandbox) []string {
	keys := []string{}
	image := "docker_image"
	if b.Name() == "apptainer" {
		image = "singularity_image"
	}
	for _, s := range []struct {
		key, name string
		set       sandbox.Settings
	}{
		{image, "image", sandbox.Settings{Image: "/image"}},
		{"ssh_host", "host", sandbox.Settings{Host: "host.example"}},
		{"ssh_port", "port", sandbox.Settings{Port: 22}},
		{"ssh_user", "user", sandbox.Settings{User: "agent"}},
		{"ssh_key", "key", sandbox.Settings{Key: "/key"}},
		{"ssh_known_hosts", "known hosts", sandbox.Settings{KnownHosts: "/known_hosts"}},
	} {
		_, err := b.With(s.set)
		if refused, ok := errors.AsType[*sandbox.SettingError](err); !ok || refused.Setting != s.name {
			keys = append(keys, s.key)
		}
	}
	for _, s := range []struct {
		key  string
		need sandbox.Capabilities
	}{
		{"container_memory", driver.LimitMemory}, {"container_cpu", driver.LimitCPU},
		{"container_disk", driver.LimitDisk}, {"container_processes", driver.LimitProcesses},
	} {
		if b.Capabilities().Has(s.need) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// startCost is the median time in milliseconds of starting this program to say
// its version, and proving it gone; 0 if it could not be measured.
func startCost(ctx context.Context, b *sandbox.Sandbox) float64 {
	dir, err := os.MkdirTemp("", "hermes-cost-")
	if err != nil {
		return 0
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return 0
	}
	spec := &sandbox.Spec{Program: self, Workspace: dir}
	spec.Argv = []string{b.Layout(spec).Program, "version"} // an image may have no program of its own
	if !b.Capabilities().Has(driver.NetworkNone) {
		spec.Network = sandbox.FullNetwork
	}
	var took []float64
	for range 3 {
		start := time.Now()
		s, err := b.Start(ctx, spec)
		if err != nil {
			return 0
		}
		status, err := s.Wait()
		if closeErr := s.Close(); err != nil || closeErr != nil || !status.Success() {
			return 0
		}
		took = append(took, float64(time.Since(start).Microseconds())/1000)
	}
	slices.Sort(took)
	return took[len(took)/2]
}
