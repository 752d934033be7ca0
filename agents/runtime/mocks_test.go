//go:build linux

package runtime

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/runtime/runtimetest"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// TestMocks runs the cases with imitations.
func TestMocks(t *testing.T) {
	for kind := range runtimetest.Programs {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			subject{agent: real[kind].agent, bench: func(t *testing.T, a agents.Agent) *bench {
				b := newBench(t, localbox.New(), a)
				b.hermes, b.program = self(t), filepath.Join(b.dir, kind)
				if err := os.Symlink(self(t), b.program); err != nil {
					t.Fatal(err)
				}
				return b
			}}.test(t)
		})
	}
}

// TestHermesAgent runs the cases with an imitation of the public Hermes agent,
// which writes for people: of what it spends, and of why it fails, only its
// endpoint knows.
func TestHermesAgent(t *testing.T) {
	s := subject{
		agent: agents.Agent{Runtime: agents.Runtime{Kind: "hermes", Command: agents.Argv{"/opt/hermes-agent/bin/hermes"}, Version: "0.19.0", Model: "some/model"},
			Endpoint: &agents.Endpoint{Kind: agents.OpenAIChat}},
		bench: func(t *testing.T, a agents.Agent) *bench {
			b := newBench(t, localbox.New(), a)
			b.hermes, b.program = self(t), filepath.Join(b.dir, "hermes-agent")
			if err := os.Symlink(self(t), b.program); err != nil {
				t.Fatal(err)
			}
			return b
		},
	}
	for name, run := range map[string]func(*testing.T, subject){
		"Question": testQuestion, "Hostile": testHostile, "NoTools": testNoTools, "Turns": testTurns, "OwnTools": testOwnTools,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, s)
		})
	}
	t.Run("Refused", func(t *testing.T) {
		t.Parallel()
		b := s.bench(t, s.agent)
		b.model.Script = script(reply{Status: 401, Type: "authentication_error", Say: "no"})
		if r := b.run(false); r.status.Success() || !strings.Contains(r.log+r.errs, "no") {
			t.Errorf("got %s", r)
		}
	})
	t.Run("Version", func(t *testing.T) {
		b := s.bench(t, s.agent)
		out, err := exec.Command(b.program, b.adapter.Version().Args...).Output()
		if err == nil {
			err = b.adapter.Version().Check(b.agent, string(out))
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// TestProgramOfPython: a script is taken if the program it is for lies beside
// it, and then its whole environment is shown.
func TestProgramOfPython(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	for name, text := range map[string]string{
		"pyvenv.cfg": "home = /usr/bin\n", "bin/hermes": "#!" + bin + "/python -I\n", "bin/other": "#!/usr/bin/env python3\n", "bin/elsewhere": "#!/opt/python\n", "bin/empty": "",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, ok := range map[string]bool{"hermes": true, "other": false, "elsewhere": false, "empty": false} {
		file := filepath.Join(bin, name)
		got, err := Program(python{}, &agents.Agent{Runtime: agents.Runtime{Kind: "hermes", Command: agents.Argv{file}, Version: "0.19.0"}}, "")
		if ok && (err != nil || got != file) || !ok && err == nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if got := ProgramMounts(filepath.Join(bin, "hermes")); !slices.Equal(got, []string{dir}) {
		t.Errorf("got %q shown, want the environment %s", got, dir)
	}
}
