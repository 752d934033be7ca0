//go:build linux

package start

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/executable"
)

// box is a backend that only says what it can do.
type box struct {
	name   string
	can    driver.Capabilities
	broken string
	probes atomic.Int32
	starts atomic.Int32
}

func (b *box) Name() string                      { return b.name }
func (b *box) Capabilities() driver.Capabilities { return b.can }
func (b *box) Cgroup(string) string              { return "" }
func (b *box) Layout(*driver.Spec) driver.Layout { return driver.Layout{} }
func (b *box) Probe(context.Context) driver.Report {
	b.probes.Add(1)
	return driver.Report{Available: b.broken == "", Reason: b.broken}
}
func (b *box) Start(context.Context, *driver.Spec) (driver.Session, error) {
	b.starts.Add(1)
	return nil, errors.New("not here")
}

func TestRoster(t *testing.T) {
	profile := t.TempDir()
	tool := filepath.Join(profile, "bin", "tool")
	if err := os.MkdirAll(filepath.Dir(tool), 0o700); err != nil {
		t.Fatal(err)
	}
	executable.Write(t, tool, []byte("#!/bin/sh\n"))
	if err := os.WriteFile(tool+".txt", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open := &box{name: "open", can: driver.NetworkFull | driver.Socket}
	shut := &box{name: "shut", can: driver.Files | driver.NetworkNone | driver.Socket}
	deaf := &box{name: "deaf", can: driver.Files | driver.NetworkNone}
	sick := &box{name: "sick", can: driver.Files | driver.NetworkNone | driver.Socket, broken: "no user namespaces"}
	boxes, err := sandbox.NewRegistry(sandbox.New(open), sandbox.New(shut), sandbox.New(deaf), sandbox.New(sick))
	if err != nil {
		t.Fatal(err)
	}
	if boxes, err = boxes.WithAlias("ajar", "open"); err != nil {
		t.Fatal(err)
	}
	r := &Roster{Profile: profile, Default: "shut", Sandboxes: boxes}
	command := func(argv ...string) agents.Runtime { return agents.Runtime{Kind: "command", Command: argv} }
	for _, tt := range []struct {
		name     string
		runtime  agents.Runtime
		terminal agents.Terminal
		code     string // empty = can be started
		words    string
	}{
		{"fine", command("sh"), agents.Terminal{}, "", ""},
		{"fine open", command("sh"), agents.Terminal{Backend: "open"}, "", ""},
		{"fine ajar", command("sh"), agents.Terminal{Backend: "ajar"}, "", ""},
		{"fine open full", command("sh"), agents.Terminal{Backend: "open", Network: "full"}, "", ""},
		{"builtin", agents.Runtime{Kind: "builtin", Name: "writer"}, agents.Terminal{}, "", ""},
		{"placeholder", command("{hermes}", "x"), agents.Terminal{}, "", ""},
		{"in the workspace", command("./run.sh"), agents.Terminal{}, "", ""},
		{"mounted", command(tool), agents.Terminal{Mounts: []string{filepath.Dir(tool)}}, "", ""},
		{"on its own path", command("tool"), agents.Terminal{Backend: "open", Set: map[string]string{"PATH": filepath.Dir(tool)}}, "", ""},
		{"no program", command("no-such-program"), agents.Terminal{}, "runtime_missing", "no-such-program"},
		{"no file", command("/no/such"), agents.Terminal{}, "runtime_missing", "/no/such"},
		{"no program, a file", command(tool + ".txt"), agents.Terminal{Backend: "open"}, "runtime_missing", "not a program"},
		{"not visible", command(tool), agents.Terminal{}, "runtime_missing", "terminal.mounts"},
		{"only on the host's path", command("tool"), agents.Terminal{Backend: "open"}, "runtime_missing", `"tool"`},
		{"unknown sandbox", command("sh"), agents.Terminal{Backend: "moon"}, "sandbox_gap", "moon"},
		{"sick", command("sh"), agents.Terminal{Backend: "sick"}, "sandbox_gap", "sick no user namespaces"},
		{"requires", command("sh"), agents.Terminal{Backend: "open", Requires: []string{"files", "syscalls"}}, "sandbox_gap", "open files syscalls"},
		{"no network cannot be kept", command("sh"), agents.Terminal{Backend: "open", Network: "none"}, "sandbox_gap", "open network.none"},
		{"network cannot be given", command("sh"), agents.Terminal{Network: "full"}, "sandbox_gap", "shut network.full"},
		{"socket", command("sh"), agents.Terminal{Backend: "deaf"}, "sandbox_gap", "deaf socket"},
		{"sources", agents.Runtime{Kind: "builtin", Name: "writer", Sources: "/no/such"}, agents.Terminal{}, "agent_config", "/no/such"},
		{"mount", command("sh"), agents.Terminal{Mounts: []string{"/no/such"}}, "agent_config", "/no/such"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := agents.Save(profile, &agents.Agent{Name: "coder", Runtime: tt.runtime, Terminal: tt.terminal}); err != nil {
				t.Fatal(err)
			}
			a, err := r.Agent(t.Context(), "coder")
			var p *agents.Problem
			switch {
			case tt.code == "" && (err != nil || a.Terminal.Backend != "open" && a.Terminal.Backend != "shut"):
				t.Errorf("got %+v, %v, want it fine", a, err)
			case tt.code != "" && (!errors.As(err, &p) || p.Code != tt.code || p.Agent != "coder"):
				t.Errorf("got %v, want %s", err, tt.code)
			}
			for word := range strings.FieldsSeq(tt.words) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("got %q, want it to name %s", err, word)
				}
			}
		})
	}
	if _, err := r.Agent(t.Context(), "nobody"); err == nil || err.(*agents.Problem).Code != "agent_unknown" {
		t.Errorf("got %v, want agent_unknown", err)
	}
	for _, b := range []*box{open, shut, sick} {
		if n := b.probes.Load(); n != 1 {
			t.Errorf("%s was probed %d times, want once", b.name, n)
		}
	}
}

