package workspace

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needGit skips where git, which these tests are about, is not installed.
func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
}

// plainGit runs git as a person would, with a repository's own configuration.
func plainGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := tryPlainGit(dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func tryPlainGit(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func commit(t *testing.T, dir, message string) string {
	t.Helper()
	plainGit(t, dir, "add", "-A")
	plainGit(t, dir, "commit", "-q", "--no-verify", "-m", message)
	return plainGit(t, dir, "rev-parse", "HEAD")
}

// newRepo is a repository with two commits on main, a tag on the first and a
// branch next.
func newRepo(t *testing.T) string {
	t.Helper()
	needGit(t)
	dir := filepath.Join(t.TempDir(), "source")
	write(t, filepath.Join(dir, "README"), "one\n", 0o644)
	write(t, filepath.Join(dir, "inputs", "of the project"), "mine\n", 0o644)
	plainGit(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, "first")
	plainGit(t, dir, "tag", "-a", "-m", "a tag", "v1")
	write(t, filepath.Join(dir, "README"), "two\n", 0o644)
	write(t, filepath.Join(dir, "bin", "run"), "#!/bin/sh\n", 0o755)
	commit(t, dir, "second")
	plainGit(t, dir, "branch", "topics/next", "v1")
	return dir
}

// canary is a program that leaves a mark when it runs.
type canary struct{ program, mark string }

func newCanary(t *testing.T) canary {
	t.Helper()
	dir := t.TempDir()
	c := canary{filepath.Join(dir, "canary"), filepath.Join(dir, "sang")}
	write(t, c.program, fmt.Sprintf("#!/bin/sh\necho \"$0 $*\" >> '%s'\nexit 1\n", c.mark), 0o755)
	return c
}

func (c canary) silent(t *testing.T) {
	t.Helper()
	if b, err := os.ReadFile(c.mark); err == nil {
		t.Errorf("a program of the repository ran: %s", b)
	}
}

// singing proves that the canary can be heard, and makes it silent again.
func (c canary) singing(t *testing.T, by string) {
	t.Helper()
	if err := os.Remove(c.mark); err != nil {
		t.Fatalf("plain git %s did not run the canary, so its silence says nothing: %v", by, err)
	}
}

// fingerprint is over all names, modes, times and contents of a tree.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %v %d %v\n", path, info.Mode(), info.Size(), info.ModTime())
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			sum.Write(b)
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			fmt.Fprintln(sum, to)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// wantCode checks that an error is an *Error with that code and fit to print.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want an error with code %s", err, code)
		return
	}
	if strings.ContainsFunc(e.Detail, func(r rune) bool { return r < ' ' }) {
		t.Errorf("control characters in %q", e.Detail)
	}
}
