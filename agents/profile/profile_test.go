package profile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	home := t.TempDir()
	put(t, filepath.Join(home, "profiles", "acme", ConfigFile), "boards: [acme, acme-2]\nboard: acme\nterminal:\n  backend: docker\ntelegram:\n  allow:\n    - {id: \"42\", role: owner}\n")
	put(t, filepath.Join(home, "profiles", "bare", ConfigFile), "# nothing yet\n")
	put(t, filepath.Join(home, "profiles", "Odd", ConfigFile), "")
	p, err := Load(home, "acme")
	if err != nil {
		t.Fatal(err)
	}
	if p.Config.Terminal.Backend != "docker" || p.Config.Telegram.Allow[0].Role != "owner" || p.Dir != filepath.Join(home, "profiles", "acme") {
		t.Errorf("got %+v", p)
	}
	names, err := List(home)
	if diff := cmp.Diff([]string{"default", "acme", "bare"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, c := range []struct {
		profile, board string
		may, all       bool
	}{
		{"acme", "acme", true, false}, {"acme", "acme-2", true, false}, {"acme", "beta", false, false},
		{"bare", "acme", false, false}, {"default", "acme", true, true}, {"", "beta", true, true},
	} {
		p, err := Load(home, c.profile)
		if err != nil {
			t.Fatal(err)
		}
		if p.MayOpen(c.board) != c.may || p.MayOpenAll() != c.all {
			t.Errorf("%s may open %s: got %v, all %v", c.profile, c.board, p.MayOpen(c.board), p.MayOpenAll())
		}
	}
}

func TestLoadRefused(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"none", "../acme", "Acme", "a/b", strings.Repeat("a", 65)} {
		if _, err := Load(home, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	put(t, filepath.Join(home, "profiles", "acme", ConfigFile), "board: acme\nbords: [x]\n")
	if _, err := Load(home, "acme"); err == nil || !strings.Contains(err.Error(), "line 2, column 1") || !strings.Contains(err.Error(), "bords") {
		t.Errorf("got %v, want line and column of the unknown key", err)
	}
	put(t, filepath.Join(home, "profiles", "acme", ConfigFile), "board: [\n")
	if _, err := Load(home, "acme"); err == nil {
		t.Error("malformed YAML was taken")
	}
	config := filepath.Join(home, "profiles", "acme", ConfigFile)
	os.Remove(config)
	os.Symlink("/etc/passwd", config)
	if _, err := Load(home, "acme"); err == nil {
		t.Error("a link was followed")
	}
}