// TestFits: for a clone an agent needs git where it works. That is tried once,
// and only for those who are to work in one.
func TestFits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("git is not installed")
	}
	profile, bin := t.TempDir(), t.TempDir()
	executable.Write(t, filepath.Join(bin, "git"), []byte("#!/bin/sh\n"))
	open := &box{name: "open", can: driver.NetworkFull | driver.Socket}
	shut := &box{name: "shut", can: driver.Files | driver.NetworkNone | driver.Socket}
	boxes, err := sandbox.NewRegistry(sandbox.New(open), sandbox.New(shut))
	if err != nil {
		t.Fatal(err)
	}
	r := &Roster{Profile: profile, Sandboxes: boxes}
	for name, terminal := range map[string]agents.Terminal{
		"has":    {Backend: "open", Set: map[string]string{"PATH": bin}},
		"lacks":  {Backend: "open", Set: map[string]string{"PATH": profile}},
		"inside": {Backend: "shut"},
	} {
		if err := agents.Save(profile, &agents.Agent{Name: name, Runtime: agents.Runtime{Kind: "builtin", Name: "writer"}, Terminal: terminal}); err != nil {
			t.Fatal(err)
		}
	}
	repo := events.Workspace{Kind: events.Repo, Path: "/srv/code"}
	for range 2 {
		if err := r.Fits(t.Context(), "has", repo); err != nil {
			t.Errorf("got %v, want that it fits", err)
		}
		for _, name := range []string{"lacks", "inside"} {
			var p *agents.Problem
			if err := r.Fits(t.Context(), name, repo); !errors.As(err, &p) || p.Code != "runtime_missing" || !strings.Contains(p.Detail, "git") {
				t.Errorf("%s: got %v, want that git is missing", name, err)
			}
			if err := r.Fits(t.Context(), name, events.Workspace{Kind: events.Scratch}); err != nil {
				t.Errorf("%s: got %v without a repository", name, err)
			}
		}
	}
	if n := shut.starts.Load(); n != 1 {
		t.Errorf("it was tried %d times, want once", n)
	}
	if err := r.Fits(t.Context(), "nobody", repo); err == nil {
		t.Error("an agent that does not exist fits")
	}
}

