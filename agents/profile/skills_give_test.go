package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGiveSkills(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "skills")
	if got, err := GiveSkills(dir, to); got != nil || err != nil {
		t.Errorf("got %v, %v of a profile without skills", got, err)
	}
	put(t, filepath.Join(dir, "skills", "prices", "SKILL.md"), "---\nname: prices\ndescription: >\n  How prices\n  are compared.\n---\n# Prices\n")
	put(t, filepath.Join(dir, "skills", "prices", "run.sh"), "#!/bin/sh\n")
	put(t, filepath.Join(dir, "skills", "plain", "SKILL.md"), "No head.\n")
	put(t, filepath.Join(dir, "skills", "no skill", "SKILL.md"), "x")
	put(t, filepath.Join(dir, "skills", ".hidden", "SKILL.md"), "x")
	put(t, filepath.Join(dir, "skills", "empty", "other.md"), "x")
	put(t, filepath.Join(dir, "outside"), "CANARY-4c1e")
	for _, err := range []error{
		os.Chmod(filepath.Join(dir, "skills", "prices", "run.sh"), 0o755),
		os.Symlink(filepath.Join(dir, "outside"), filepath.Join(dir, "skills", "prices", "link.md")),
		os.Symlink(dir, filepath.Join(dir, "skills", "linked")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := GiveSkills(dir, to)
	want := []GivenSkill{{Name: "plain", Text: "No head.\n"}, {Name: "prices", About: "How prices are compared.", Text: "# Prices\n"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	var names []string
	err = filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(to, path)
			info, _ := d.Info()
			names = append(names, rel+" "+info.Mode().String())
		}
		return err
	})
	if diff := cmp.Diff([]string{"plain/SKILL.md -rw-------", "prices/SKILL.md -rw-------", "prices/run.sh -rwx------"}, names); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestGiveSkillsRefuses(t *testing.T) {
	for name, lay := range map[string]func(dir string) error{
		"is not a text": func(dir string) error { return os.WriteFile(filepath.Join(dir, "SKILL.md"), []byte{0xff, 0}, 0o600) },
		"more than 2000 files or 32 MiB": func(dir string) error {
			f, err := os.Create(filepath.Join(dir, "big"))
			if err != nil {
				return err
			}
			defer f.Close()
			return f.Truncate(maxSkillBytes + 1)
		},
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "skills", "s", "SKILL.md"), "x")
		if err := lay(filepath.Join(dir, "skills", "s")); err != nil {
			t.Fatal(err)
		}
		if got, err := GiveSkills(dir, filepath.Join(t.TempDir(), "to")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, %v, want %q", got, err, name)
		}
	}
}

func TestSplitSkill(t *testing.T) {
	for text, want := range map[string][2]string{
		"":                                   {"", ""},
		"---\n":                              {"", "---\n"},
		"---\ndescription: a\n":              {"", "---\ndescription: a\n"},
		"---\ndescription: [\n---\nx":        {"", "---\ndescription: [\n---\nx"},
		"---\nname: b\nother: 1\n---\n\nx\n": {"", "x\n"},
		"---\ndescription: \"a\\nb\"\n---\n": {"a b", ""},
		"---\ndescription: " + strings.Repeat("é", 300) + "\n---\nx": {strings.Repeat("é", 250) + "…", "x"},
	} {
		if about, rest := splitSkill(text); about != want[0] || rest != want[1] {
			t.Errorf("%q: got %q, %q, want %q", text, about, rest, want)
		}
	}
}
