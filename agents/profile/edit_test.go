package profile

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const written = `# Acme Ltd.
boards: [acme]   # theirs
board: acme # the main one

terminal:
  # not on the host
  backend: bubblewrap
  mounts:
    - /srv/acme
  # the end of terminal

# who may write
telegram: {allow: [{id: "42"}]}
# the end
`

func TestSet(t *testing.T) {
	for _, c := range []struct {
		name, file, path, value string
		want                    []string // lines that must be there, in order
		gone                    string
	}{
		{"empty file", "", "terminal.cwd", "/srv/a", []string{"terminal:", "  cwd: /srv/a"}, ""},
		{"comments only", "# nothing yet\n", "board", "acme", []string{"# nothing yet", "board: acme"}, ""},
		{"a comment on the line stays", written, "board", "beta", []string{"# Acme Ltd.", "boards: [acme]   # theirs", "board: beta # the main one", ""}, "board: acme"},
		{"a value in a block", written, "terminal.backend", "docker", []string{"  # not on the host", "  backend: docker", "  mounts:"}, "bubblewrap"},
		{"a new key in a block", written, "terminal.network", "proxy", []string{"    - /srv/acme", "  # the end of terminal", "# who may write"}, ""},
		{"a new object", written, "agent.disabled_toolsets", `["flowzap","creative","media"]`, []string{"# the end", "agent:", "  disabled_toolsets:", "    - flowzap", "    - creative", "    - media"}, ""},
		{"a list over a list", written, "terminal.mounts", `["/a", "/b"]`, []string{"  mounts:", "    - /a", "    - /b", "  # the end of terminal"}, "/srv/acme"},
		{"one word is a list of one", written, "boards", "beta", []string{"boards:   # theirs", "  - beta", "board: acme # the main one"}, "[acme]"},
		{"a line is written anew as a block", written, "telegram.server", "https://bots.example.com", []string{"telegram:", "# the end"}, "{allow"},
		{"a number", written, "chat.rate_per_minute", "20", []string{"chat:", "  rate_per_minute: 20"}, ""},
		{"a text that looks like something else", written, "tenant", "123", []string{`tenant: "123"`}, ""},
		{"a name in a map", written, "terminal.env.LANG", "C.UTF-8", []string{"  env:", "    LANG: C.UTF-8"}, ""},
		{"no line end at the end", "board: acme", "tenant", "x", []string{"board: acme", "tenant: x"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := Set([]byte(c.file), c.path, c.value)
			if err != nil {
				t.Fatal(err)
			}
			rest := strings.Split(string(b), "\n")
			for _, want := range c.want {
				i := 0
				for i < len(rest) && rest[i] != want {
					i++
				}
				if i == len(rest) {
					t.Fatalf("line %q is missing or out of order in\n%s", want, b)
				}
				rest = rest[i+1:]
			}
			if c.gone != "" && strings.Contains(string(b), c.gone) {
				t.Errorf("%q is still in\n%s", c.gone, b)
			}
		})
	}
}

func TestSetRefused(t *testing.T) {
	for _, c := range []struct{ file, path, value, want, near string }{
		{"", "terminal.bakend", "docker", "no such key", "terminal.backend"},
		{"", "cwd", "/x", "no such key", "terminal.cwd"},
		{"", "chat.rate_per_minute", "many", "whole number", ""},
		{"", "telegram.allow", `[{"idd": "4"}]`, `unknown key "idd"; did you mean id?`, ""},
		{"", "telegram.allow", `[{"id": "4", "role": "boss"}]`, "none of owner, member, viewer", ""},
		{"", "agent.disabled_toolsets", `["a"`, "YAML or JSON", ""},
		{"", "terminal.cwd", "../x", "clean absolute path", ""},
		{"", "terminal.network", "some", "network", ""},
		{"", "boards", "A B", "not the name of a board", ""},
		{"", "telegram.token", "123456789:AAsecretsecretsecretsecretsecretsecret", "not the token itself", ""},
		{"board: [\n", "board", "x", "line", ""},
		{"a: 1\n---\nb: 2\n", "board", "x", "several documents", ""},
	} {
		_, err := Set([]byte(c.file), c.path, c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got %v, want %q", c.path, c.value, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), "AAsecret") {
			t.Errorf("the error shows the value: %v", err)
		}
		var key *KeyError
		if errors.As(err, &key) && key.Near != c.near {
			t.Errorf("%s: got near %q, want %q", c.path, key.Near, c.near)
		}
	}
}

