//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// clientPlace is an empty home whose commands are found in the path.
func clientPlace(t *testing.T) *place {
	t.Helper()
	p := emptyPlace(t, t.TempDir())
	p.env = slices.DeleteFunc(p.env, func(v string) bool { return strings.HasPrefix(v, "HERMES_BOARD=") || strings.HasPrefix(v, "PATH=") })
	p.env = append(p.env, "PATH="+filepath.Join(p.dir, ".local", "bin")+":"+os.Getenv("PATH"), "CLIENTS="+filepath.Join(p.dir, "clients"))
	backend := "local"
	if _, err := exec.LookPath("bwrap"); err == nil {
		backend = "bubblewrap"
	}
	p.env = append(p.env, "BACKEND="+backend)
	return p
}

// shell runs a script as a person does.
func (p *place) shell(args ...string) (out string, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), within(2*time.Minute))
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// TestClientScripts carries out the four ways to serve clients, with real
// gateways. None has a bot, and each says so.
func TestClientScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole setups in processes")
	}
	for script, want := range map[string]map[string][]string{ // boards by the profile that holds them
		"one-client":       {"acme": {"acme"}},
		"departments":      {"acme": {"acme", "acme-support"}},
		"many-clients":     {"acme": {"acme"}, "beta": {"beta"}, "gamma": {"gamma"}},
		"many-departments": {"acme": {"acme", "acme-eng", "acme-support"}, "beta": {"beta"}},
	} {
		t.Run(script, func(t *testing.T) {
			p := clientPlace(t)
			file, err := filepath.Abs(filepath.Join("testdata", "clients", script+".sh"))
			if err != nil {
				t.Fatal(err)
			}
			if out, err := p.shell(file); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for name, boards := range want {
				if got := strings.Fields(p.must("-p", name, "board", "list", "-q")); !slices.Equal(got, boards) {
					t.Errorf("%s opens %v, want %v", name, got, boards)
				}
				eventually(t, "the gateway of "+name+" holds its boards", func() bool {
					return strings.Count(p.must("-p", name, "gateway", "status"), "alive") == len(boards)
				})
				log := p.must("-p", name, "gateway", "logs")
				if !strings.Contains(log, "no chat: TELEGRAM_BOT_TOKEN is not set") {
					t.Errorf("the gateway of %s does not say that it has no chat:\n%s", name, log)
				}
				out, err := p.shell("-c", name+" kanban create 'what is there' --assignee nobody -q") // by its own command
				if err != nil || strings.TrimSpace(out) != "t1" {
					t.Errorf("%s kanban create: %q %v", name, out, err)
				}
			}
			// The operator's own gateway takes none of the clients' boards.
			p.must("board", "create", "own")
			p.must("gateway", "start")
			eventually(t, "the operator's gateway holds its board alone", func() bool {
				return strings.Contains(p.must("gateway", "status"), "profile default, holds 1 board\n")
			})
			p.must("gateway", "stop", "--now")
			for name := range want {
				p.must("-p", name, "gateway", "stop", "--now")
			}
		})
	}
}

// TestClientAddTakesBack: what was made before a step failed is gone.
func TestClientAddTakesBack(t *testing.T) {
	p := clientPlace(t)
	dir := filepath.Join(p.dir, "clients", "acme")
	_, errs, code := p.hermes("client", "add", "acme", "--dir", dir, "--backend", "local", "--digest", "late", "--no-start")
	if code != 1 || !strings.Contains(errs, "chat.digest") {
		t.Errorf("exit %d: %s", code, errs)
	}
	for _, path := range []string{dir, filepath.Join(p.dir, "profiles", "acme"), filepath.Join(p.dir, "boards", "acme"), filepath.Join(p.dir, ".local", "bin", "acme")} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	// What was there before stays.
	p.must("client", "add", "acme", "--dir", dir, "--backend", "local", "--no-start")
	p.hermes("client", "add", "acme", "--digest", "late", "--no-start", "--backend", "local")
	for _, path := range []string{dir, filepath.Join(p.dir, "profiles", "acme"), filepath.Join(p.dir, "boards", "acme")} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s is gone: %v", path, err)
		}
	}
}

// otherCanary is in every field of the board that another client must not see.
const otherCanary = "CANARY-19b2"

