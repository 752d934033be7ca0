package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
)

func TestParseSlug(t *testing.T) {
	long := strings.Repeat("a", MaxSlugBytes)
	for in, want := range map[string]string{
		"a": "a", "7": "7", "Acme": "acme", "acme-2_b": "acme-2_b", "a--": "a--", long: long,
		"": "", "../x": "", ".": "", "..": "", "a/b": "", "a b": "", "-a": "", "_archived": "", ".new-x": "",
		"a.b": "", "é": "", "a\x00": "", "a\n": "", "\xff": "", long + "a": "", "current": "", "CURRENT": "",
	} {
		got, err := ParseSlug(in)
		var slugErr *SlugError
		if want == "" && (!errors.As(err, &slugErr) || slugErr.Slug != in || slugErr.Why == "") {
			t.Errorf("ParseSlug(%q): got %q, %v, want a SlugError", in, got, err)
		}
		if want != "" && (got != want || err != nil) {
			t.Errorf("ParseSlug(%q): got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestOpenHome(t *testing.T) {
	h := newHome(t)
	for _, dir := range []string{"", "boards", "anchors", "run"} {
		info, err := os.Stat(filepath.Join(h.Dir(), dir))
		if err != nil || info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("folder %q: got %v, %v, want mode 0700", dir, info.Mode(), err)
		}
	}
	again, err := OpenHome(h.Dir(), nil)
	fatal(t, err)
	fatal(t, again.Close())
}

func TestOpenHomeRefusesOthers(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"boards readable":    func(dir string) error { return os.Mkdir(filepath.Join(dir, "boards"), 0o755) },
		"boards a link":      func(dir string) error { return os.Symlink("/tmp", filepath.Join(dir, "boards")) },
		"run a file":         func(dir string) error { return os.WriteFile(filepath.Join(dir, "run"), nil, 0o600) },
		"writable by others": func(dir string) error { return os.Chmod(dir, 0o777) },
	} {
		dir := t.TempDir()
		fatal(t, spoil(dir))
		var homeErr *HomeError
		if _, err := OpenHome(dir, nil); !errors.As(err, &homeErr) {
			t.Errorf("%s: got %v, want a HomeError", name, err)
		}
	}
}

func TestOpenHomeLeavesPythonAlone(t *testing.T) {
	for _, sign := range []string{"kanban.db", "hermes_cli", "hermes-agent/hermes_cli"} {
		dir := t.TempDir()
		fatal(t, os.MkdirAll(filepath.Join(dir, sign), 0o700))
		_, err := OpenHome(dir, nil)
		var python *PythonHomeError
		if !errors.As(err, &python) || python.Found != sign || !strings.Contains(python.Hint(), "--home") {
			t.Errorf("%s: got %v, want a PythonHomeError", sign, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s: the home was written to: %v", sign, entries)
		}
	}
}

func TestCurrent(t *testing.T) {
	h := newHome(t)
	if got, err := h.Current(); got != "" || err != nil {
		t.Errorf("got %q, %v, want none", got, err)
	}
	if err := h.SetCurrent("acme"); !errors.Is(err, ErrNoBoard) {
		t.Errorf("unknown board: got %v, want ErrNoBoard", err)
	}
	makeBoard(t, h, "acme", 1)
	fatal(t, h.SetCurrent("Acme"))
	if got, err := h.Current(); got != "acme" || err != nil {
		t.Errorf("got %q, %v, want acme", got, err)
	}
	writeFile(t, filepath.Join(h.dir, "boards", "current"), []byte("../x"))
	var slugErr *SlugError
	if _, err := h.Current(); !errors.As(err, &slugErr) {
		t.Errorf("pointer out of the home: got %v, want a SlugError", err)
	}
}

func TestSocketPath(t *testing.T) {
	base, err := os.MkdirTemp("", "s")
	fatal(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	id := ulid.MustParse("01JD8RSZ3Y0123456789ABCDEF")
	const name = "456789abcdef.sock"
	long := filepath.Join(base, strings.Repeat("d", 100))
	runtime := filepath.Join(base, "rt")
	fatal(t, os.Mkdir(runtime, 0o700))

	path := func(dir string, o HomeOptions) (string, error) {
		h, err := OpenHome(dir, &o)
		fatal(t, err)
		defer h.Close()
		return h.SocketPath(id)
	}
	uid := "hermes-" + strconv.Itoa(os.Geteuid())
	for _, tt := range []struct {
		name, home string
		o          HomeOptions
		want       string
	}{
		{"short", filepath.Join(base, "h"), HomeOptions{RuntimeDir: runtime}, filepath.Join(base, "h", "run", name)},
		{"runtime", long, HomeOptions{RuntimeDir: runtime}, filepath.Join(runtime, "hermes", name)},
		{"no runtime", long, HomeOptions{TempDir: base}, filepath.Join(base, uid, name)},
		{"runtime gone", long, HomeOptions{RuntimeDir: "/nowhere", TempDir: base}, filepath.Join(base, uid, name)},
	} {
		got, err := path(tt.home, tt.o)
		if got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if info, err := os.Stat(filepath.Dir(got)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: the socket's folder: got %v, want mode 0700", tt.name, err)
		}
	}
	fatal(t, os.Chmod(filepath.Join(base, uid), 0o777))
	if got, err := path(long, HomeOptions{TempDir: base}); err == nil {
		t.Errorf("folder of others: got %q, want an error", got)
	}
	if got, err := path(long, HomeOptions{TempDir: long}); err == nil {
		t.Errorf("all too long: got %q, want an error", got)
	}
}

func TestErrorsSpeakPlainly(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&NoBoardError{"acme"}, `no board "acme"`},
		{&ExistsError{"acme"}, `board "acme" exists already`},
		{&HeldError{Slug: "acme", Holder: Holder{PID: 4242}}, `board "acme" is held by process 4242`},
		{&HeldError{Slug: "acme"}, `board "acme" is held by another process`},
		{&SlugError{"../x", "why"}, `"../x" is not a board name: why`},
		{&HomeError{"/h", "is not a folder"}, `home /h: is not a folder`},
		{&PythonHomeError{"/h", "kanban.db"}, `home /h belongs to the Python system (it holds kanban.db) and is left alone`},
		{&TooLargeError{5}, `artifact is larger than 5 bytes`},
		{&QuarantinedError{Slug: "acme", Problem: RolledBack, Detail: "its log ends at 811", MissingFrom: 812, MissingTo: 940},
			`board "acme" is quarantined (rolled_back): its log ends at 811; events 812–940 were acknowledged and are gone`},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