// TestProbeCutOff: a probe that was cut off says nothing.
func TestProbeCutOff(t *testing.T) {
	b := &box{name: "b", can: driver.Files | driver.NetworkNone | driver.Socket, broken: "canceled"}
	boxes, err := sandbox.NewRegistry(sandbox.New(b))
	if err != nil {
		t.Fatal(err)
	}
	profile := t.TempDir()
	if err := agents.Save(profile, &agents.Agent{Name: "w", Runtime: agents.Runtime{Kind: "builtin", Name: "writer"}}); err != nil {
		t.Fatal(err)
	}
	r := &Roster{Profile: profile, Default: "b", Sandboxes: boxes}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Agent(ctx, "w"); err == nil {
		t.Error("got an agent from a probe that was cut off")
	}
	b.broken = ""
	if _, err := r.Agent(t.Context(), "w"); err != nil {
		t.Errorf("got %v, want it probed again", err)
	}
}

// claudish is a program that says a version, and a key's file.
func claudish(t *testing.T, dir, version string) string {
	t.Helper()
	file := filepath.Join(dir, "claude-"+version)
	executable.CopySelf(t, file)
	return file
}

// TestRosterModels: the program of an agent with a model must be there, be the
// version that is wanted, and its key must be found; otherwise nothing is claimed.
func TestRosterModels(t *testing.T) {
	profile := t.TempDir()
	open := &box{name: "open", can: driver.NetworkFull | driver.Socket}
	shut := &box{name: "shut", can: driver.Files | driver.NetworkNone | driver.NetworkFull | driver.Socket}
	boxes, err := sandbox.NewRegistry(sandbox.New(open), sandbox.New(shut))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		file := filepath.Join(profile, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write(".env", "GOOD=sk-good-key\nEMPTY=\n", 0o600)
	write("keyfile", "sk-in-a-file\n", 0o600)
	write("shown", "sk-in-a-file\n", 0o644)
	script := write("script", "#!/bin/sh\necho 2.1.330\n", 0o755)
	right, wrong := claudish(t, profile, "2.1.330"), claudish(t, profile, "2.0.0")
	for _, tt := range []struct {
		name       string
		program    string
		credential agents.Credential
		terminal   agents.Terminal
		code       string
		words      string
	}{
		{"fine", right, agents.Credential{Env: "GOOD"}, agents.Terminal{}, "", ""},
		{"key in a file", right, agents.Credential{File: "keyfile"}, agents.Terminal{}, "", ""},
		{"no key is wanted", right, agents.Credential{}, agents.Terminal{}, "", ""},
		{"missing key", right, agents.Credential{Env: "ACME_KEY"}, agents.Terminal{}, "agent_config", "ACME_KEY .env"},
		{"empty key", right, agents.Credential{Env: "EMPTY"}, agents.Terminal{}, "agent_config", "EMPTY"},
		{"missing file", right, agents.Credential{File: "nowhere"}, agents.Terminal{}, "agent_config", "nowhere"},
		{"file for all", right, agents.Credential{File: "shown"}, agents.Terminal{}, "agent_config", "chmod"},
		{"another version", wrong, agents.Credential{}, agents.Terminal{}, "runtime_missing", "2.0.0 2.1.330 npm"},
		{"a script", script, agents.Credential{}, agents.Terminal{}, "runtime_missing", "runtime.command"},
		{"missing", filepath.Join(profile, "nothing"), agents.Credential{}, agents.Terminal{}, "runtime_missing", "npm"},
		{"endpoint and full network", right, agents.Credential{}, agents.Terminal{Backend: "shut", Network: "full"}, "agent_config", "terminal.network"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.terminal.Backend = cmp.Or(tt.terminal.Backend, "open")
			a := &agents.Agent{Name: "coder", Terminal: tt.terminal, Runtime: agents.Runtime{Kind: "claude", Command: agents.Argv{tt.program}},
				Endpoint: &agents.Endpoint{Kind: agents.Anthropic, Credential: tt.credential}}
			if err := agents.Save(profile, a); err != nil {
				t.Fatal(err)
			}
			r := &Roster{Profile: profile, Default: "open", Sandboxes: boxes}
			for range 2 { // the second time from what is remembered
				_, err := r.Agent(t.Context(), "coder")
				var p *agents.Problem
				switch {
				case tt.code == "" && err != nil:
					t.Fatalf("got %v, want it fine", err)
				case tt.code != "" && (!errors.As(err, &p) || p.Code != tt.code):
					t.Fatalf("got %v, want %s", err, tt.code)
				}
				for word := range strings.FieldsSeq(tt.words) {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("got %q, want it to name %s", err, word)
					}
				}
				if err != nil && strings.Contains(err.Error(), "sk-") {
					t.Errorf("got %q, which shows a key", err)
				}
			}
		})
	}
}
