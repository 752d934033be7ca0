package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"
)

func TestSecretNeverShows(t *testing.T) {
	const value = "canary-7f3a"
	s := NewSecret(value)
	in := struct {
		Name string
		Key  Secret
		List []Secret
		Map  map[string]Secret
	}{"x", s, []Secret{s}, map[string]Secret{"k": s}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := zerolog.New(&log)
	logger.Info().Interface("a", in).Stringer("b", s).Str("c", fmt.Sprint(s)).Send()
	for _, got := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%+v %#v", in, in),
		string(b), fmt.Sprint(fmt.Errorf("key %v", s)), log.String(), s.String(),
	} {
		if strings.Contains(got, "canary") || strings.Contains(got, "63616e617279") || !strings.Contains(got, "***") {
			t.Errorf("got %s", got)
		}
	}
	if s.Reveal() != value || s.IsZero() || !(Secret{}).IsZero() {
		t.Error("it is not kept")
	}
}

func TestSecretsFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SecretsFile)
	const before = "# mine\nexport A=1\nB='two words'  # why\n\nC=\"a\\nb \\\" \\$x\"\nA=second\nD=plain # note\nE=\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := LoadSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "second", "B": "two words", "C": "a\nb \" $x", "D": "plain", "E": ""} {
		if got, ok := s.Get(name); !ok || got.Reveal() != want {
			t.Errorf("%s: got %q, %v, want %q", name, got.Reveal(), ok, want)
		}
	}
	if diff := cmp.Diff([]string{"A", "B", "C", "D", "E"}, s.Names()); diff != "" {
		t.Error(diff)
	}
	if err := s.Set("B", NewSecret("it's")); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("A", NewSecret("third")); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("NEW", NewSecret("x y")); err != nil {
		t.Fatal(err)
	}
	if !s.Unset("D") || s.Unset("D") {
		t.Error("got the wrong answer from Unset")
	}
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	if want := "# mine\nA=third\nB=\"it's\"\n\nC=\"a\\nb \\\" \\$x\"\nE=\nNEW='x y'\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v", info.Mode())
	}
}

func TestSecretsRefused(t *testing.T) {
	for content, want := range map[string]string{
		"A=1\nB 2\n": "line 2 is not NAME=value", "1A=x": "line 1 is not", "A='x": "single quotes", "A=\"x": "double quotes", "A=\"x\" y": "behind",
		"A='canary' b": "single quotes",
	} {
		_, err := parseSecrets([]byte(content))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v, want %q", content, err, want)
		}
	}
	dir := t.TempDir()
	if s, err := LoadSecrets(dir); err != nil || len(s.Names()) > 0 {
		t.Errorf("no file: got %v, %v", s, err)
	}
	path := filepath.Join(dir, SecretsFile)
	os.WriteFile(path, []byte("A=1\n"), 0o644)
	if _, err := LoadSecrets(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v for a file that others may read", err)
	}
	os.Remove(path)
	os.Symlink("/etc/passwd", path)
	if _, err := LoadSecrets(dir); err == nil {
		t.Error("a link was followed")
	}
}

// TestSecretsReadBack: any value is read back as it was set, beside others.
func TestSecretsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Secrets{}
		want := map[string]string{}
		for i := range rapid.IntRange(1, 5).Draw(t, "n") {
			name := fmt.Sprintf("K%d", i)
			value := rapid.StringMatching(`[ -~\n\t"'\\$#=äß]{0,20}`).Draw(t, "value")
			if err := s.Set(name, NewSecret(value)); err != nil {
				t.Fatal(err)
			}
			want[name] = value
		}
		var b strings.Builder
		for _, l := range s.lines {
			b.WriteString(l.raw + "\n")
		}
		again, err := parseSecrets([]byte(b.String()))
		if err != nil {
			t.Fatalf("%q: %v", b.String(), err)
		}
		for name, value := range want {
			if got, ok := again.Get(name); !ok || got.Reveal() != value {
				t.Fatalf("%s: got %q, want %q", name, got.Reveal(), value)
			}
		}
	})
}

func TestRedactor(t *testing.T) {
	var out bytes.Buffer
	r := NewRedactor(&out, NewSecret("hunter22"), NewSecret("hunter22-long"), NewSecret("abc"))
	for in, want := range map[string]string{
		"a hunter22 b\n":      "a *** b\n",
		"a hunter22-long b\n": "a *** b\n",
		"abc\n":               "abc\n", // too short to be told from a word
		"https://api.telegram.org/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX/getMe\n": "https://api.telegram.org/bot***/getMe\n",
		"token 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX.\n":                            "token ***.\n",
		"key " + "sk-" + "ant-api03-abcdefghijklmnop\n":                                     "key ***\n",
		"x-api-key: abcdefgh12\n":                                                           "***\n",
		"Authorization: Bearer eyJhbGciOiJI.UzI1NiJ9\n":                                     "Authorization: ***\n",
		"a task 12:30 at 22:00, event 861, sha 9f2c41d0, no secret\n":                       "a task 12:30 at 22:00, event 861, sha 9f2c41d0, no secret\n",
	} {
		out.Reset()
		n, err := r.Write([]byte(in))
		if err != nil || n != len(in) || out.String() != want {
			t.Errorf("%q: got %q, %d, %v, want %q", in, out.String(), n, err, want)
		}
	}
}
