package profile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hermesboard/hermes/agents"
)

func TestCreate(t *testing.T) {
	home := t.TempDir()
	p, err := Create(home, "acme", Options{Config: Config{Boards: []string{"acme"}, Board: "acme"}})
	if err != nil {
		t.Fatal(err)
	}
	if !p.MayOpen("acme") || p.MayOpen("beta") || p.MayOpenAll() {
		t.Errorf("got %+v", p.Config)
	}
	var names []string
	filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, walkErr error) error {
		if walkErr != nil {
			t.Fatal(walkErr)
		}
		info, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		if want := fs.FileMode(0o600); !d.IsDir() && info.Mode().Perm() != want || d.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if path != p.Dir {
			names = append(names, d.Name())
		}
		return nil
	})
	if diff := cmp.Diff([]string{".env", "SOUL.md", "agents", "config.yaml", "cron", "logs", "skills"}, names); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"acme", "default", "Acme", "../x", ""} {
		if _, err := Create(home, name, Options{}); err == nil {
			t.Errorf("%q was made", name)
		}
	}
	if _, err := Create(home, "acme", Options{}); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
}

// TestCreateRace: of many who make the same profile one does, and nothing of
// the others is left.
func TestCreateRace(t *testing.T) {
	home := t.TempDir()
	var all sync.WaitGroup
	made := make(chan struct{}, 16)
	for range 16 {
		all.Go(func() {
			if _, err := Create(home, "acme", Options{}); err == nil {
				made <- struct{}{}
			} else if !errors.Is(err, ErrExists) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(filepath.Join(home, "profiles"))
	if len(made) != 1 || len(entries) != 2 || err != nil { // acme and the lock
		t.Errorf("made %d, left %v %v", len(made), entries, err)
	}
}

// canary is in everything of the cloned profile that a clone must not have.
const canary = "CANARY-7f3a"

func personal(t *testing.T, home string) {
	t.Helper()
	p, err := Create(home, "kai", Options{Config: Config{Boards: []string{"private"}, Description: "me"}, Soul: "I am Kai's."})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(p.Dir, ConfigFile), `# Kai
boards: [private]
tenant: CANARY-7f3a
terminal:
  backend: docker # keeps
  cwd: /srv/CANARY-7f3a
chat:
  digest: "07:30"
  routes: [{prefix: /x, board: private, assignee: CANARY-7f3a}]
telegram:
  allow: [{id: "42", name: CANARY-7f3a}]
webhooks: [{name: hook, url: "https://example.com/CANARY-7f3a", secret: HOOK_SECRET}]
`)
	put(t, filepath.Join(p.Dir, SecretsFile), "TELEGRAM_BOT_TOKEN=CANARY-7f3a\nHOOK_SECRET=CANARY-7f3a-hook\nOPENAI_KEY=CANARY-7f3a-key\n")
	put(t, filepath.Join(p.Dir, "logs", "gateway.log"), canary)
	put(t, filepath.Join(p.Dir, "cron", "x.yaml"), canary)
	put(t, filepath.Join(p.Dir, "state.db"), canary)
	put(t, filepath.Join(p.Dir, "recipes", "r.yaml"), "about: mine\n")
	put(t, filepath.Join(p.Dir, "skills", "s", "SKILL.md"), "a skill")
	put(t, filepath.Join(p.Dir, "agents", "a", "config.yaml"), "runtime: {kind: builtin, name: writer}\n")
	put(t, filepath.Join(home, "outside"), canary)
	if err := os.Symlink(filepath.Join(home, "outside"), filepath.Join(p.Dir, "skills", "link")); err != nil {
		t.Fatal(err)
	}
}

// everything reads all files of a folder.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b.WriteString(path + "\n" + string(text) + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestClone(t *testing.T) {
	home := t.TempDir()
	personal(t, home)
	p, err := Create(home, "acme", Options{From: "kai", Config: Config{Boards: []string{"acme"}}})
	if err != nil {
		t.Fatal(err)
	}
	all := everything(t, p.Dir)
	if strings.Contains(all, canary) || strings.Contains(all, "r.yaml") {
		t.Errorf("the clone has what is not its own:\n%s", all)
	}
	for _, want := range []string{"I am Kai's.", "a skill", "kind: builtin", "# keeps"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
	if p.Config.Terminal.Backend != "docker" || !slices.Equal(p.Config.Boards, []string{"acme"}) || p.Config.Chat.Digest != "07:30" {
		t.Errorf("got %+v", p.Config)
	}

	if p, err = Create(home, "beta", Options{From: "kai", All: true, Channels: true, Config: Config{Boards: []string{"beta"}}}); err != nil {
		t.Fatal(err)
	}
	s, err := LoadSecrets(p.Dir)
	if diff := cmp.Diff([]string{"HOOK_SECRET", "TELEGRAM_BOT_TOKEN"}, s.Names()); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if len(p.Config.Telegram.Allow) != 1 || len(p.Config.Webhooks) != 1 || p.Config.Tenant != "" || p.Config.Terminal.Cwd != "" {
		t.Errorf("got %+v", p.Config)
	}
	if all := everything(t, p.Dir); !strings.Contains(all, "about: mine") || strings.Contains(all, "state.db") || strings.Contains(all, "CANARY-7f3a-key") {
		t.Errorf("got\n%s", all)
	}
}

func TestRenameDeleteUse(t *testing.T) {
	home := t.TempDir()
	for _, n := range []string{"acme", "beta"} {
		if _, err := Create(home, n, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := Use(home, "acme"); err != nil || Sticky(home) != "acme" {
		t.Errorf("got %s %v", Sticky(home), err)
	}
	if err := Rename(home, "acme", "beta"); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
	if err := Rename(home, "acme", "gamma"); err != nil || Sticky(home) != "gamma" {
		t.Errorf("got %s %v", Sticky(home), err)
	}
	if err := Delete(home, "gamma"); err != nil || Sticky(home) != Default {
		t.Errorf("got %s %v", Sticky(home), err)
	}
	for _, n := range []string{"gamma", "../beta", "default"} {
		if err := Delete(home, n); err == nil {
			t.Errorf("%s was deleted", n)
		}
	}
	if err := Use(home, "nobody"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	names, err := List(home)
	if diff := cmp.Diff([]string{"default", "beta"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestExportImport(t *testing.T) {
	home := t.TempDir()
	personal(t, home)
	kai, err := Load(home, "kai")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Export(&b, kai); err != nil {
		t.Fatal(err)
	}
	p, err := Import(home, "copy", bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kai.Config, p.Config); diff != "" {
		t.Error(diff)
	}
	all := everything(t, p.Dir)
	if strings.Contains(all, "CANARY-7f3a-key") || strings.Contains(all, "gateway.log") || strings.Contains(all, "outside") || !strings.Contains(all, "a skill") {
		t.Errorf("got\n%s", all)
	}
	if _, err := Import(home, "", bytes.NewReader(b.Bytes())); !errors.Is(err, ErrExists) {
		t.Errorf("got %v", err)
	}
}

func TestImportRefused(t *testing.T) {
	home := t.TempDir()
	for _, h := range []tar.Header{
		{Name: "x/../../evil", Typeflag: tar.TypeReg}, {Name: "x/.env", Typeflag: tar.TypeReg}, {Name: "/etc/passwd", Typeflag: tar.TypeReg},
		{Name: "x/skills", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, {Name: "x/logs/a", Typeflag: tar.TypeReg}, {Name: "x/skills/../.env", Typeflag: tar.TypeReg},
	} {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		tw := tar.NewWriter(zw)
		if err := errors.Join(tw.WriteHeader(&h), tw.Close(), zw.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := Import(home, "x", &b); err == nil {
			t.Errorf("%s was taken", h.Name)
		}
	}
	if _, err := Import(home, "x", strings.NewReader("no archive")); err == nil {
		t.Error("no archive was taken")
	}
	if entries, _ := os.ReadDir(filepath.Join(home, "profiles")); len(entries) > 1 {
		t.Errorf("left %v", entries)
	}
}

func TestApply(t *testing.T) {
	p := &Profile{Name: "acme", Config: Config{Terminal: Terminal{Terminal: agents.Terminal{
		Backend: "docker", DockerImage: "debian", Set: map[string]string{"LANG": "C", "TZ": "UTC"}, Requires: []string{"files"}}}}}
	a := &agents.Agent{Runtime: agents.Runtime{Kind: "builtin"}, Terminal: agents.Terminal{Backend: "bubblewrap", Set: map[string]string{"LANG": "de"}}}
	if err := p.Apply(a); err != nil {
		t.Fatal(err)
	}
	want := agents.Terminal{Backend: "bubblewrap", DockerImage: "debian", Set: map[string]string{"LANG": "de", "TZ": "UTC"}, Requires: []string{"files"}}
	if diff := cmp.Diff(want, a.Terminal); diff != "" {
		t.Error(diff)
	}
	if p.Config.Terminal.Set["LANG"] != "C" {
		t.Error("the profile was changed")
	}

	p.Config.Agent.DisabledToolsets = []string{"file", "flowzap", "web"}
	for _, c := range []struct {
		kind        string
		tools, want []string
	}{
		{"builtin", nil, nil}, {"hermes", []string{"web", "memory"}, []string{"memory"}}, {"model", []string{"read", "write", "list", "shell"}, []string{"shell"}},
		{"claude", []string{"Read", "Bash(git log:*)", "WebFetch"}, []string{"Bash(git log:*)"}}, {"claude", nil, nil},
		{"codex", []string{"shell", "apply_patch"}, []string{"shell"}}, {"opencode", []string{"bash", "webfetch", "edit"}, []string{"bash"}},
	} {
		a := &agents.Agent{Name: "x", Runtime: agents.Runtime{Kind: c.kind, Tools: c.tools}}
		if err := p.Apply(a); err != nil || !slices.Equal(a.Runtime.Tools, c.want) {
			t.Errorf("%s: got %v %v, want %v", c.kind, a.Runtime.Tools, err, c.want)
		}
	}
	for _, off := range [][]string{nil, {}, {"web"}, {"skills"}, {"web", "skills"}} {
		p.Config.Agent.DisabledToolsets = off
		want := slices.Contains(off, "skills")
		for _, kind := range []string{"builtin", "claude", "hermes", "model"} {
			a := &agents.Agent{Name: "x", Runtime: agents.Runtime{Kind: kind, Tools: []string{}}}
			if err := p.Apply(a); err != nil || a.NoSkills != want {
				t.Errorf("%s without %v: got no skills: %t, %v; want %t", kind, off, a.NoSkills, err, want)
			}
		}
	}
	for _, c := range []struct {
		kind, want string
		tools, off []string
	}{
		{"command", "runtime command cannot honour that", nil, []string{"media"}},
		{"claude", "which group the tool Novelty of runtime claude belongs to is not known", []string{"Novelty"}, []string{"media"}},
		{"claude", "the tools of its board cannot be switched off", nil, []string{"kanban"}},
		{"builtin", "the tools of its board cannot be switched off", nil, []string{"kanban"}},
	} {
		var problem *agents.Problem
		p.Config.Agent.DisabledToolsets = c.off
		err := p.Apply(&agents.Agent{Name: "x", Runtime: agents.Runtime{Kind: c.kind, Tools: c.tools}})
		if !errors.As(err, &problem) || problem.Code != "agent_config" || !strings.Contains(problem.Detail, c.want) || !strings.Contains(problem.Detail, "agent.disabled_toolsets of profile acme") {
			t.Errorf("%s: got %v, want %q", c.kind, err, c.want)
		}
	}
}

// TestSoul: an agent without instructions is told the profile's.
func TestSoul(t *testing.T) {
	home := t.TempDir()
	p, err := Create(home, "acme", Options{Soul: "You work for Acme."})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := &agents.Endpoint{Kind: agents.Anthropic}
	for _, a := range []*agents.Agent{
		{Name: "plain", Runtime: agents.Runtime{Kind: "model", Model: "m"}, Endpoint: endpoint},
		{Name: "own", Runtime: agents.Runtime{Kind: "model", Model: "m"}, Endpoint: endpoint, Instructions: "You are the reviewer."},
		{Name: "none", Runtime: agents.Runtime{Kind: "builtin", Name: "writer"}},
	} {
		if err := agents.Save(p.Dir, a); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"plain": "You work for Acme.", "own": "You are the reviewer.", "none": ""} {
		a, err := p.Agent(name)
		if err != nil || a.Told != want {
			t.Errorf("%s: got %q %v, want %q", name, a.Told, err, want)
		}
	}
	put(t, filepath.Join(p.Dir, "SOUL.md"), strings.Repeat("x", maxSoul+1))
	var problem *agents.Problem
	if _, err := p.Agent("plain"); !errors.As(err, &problem) || problem.Code != "agent_config" {
		t.Errorf("got %v", err)
	}
}

func TestSkills(t *testing.T) {
	home := t.TempDir()
	p, err := Create(home, "acme", Options{})
	if err != nil {
		t.Fatal(err)
	}
	sync := func(want Synced) {
		t.Helper()
		got, err := SyncSkills(p.Dir)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	worker := filepath.Join(p.Dir, "skills", "kanban-worker", "SKILL.md")
	put(t, worker, "mine from the start\n")
	sync(Synced{Added: 2, Kept: 1})
	sync(Synced{Same: 2, Kept: 1})
	cited := filepath.Join(p.Dir, "skills", "cited-research")
	put(t, filepath.Join(cited, "SKILL.md"), "changed\n")
	sync(Synced{Same: 1, Kept: 2})
	os.RemoveAll(cited)
	sync(Synced{Same: 1, Kept: 1, Removed: 1})

	// One of an older program is brought up to date.
	old := filepath.Join(p.Dir, "skills", "kanban-orchestrator", "SKILL.md")
	put(t, old, "an older one\n")
	b, err := os.ReadFile(filepath.Join(p.Dir, "skills", manifestFile))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(p.Dir, "skills", manifestFile), strings.Replace(string(b), hashOf(bundledSkills()["kanban-orchestrator"]), hashOf([]byte("an older one\n")), 1))
	sync(Synced{Updated: 1, Kept: 1, Removed: 1})
	if b, err := os.ReadFile(worker); string(b) != "mine from the start\n" || err != nil {
		t.Errorf("what somebody wrote was overwritten: %q %v", b, err)
	}
	skills, err := Skills(p.Dir)
	if diff := cmp.Diff([]Skill{{Name: "kanban-orchestrator", Bundled: true}, {Name: "kanban-worker"}}, skills); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if diff := cmp.Diff([]string{"cited-research", "kanban-orchestrator", "kanban-worker"}, BundledSkills()); diff != "" {
		t.Error(diff)
	}
}

func TestHolds(t *testing.T) {
	home := t.TempDir()
	for _, n := range []string{"acme", "beta"} {
		if _, err := Create(home, n, Options{Config: Config{Boards: []string{n, "shared"}}}); err != nil {
			t.Fatal(err)
		}
	}
	// What is wrong in a configuration gives no board away.
	put(t, filepath.Join(home, "profiles", "torn", ConfigFile), "boards: [\n")
	put(t, filepath.Join(home, "profiles", "odd", ConfigFile), "boards: [odd-1]\nbord: x\n")
	for _, c := range []struct {
		profile, board string
		want           bool
	}{
		{"acme", "acme", true}, {"acme", "beta", false}, {"acme", "shared", true}, {"beta", "shared", true},
		{"default", "torn", false}, {"default", "odd-1", false}, {"default", "odd", true},
		{"default", "acme", false}, {"default", "shared", false}, {"default", "other", true}, {"acme", "other", false},
	} {
		p, err := Load(home, c.profile)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Holds(home)(c.board); got != c.want {
			t.Errorf("%s holds %s: got %v, want %v", c.profile, c.board, got, c.want)
		}
	}
}