func TestUnset(t *testing.T) {
	for _, c := range []struct{ path, gone, stays string }{
		{"board", "board: acme", "boards: [acme]"},
		{"terminal.backend", "backend", "mounts"},
		{"terminal", "backend", "# who may write"},
		{"telegram.allow", "42", "# who may write"},
		{"tenant", "tenant", "board: acme"},
	} {
		b, err := Unset([]byte(written), c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
		} else if strings.Contains(string(b), c.gone) || !strings.Contains(string(b), c.stays) {
			t.Errorf("%s: got\n%s", c.path, b)
		}
	}
	b, err := Unset([]byte("terminal:\n  cwd: /x\nboard: a\n"), "terminal.cwd")
	if diff := cmp.Diff("board: a\n", string(b)); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// TestKeys wants words for every key, so that config schema tells them all.
func TestKeys(t *testing.T) {
	keys := Keys()
	for _, k := range keys {
		if k.About == "" {
			t.Errorf("%s (%s) is not described", k.Path, k.Type)
		}
	}
	if len(keys) < 35 {
		t.Errorf("got %d keys, want all of them", len(keys))
	}
}

func TestGet(t *testing.T) {
	var c Config
	if err := ParseConfig([]byte(written), &c); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{"board": "acme", "terminal.backend": "bubblewrap", "terminal.mounts": []any{"/srv/acme"}} {
		got, ok, err := c.Get(path)
		if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
			t.Errorf("%s: %s %v %v", path, diff, ok, err)
		}
	}
	if _, ok, err := c.Get("terminal.cwd"); ok || err != nil {
		t.Errorf("got %v, %v for a key that is not set", ok, err)
	}
}

// FuzzSet: whatever the file, Set loses nothing of it or refuses.
func FuzzSet(f *testing.F) {
	f.Add(written, "terminal.backend", "docker")
	f.Add("", "boards", "[a, b]")
	f.Add("terminal: {backend: x}\n", "terminal.cwd", "/x")
	f.Add("chat:\n- x\n", "chat.digest", "07:30")
	f.Fuzz(func(t *testing.T, file, path, value string) {
		b, err := Set([]byte(file), path, value)
		if err != nil {
			return
		}
		var c Config
		if err := ParseConfig(b, &c); err != nil {
			t.Fatalf("wrote what cannot be read: %v\n%s", err, b)
		}
		if first, _, _ := strings.Cut(file, "\n"); strings.HasPrefix(first, "# ") && !strings.HasPrefix(string(b), first) {
			t.Fatalf("the comment %q is lost in\n%s", first, b)
		}
	})
}

// TestEditTogether: of many who change a file at once, none loses what another wrote.
func TestEditTogether(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, ConfigFile), written)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			key := fmt.Sprintf("terminal.env.V%d", i)
			if err := EditConfig(dir, func(file []byte) ([]byte, error) { return Set(file, key, "x") }); err != nil {
				t.Error(err)
			}
			if err := EditSecrets(dir, func(s *Secrets) error { return s.Set(fmt.Sprintf("S%d_KEY", i), NewSecret("y")) }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	b, err := readConfig(filepath.Join(dir, ConfigFile))
	var c Config
	if err := errors.Join(err, ParseConfig(b, &c)); err != nil || len(c.Terminal.Set) != 6 || !strings.Contains(string(b), "# not on the host") {
		t.Errorf("got %d variables, %v in\n%s", len(c.Terminal.Set), err, b)
	}
	s, err := LoadSecrets(dir)
	if err != nil || len(s.Names()) != 6 {
		t.Errorf("got %v, %v", s.Names(), err)
	}
}
