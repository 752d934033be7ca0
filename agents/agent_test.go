package agents

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

func config(t *testing.T, yaml string) (profile string) {
	t.Helper()
	profile = t.TempDir()
	dir := filepath.Join(profile, "agents", "coder")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return profile
}

func wantProblem(t *testing.T, err error, code string, words ...string) {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) || p.Code != code {
		t.Fatalf("got error %v, want a problem %s", err, code)
	}
	for _, w := range words {
		if !strings.Contains(p.Detail, w) {
			t.Errorf("got detail %q, want it to contain %q", p.Detail, w)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	const command = "runtime: {kind: command, command: [sh]}\n"
	for _, tt := range []struct{ name, yaml, word string }{
		{"empty", "", "runtime.kind is missing"},
		{"not YAML", "runtime: [", "config.yaml"},
		{"unknown key", command + "colour: red\n", "colour"},
		{"unknown key inside", "runtime: {kind: command, command: [sh], argv: [x]}\n", "argv"},
		{"key twice", command + command, "runtime"},
		{"wrong type", "runtime: {kind: command, command: {a: b}}\n", "command"},
		{"wrong type of a list", command + "terminal: {mounts: 5}\n", "mounts"},
		{"role", command + "role: boss\n", `"boss"`},
		{"kind", "runtime: {kind: magic}\n", `"magic"`},
		{"builtin name", "runtime: {kind: builtin, name: cook}\n", `"cook"`},
		{"builtin command", "runtime: {kind: builtin, name: writer, command: [x]}\n", "cannot honour runtime.command"},
		{"builtin model", "runtime: {kind: builtin, name: writer, model: m}\n", "cannot honour runtime.model"},
		{"sources relative", "runtime: {kind: builtin, name: writer, sources: docs}\n", `"docs"`},
		{"sources not clean", "runtime: {kind: builtin, name: writer, sources: /a/../b}\n", `"/a/../b"`},
		{"command empty", "runtime: {kind: command}\n", "runtime.command"},
		{"command first empty", "runtime: {kind: command, command: ['']}\n", "runtime.command"},
		{"command NUL", `runtime: {kind: command, command: [sh, "a\0b"]}` + "\n", "NUL"},
		{"command with name", "runtime: {kind: command, command: [sh], name: writer}\n", "runtime.name"},
		{"mount relative", command + "terminal: {mounts: [x]}\n", `"x"`},
		{"mount root", command + "terminal: {mounts: [/]}\n", `"/"`},
		{"mount slash at the end", command + "terminal: {mounts: [/opt/]}\n", `"/opt/"`},
		{"network", command + "terminal: {network: some}\n", `"some"`},
		{"requires", command + "terminal: {requires: [teleport]}\n", "teleport"},
		{"variable name", command + "terminal: {env_passthrough: ['A=B']}\n", "A=B"},
		{"variable of ours passed", command + "terminal: {env_passthrough: [HERMES_HOME]}\n", "HERMES_HOME"},
		{"variable of ours set", command + "terminal: {env: {HERMES_RUN: t9.9}}\n", "HERMES_RUN"},
		{"mark", command + "terminal: {env: {HERMES_MARK: x}}\n", "HERMES_MARK"},
		{"PWD", command + "terminal: {env: {PWD: /}}\n", "PWD"},
		{"set and passed", command + "terminal: {env: {A: b}, env_passthrough: [A]}\n", "also set"},
		{"huge", "description: " + strings.Repeat("x", maxConfigBytes) + "\n" + command, "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := Load(config(t, tt.yaml), "coder")
			if err == nil {
				t.Fatalf("got %+v, want a problem", a)
			}
			wantProblem(t, err, "agent_config", tt.word)
		})
	}
}

func TestValidateTellsAll(t *testing.T) {
	_, err := Load(config(t, "role: boss\nruntime: {kind: magic}\nterminal: {network: some}\n"), "coder")
	wantProblem(t, err, "agent_config", "boss", "magic", "some")
}

