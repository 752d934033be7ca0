package main

import (
	"bytes"
	"errors"
	flags "flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/workspace"
	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/projections"
)

// gitIn runs git as a person would.
func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// branchTask is a task whose second run handed back a commit to a repository.
type branchTask struct {
	repo, tip string
	store     *registry.Artifacts
	stored    string // the folder of store
	detail    projections.Detail
}

func newBranchTask(t *testing.T) branchTask {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	b := branchTask{repo: filepath.Join(t.TempDir(), "repo"), stored: t.TempDir()}
	gitIn(t, t.TempDir(), "init", "-q", "-b", "main", b.repo)
	gitIn(t, b.repo, "commit", "-q", "--allow-empty", "-m", "first")
	run := t.TempDir()
	c, err := workspace.Clone(t.Context(), run, workspace.Source{Repo: b.repo, Branch: "hermes/t3", Agent: "coder"}, workspace.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(run, "workspace", workspace.Folder)
	gitIn(t, clone, "commit", "-q", "--allow-empty", "-m", "work")
	b.tip = gitIn(t, clone, "rev-parse", "HEAD")
	file := filepath.Join(t.TempDir(), "bundle")
	gitIn(t, clone, "bundle", "create", "-q", file, c.Base+"..refs/heads/hermes/t3")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b.store = registry.OpenArtifacts(b.stored)
	a, err := b.store.Put(t.Context(), f, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.detail = projections.Detail{
		Card: projections.Card{ID: 3}, Workspace: events.Workspace{Kind: events.Repo, Path: b.repo},
		Runs: []projections.RunRow{
			{Run: events.RunID{Task: 3, N: 1}, Fence: 10}, {Run: events.RunID{Task: 3, N: 2}, Fence: 20}, {Run: events.RunID{Task: 3, N: 3}, Fence: 30},
		},
		Artifacts: []projections.ArtifactRow{
			{Name: "hermes-t3.bundle", SHA256: events.Digest{1}, Seq: 12},
			{Name: "hermes-t3.bundle", SHA256: a.SHA256, Size: a.Size, Seq: 25}, {Name: "notes.md", SHA256: events.Digest{2}, Seq: 35},
		},
	}
	return b
}

// get runs getBranch with flags as on the command line.
func (b branchTask) get(t *testing.T, into string, given ...string) (out, words string, err error) {
	t.Helper()
	set := flags.NewFlagSet("get", flags.ContinueOnError)
	for _, name := range []string{"force", "json", "quiet"} {
		set.Bool(name, false, "")
	}
	if err := set.Parse(given); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	x := &call{Env: Env{Stdout: &stdout, Stderr: &stderr, Dir: filepath.Dir(b.repo)}, c: cli.NewContext(cli.NewApp(), set, nil)}
	err = getBranch(t.Context(), x, b.detail, b.store, into)
	return stdout.String(), stderr.String(), err
}

func wantRejection(t *testing.T, err error, code boards.Code) {
	t.Helper()
	var rej *boards.Rejection
	if !errors.As(err, &rej) || rej.Code != code {
		t.Errorf("got %v, want a rejection with code %s", err, code)
	}
}

func TestGetBranch(t *testing.T) {
	b := newBranchTask(t)
	out, words, err := b.get(t, "repo") // below the working folder
	if err != nil || out != "hermes/t3/t3.2\n" || !strings.Contains(words, "1 new commit of t3.2") {
		t.Fatalf("got %q, %q, %v", out, words, err)
	}
	if got := gitIn(t, b.repo, "rev-parse", "hermes/t3/t3.2"); got != b.tip {
		t.Errorf("got %s, want %s", got, b.tip)
	}
	out, _, err = b.get(t, b.repo, "--json")
	for _, want := range []string{`"task": "t3"`, `"run": "t3.2"`, `"ref": "refs/heads/hermes/t3/t3.2"`, `"commit": "` + b.tip + `"`} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("got %s, %v, want %s in it", out, err, want)
		}
	}
	gitIn(t, b.repo, "update-ref", "refs/heads/hermes/t3/t3.2", "main")
	_, _, err = b.get(t, b.repo)
	wantRejection(t, err, "ref_exists")
	if out, words, err := b.get(t, b.repo, "--force", "--quiet"); err != nil || out == "" || words != "" {
		t.Errorf("with force: got %q, %q, %v", out, words, err)
	}
	if got := gitIn(t, b.repo, "rev-parse", "hermes/t3/t3.2"); got != b.tip {
		t.Errorf("with force: got %s, want %s", got, b.tip)
	}
}

func TestGetBranchRefuses(t *testing.T) {
	b := newBranchTask(t)
	_, _, err := b.get(t, "")
	wantRejection(t, err, "repo_missing")
	scratch := b
	scratch.detail.Workspace = events.Workspace{}
	_, _, err = scratch.get(t, b.repo)
	wantRejection(t, err, "no_branch")
	none := b
	none.detail.Artifacts = none.detail.Artifacts[2:]
	_, _, err = none.get(t, b.repo)
	wantRejection(t, err, boards.CodeNotFound)
	early := b // before any run
	early.detail.Runs = nil
	_, _, err = early.get(t, b.repo)
	wantRejection(t, err, boards.CodeNotFound)

	// Somebody changed what is stored.
	path := filepath.Join(b.stored, b.detail.Artifacts[1].SHA256.String())
	body, err := os.ReadFile(path)
	if err == nil {
		err = errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, append(body, '\n'), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.get(t, b.repo); err == nil || !strings.Contains(err.Error(), "what is stored is not") {
		t.Errorf("got %v, want the digest refused", err)
	}
	if refs := gitIn(t, b.repo, "for-each-ref", "refs/heads/hermes"); refs != "" {
		t.Errorf("refs were set: %s", refs)
	}
}
