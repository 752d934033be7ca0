//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/chat/chattest"
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
	ctx, cancel := context.WithTimeout(p.t.Context(), slowly(2*time.Minute))
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// ada is a client's owner.
var ada = chattest.User{ID: 7007, First: "Ada"}

// clientScripts are the four ways to serve clients: which boards each client's
// gateway holds, and where the prefixes of its chat lead.
var clientScripts = map[string]map[string]struct{ boards, engineering []string }{
	"one-client":       {"acme": {boards: []string{"acme"}}},
	"departments":      {"acme": {boards: []string{"acme", "acme-support"}, engineering: []string{"acme"}}},
	"many-clients":     {"acme": {boards: []string{"acme"}}, "beta": {boards: []string{"beta"}}, "gamma": {boards: []string{"gamma"}}},
	"many-departments": {"acme": {boards: []string{"acme", "acme-eng", "acme-support"}, engineering: []string{"acme-eng"}}, "beta": {boards: []string{"beta"}}},
}

// TestClientScripts carries them out, with real gateways, bots and agents: each
// client's bot answers of its own boards, and its agents read its own folder.
func TestClientScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole setups in processes")
	}
	for script, clients := range clientScripts {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			p := clientPlace(t)
			bots := map[string]*chattest.Telegram{}
			for name := range clients {
				bots[name] = chattest.NewTelegram(t)
				bots[name].Token = fmt.Sprintf("10000%02d:TEST-0123456789abcdefghijklmnopqrstu", len(bots))
				p.write(filepath.Join(p.dir, "tokens", name), bots[name].Token+"\n")
				p.write(filepath.Join(p.dir, "clients", name, "notes.md"), "# Notes\n\nBackups of "+name+" are made every night at two.\n")
			}
			p.env = append(p.env, "TOKENS="+filepath.Join(p.dir, "tokens"), fmt.Sprint("OWNER=", ada.ID))
			file, err := filepath.Abs(filepath.Join("testdata", "clients", script+".sh"))
			if err != nil {
				t.Fatal(err)
			}
			if out, err := p.shell(file); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for name, client := range clients {
				p.must("-p", name, "config", "set", "telegram.server", bots[name].URL)
				p.must("-p", name, "gateway", "restart")
				if got := strings.Fields(p.must("-p", name, "board", "list", "-q")); !slices.Equal(got, client.boards) {
					t.Errorf("%s opens %v, want %v", name, got, client.boards)
				}
				eventually(t, "the gateway of "+name+" holds its boards", func() bool {
					return strings.Count(p.must("-p", name, "gateway", "status"), "alive") == len(client.boards)
				})
			}
			for name, client := range clients {
				p.servesClient(name, bots[name])
				for _, board := range client.engineering {
					p.servesDepartments(board, bots[name])
				}
			}
			for name, bot := range bots {
				for other := range bots {
					if other != name && strings.Contains(bot.Transcript(), other) {
						t.Errorf("the chat of %s tells of %s", name, other)
					}
				}
			}
			// The operator's own gateway takes none of the clients' boards.
			p.must("board", "create", "own")
			p.must("gateway", "start")
			eventually(t, "the operator's gateway holds its board alone", func() bool {
				return strings.Contains(p.must("gateway", "status"), "profile default, holds 1 board\n")
			})
			p.must("gateway", "stop", "--now")
			for name := range clients {
				p.must("-p", name, "gateway", "stop", "--now")
			}
		})
	}
}

// servesClient has a client ask its bot for a task, which an agent does from
// what lies in the client's folder, and which the bot says is done.
func (p *place) servesClient(name string, bot *chattest.Telegram) {
	p.t.Helper()
	said := func(what ...string) func() bool {
		return func() bool {
			for _, m := range bot.Sent() {
				if !slices.ContainsFunc(what, func(w string) bool { return !strings.Contains(m.Text, w) }) {
					return true
				}
			}
			return false
		}
	}
	bot.Say(ada, chattest.Private(ada), `/kanban create "When are backups made?" --assignee researcher`)
	bot.Await(p.t, "the task is made", said("t1", "researcher"))
	eventually(p.t, "an agent of "+name+" has looked", func() bool { return strings.Contains(p.must("-p", name, "kanban", "list"), "1 done today") })
	bot.Await(p.t, "it is told", said("t1", "When are backups made?"))
	if found := p.must("-p", name, "kanban", "show", "t1", "--json"); !strings.Contains(found, "notes.md") {
		p.t.Errorf("the agent of %s handed nothing over:\n%s", name, found)
	}
	out := filepath.Join(p.dir, "got-"+name)
	p.must("-p", name, "kanban", "get", "t1", "-o", out)
	if b, err := os.ReadFile(filepath.Join(out, "notes.md")); err != nil || !strings.Contains(string(b), "Backups of "+name+" are made") {
		p.t.Errorf("the agent of %s did not read its folder: %v\n%s", name, err, b)
	}
	if b, err := p.shell("-c", name+" kanban list -q --status done"); err != nil || strings.TrimSpace(b) != "t1" { // by its own command
		p.t.Errorf("%s kanban list: %q %v", name, b, err)
	}
}

// servesDepartments uses the prefixes of a chat: one makes tasks, the other
// only looks.
func (p *place) servesDepartments(engineering string, bot *chattest.Telegram) {
	p.t.Helper()
	bot.Say(ada, chattest.Private(ada), "/engineering the door sticks")
	eventually(p.t, "a task for engineering", func() bool {
		return strings.Contains(p.must("kanban", "list", "--board", engineering, "--archived", "--json"), "the door sticks")
	})
	bot.Say(ada, chattest.Private(ada), "/support the bell is broken")
	n := bot.Count()
	bot.Say(ada, chattest.Private(ada), "/support list")
	bot.Await(p.t, "support can look", func() bool { return bot.Count() > n })
	if got := p.must("kanban", "list", "--board", "acme-support", "-q"); got != "" {
		p.t.Errorf("a prefix that only reads made %s", got)
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
