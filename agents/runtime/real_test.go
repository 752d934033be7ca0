//go:build linux

package runtime

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/sandbox/bwrapbox"
)

// real are the programs themselves, as npm brings them.
var real = map[string]struct {
	pkg, file string
	agent     agents.Agent
	more      []string // other APIs it can call its model by
}{
	"claude": {"@anthropic-ai/claude-code", "@anthropic-ai/claude-code-linux-x64/claude",
		agents.Agent{Runtime: agents.Runtime{Kind: "claude", Model: "claude-sonnet-5-5"}, Endpoint: &agents.Endpoint{Kind: agents.Anthropic}}, nil},
	"codex": {"@openai/codex", "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex",
		agents.Agent{Runtime: agents.Runtime{Kind: "codex", Model: "gpt-5.5"}, Endpoint: &agents.Endpoint{Kind: agents.OpenAIResponses}}, nil},
	"opencode": {"opencode-ai", "opencode-linux-x64/bin/opencode",
		agents.Agent{Runtime: agents.Runtime{Kind: "opencode", Model: "some-model"}, Endpoint: &agents.Endpoint{Kind: agents.OpenAIChat}}, []string{agents.Anthropic, agents.OpenAIResponses}},
}

// TestReal runs the cases with the programs themselves, in bubblewrap, without
// any network.
func TestReal(t *testing.T) {
	if os.Getenv("HERMES_TEST_AGENTS") == "" {
		t.Skip("HERMES_TEST_AGENTS is not set")
	}
	box := bwrapbox.New(nil)
	if r := box.Probe(t.Context()); !r.Available {
		t.Fatal(r.Reason)
	}
	if _, err := exec.LookPath("npm"); err != nil || runtime.GOARCH != "amd64" {
		if os.Getenv("CI") == "true" {
			t.Fatal("npm and amd64 are wanted")
		}
		t.Skip("npm and amd64 are wanted: ", err, runtime.GOARCH)
	}
	kinds, programs := slices.Sorted(maps.Keys(real)), map[string]string{}
	for _, kind := range kinds { // before any is run: that npm fails says nothing about us
		programs[kind] = installed(t, real[kind].pkg+"@"+version(kind), real[kind].file)
	}
	for _, kind := range kinds {
		p, program := real[kind], programs[kind]
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			hermes := builtHermes(t)
			out, err := exec.Command(program, "--version").Output()
			a, _ := For(kind)
			if err == nil {
				err = a.Version().Check(&p.agent, string(out))
			}
			if err != nil {
				t.Fatal(err)
			}
			s := subject{agent: p.agent, bench: func(t *testing.T, a agents.Agent) *bench {
				b := newBench(t, box, a)
				b.hermes, b.program = hermes, program
				return b
			}}
			s.test(t)
			t.Run("Skills", func(t *testing.T) { testSkills(t, s) })
			for _, api := range p.more {
				t.Run(api, func(t *testing.T) {
					s.agent.Endpoint = &agents.Endpoint{Kind: api}
					testComplete(t, s)
				})
			}
		})
	}
}

func version(kind string) string { return adapters[kind].Version().Tested }

// installed is a program of an npm package, put into the folder that
// HERMES_TEST_AGENTS_CACHE names, or one for this test.
func installed(t *testing.T, pkg, file string) string {
	t.Helper()
	cache := os.Getenv("HERMES_TEST_AGENTS_CACHE")
	if cache == "" {
		cache = t.TempDir()
	}
	program := filepath.Join(cache, pkg, "node_modules", file)
	if _, err := os.Stat(program); err == nil {
		return program
	}
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", filepath.Join(cache, pkg), pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm: %v\n%s", err, out)
	}
	return program
}

var build struct {
	sync.Once
	path string
	err  error
}

// builtHermes is the real program: that of HERMES_TEST_BIN, or built once.
func builtHermes(t *testing.T) string {
	t.Helper()
	build.Do(func() {
		if build.path = os.Getenv("HERMES_TEST_BIN"); build.path != "" {
			return
		}
		dir, err := os.MkdirTemp("", "hermes")
		if err != nil {
			build.err = err
			return
		}
		removeAtEnd(dir)
		build.path = filepath.Join(dir, "hermes")
		cmd := exec.Command("go", "build", "-o", build.path, "../../cmd/hermes")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}