func TestLoadUnknown(t *testing.T) {
	profile := config(t, "runtime: {kind: command, command: [sh]}\n")
	for _, name := range []string{"", "nobody", "Coder", "../coder", "a/b", ".", "..", "-x", "a b", "a\x00", strings.Repeat("a", 65), "agént"} {
		_, err := Load(profile, name)
		wantProblem(t, err, "agent_unknown")
	}
	_, err := Load(filepath.Join(profile, "none"), "coder")
	wantProblem(t, err, "agent_unknown")
}

func TestLoadNoWayOut(t *testing.T) {
	outside := config(t, "runtime: {kind: command, command: [sh]}\n")
	for what, link := range map[string]func(profile string) error{
		"file": func(p string) error {
			if err := os.MkdirAll(filepath.Join(p, "agents", "coder"), 0o700); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(outside, "agents", "coder", "config.yaml"), filepath.Join(p, "agents", "coder", "config.yaml"))
		},
		"folder": func(p string) error {
			if err := os.MkdirAll(filepath.Join(p, "agents"), 0o700); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(outside, "agents", "coder"), filepath.Join(p, "agents", "coder"))
		},
		"all agents": func(p string) error { return os.Symlink(filepath.Join(outside, "agents"), filepath.Join(p, "agents")) },
	} {
		t.Run(what, func(t *testing.T) {
			profile := t.TempDir()
			if err := link(profile); err != nil {
				t.Fatal(err)
			}
			_, err := Load(profile, "coder")
			wantProblem(t, err, "agent_config", "escapes")
			if what == "file" {
				return // is replaced
			}
			if err := Save(profile, &Agent{Name: "coder", Runtime: Runtime{Kind: "command", Command: []string{"x"}}}); err == nil {
				t.Error("got an agent saved outside the profile, want an error")
			}
		})
	}
}

func TestLoadPipe(t *testing.T) {
	profile := config(t, "")
	file := filepath.Join(profile, "agents", "coder", "config.yaml")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Load(profile, "coder"); done <- err }()
	select {
	case err := <-done:
		wantProblem(t, err, "agent_config", "regular")
	case <-time.After(10 * time.Second):
		t.Fatal("a pipe instead of the file blocks")
	}
}

func TestSaveLoad(t *testing.T) {
	profile := t.TempDir()
	want := &Agent{
		Name: "coder-2", Dir: filepath.Join(profile, "agents", "coder-2"), Description: "writes: code\nand \"tests\" #1", Role: "reviewer",
		Runtime: Runtime{Kind: "command", Command: []string{"sh", "-c", "echo {run}; true", ""}, Model: "m-1"},
		Terminal: Terminal{Backend: "local", Mounts: []string{"/opt/x y"}, Env: []string{"LANG"}, Set: map[string]string{"A": "1", "B": ""},
			Network: "full", Requires: []string{"files"}},
	}
	for range 2 { // the second replaces the first
		if err := Save(profile, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(profile, "coder-2")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for path, mode := range map[string]os.FileMode{want.Dir: 0o700, filepath.Join(want.Dir, "config.yaml"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: got %v, %v, want mode %v", path, info.Mode(), err, mode)
		}
	}
	if err := os.MkdirAll(filepath.Join(profile, "agents", "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := List(profile)
	if err != nil || !reflect.DeepEqual(names, []string{"coder-2"}) {
		t.Errorf("got %v, %v, want the one agent", names, err)
	}
	if err := Save(profile, &Agent{Name: "../x", Runtime: want.Runtime}); err == nil {
		t.Error("got a name with .. saved, want an error")
	}
	if err := Save(profile, &Agent{Name: "x"}); err == nil {
		t.Error("got an agent without a runtime saved, want an error")
	}
	if names, err := List(t.TempDir()); names != nil || err != nil {
		t.Errorf("no agents: got %v, %v, want none", names, err)
	}
}

func TestSaveSmall(t *testing.T) {
	profile := t.TempDir()
	if err := Save(profile, &Agent{Name: "w", Runtime: Runtime{Kind: "builtin", Name: "writer"}}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(profile, "agents", "w", "config.yaml"))
	if want := "runtime:\n  kind: builtin\n  name: writer\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