// asClient runs a command line in this process as the client acme.
func (p *place) asClient(board string, args ...string) (text string, code int) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	vars := map[string]string{"HERMES_HOME": p.dir, "HOME": p.dir, "HERMES_PROFILE": "acme", "HERMES_BOARD": board}
	env := Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(k string) string { return vars[k] },
		Dir: filepath.Join(p.dir, "boards", "beta"), User: "mallory"}
	code = run(ctx, env)
	return out.String(), code
}

// TestOneClientSeesNothingOfAnother tries every verb about boards and tasks on
// another client's board, in every way a board can be named. The answer is the
// same as for a board that does not exist.
func TestOneClientSeesNothingOfAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("starts hundreds of processes")
	}
	p := clientPlace(t)
	p.must("profile", "create", "acme", "--no-alias")
	p.must("profile", "create", "beta", "--no-alias", "--description", otherCanary)
	for _, args := range [][]string{
		{"create", otherCanary, "--body", otherCanary, "--tenant", otherCanary, "--assignee", "canary-19b2"}, {"create", otherCanary, "--triage"},
		{"comment", "t1", otherCanary}, {"block", "t1", otherCanary}, {"create", "a key", "--idempotency-key", otherCanary},
	} {
		p.must(append([]string{"-p", "beta", "kanban"}, args...)...)
	}
	tried := 0
	same := func(path []string, board string, args ...string) {
		t.Helper()
		var got [2]string
		var codes [2]int
		for i, name := range []string{"beta", "zeta"} {
			argv := slices.Clone(path)
			for _, a := range args {
				argv = append(argv, strings.ReplaceAll(a, "BOARD", name))
			}
			text, code := p.asClient(strings.ReplaceAll(board, "BOARD", name), argv...)
			if strings.Contains(strings.ToLower(text), strings.ToLower(otherCanary)) {
				t.Errorf("%v shows the canary:\n%s", argv, text)
			}
			got[i], codes[i] = strings.ReplaceAll(text, name, "BOARD"), code
		}
		if tried++; got[0] != got[1] || codes[0] != codes[1] {
			t.Errorf("%v %v (HERMES_BOARD=%s): forbidden and unknown differ: %d %q, %d %q", path, args, board, codes[0], got[0], codes[1], got[1])
		}
	}
	for _, path := range leaves(Tree(Env{}).Commands, nil) {
		switch path[0] {
		case "kanban":
			for _, words := range [][]string{{}, {"x"}} {
				same(path, "", append([]string{"--board", "BOARD", "t1"}, words...)...)
				if path[1] != "create" { // there it is a title
					same(path, "", append([]string{"BOARD/t1"}, words...)...)
				}
				same(path, "BOARD", append([]string{"t1"}, words...)...)
			}
			same(path, "BOARD")
			if path[1] == "boards" {
				same(path, "", "BOARD")
			}
		case "board":
			same(path, "", "BOARD")
			same(path, "", "--board", "BOARD")
			same(path, "BOARD")
			same(path, "", "BOARD", "--yes")
			same(path, "", "../boards/BOARD")
		case "status", "inbox", "cost", "stop":
			same(path, "BOARD")
			same(path, "", "--board", "BOARD")
		case "profile":
			same(path, "", "BOARD")
			same(path, "", "BOARD", "x")
		}
	}
	for _, args := range [][]string{{"status"}, {"inbox"}, {"board", "list"}, {"board", "list", "--all"}, {"kanban", "list", "-A"}, {"cost", "-A"},
		{"kanban", "stats", "-A"}, {"profile", "list"}, {"gateway", "status"}, {"skills", "sync"}, {"config", "list"}, {"agent", "list"}} {
		if text, _ := p.asClient("", args...); strings.Contains(strings.ToLower(text), "canary") || strings.Contains(text, "beta") {
			t.Errorf("%v shows the other client:\n%s", args, text)
		}
	}
	if tried < 300 {
		t.Errorf("tried %d ways, want all verbs", tried)
	}
	t.Logf("%d ways tried", tried)
}

// leaves are the verbs of a tree, each with the way to it.
func leaves(commands []*cli.Command, way []string) (out [][]string) {
	for _, c := range commands {
		path := append(slices.Clone(way), c.Name)
		if len(c.Subcommands) > 0 {
			out = append(out, leaves(c.Subcommands, path)...)
		} else {
			out = append(out, path)
		}
	}
	return out
}
