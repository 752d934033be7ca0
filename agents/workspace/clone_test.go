package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
)

func source(repo, base string) Source {
	return Source{Repo: repo, Base: base, Branch: "hermes/t7", Agent: "coder"}
}

// mustClone clones and returns the folder of the clone.
func mustClone(t *testing.T, s Source) (string, *Checkout) {
	t.Helper()
	run := t.TempDir()
	c, err := Clone(t.Context(), run, s, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(run, "workspace", Folder), c
}

func TestClone(t *testing.T) {
	repo := newRepo(t)
	head, first := plainGit(t, repo, "rev-parse", "main"), plainGit(t, repo, "rev-parse", "v1^{commit}")
	write(t, filepath.Join(repo, "README"), "not committed\n", 0o644)
	before := fingerprint(t, repo)
	for _, tt := range []struct{ base, commit, readme string }{
		{"", head, "two\n"}, {"main", head, "two\n"}, {"v1", first, "one\n"}, {"topics/next", first, "one\n"},
		{head, head, "two\n"}, {first, first, "one\n"}, {first[:9], first, "one\n"},
	} {
		t.Run("base="+tt.base, func(t *testing.T) {
			dir, c := mustClone(t, source(repo, tt.base))
			if c.Base != tt.commit {
				t.Errorf("got base %s, want %s", c.Base, tt.commit)
			}
			if got := read(t, filepath.Join(dir, "README")); got != tt.readme {
				t.Errorf("got README %q, want %q", got, tt.readme)
			}
			if got := plainGit(t, dir, "symbolic-ref", "HEAD"); got != "refs/heads/hermes/t7" {
				t.Errorf("got HEAD %s", got)
			}
			if got := plainGit(t, dir, "status", "--porcelain"); got != "" {
				t.Errorf("the clone is not clean: %s", got)
			}
			if got := plainGit(t, dir, "remote"); got != "" {
				t.Errorf("the clone knows remote %s", got)
			}
			if got := plainGit(t, dir, "for-each-ref", "--format=%(refname)"); got != "refs/heads/hermes/t7" {
				t.Errorf("got refs %q, want the branch alone", got)
			}
			if got := plainGit(t, dir, "config", "user.name"); got != "coder" {
				t.Errorf("got identity %q, want the agent's", got)
			}
			plainGit(t, dir, "fsck", "--strict", "--full")
			for _, path := range []string{".git/hooks", ".git/objects/info/alternates", ".git/info"} {
				if _, err := os.Lstat(filepath.Join(dir, path)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is there: %v", path, err)
				}
			}
			opened, err := Open(filepath.Join(dir, "..", ".."))
			if err != nil || *opened != *c {
				t.Errorf("Open: got %v, %v, want %v", opened, err, c)
			}
		})
	}
	if got := fingerprint(t, repo); got != before {
		t.Error("the repository was written to")
	}
}

// Where a branch and a tag have the same name, the branch is meant.
func TestCloneKinds(t *testing.T) {
	repo := newRepo(t)
	head := plainGit(t, repo, "rev-parse", "main")
	plainGit(t, repo, "branch", "v1")
	parent := t.TempDir()
	bare, linked, shallow, sha256, colon := filepath.Join(parent, "bare"), filepath.Join(parent, "linked"),
		filepath.Join(parent, "shallow"), filepath.Join(parent, "new"), filepath.Join(parent, `odd: "name" \x`)
	plainGit(t, parent, "clone", "-q", "--bare", repo, bare)
	plainGit(t, repo, "worktree", "add", "-q", "-b", "side", linked, "v1^{commit}")
	write(t, filepath.Join(linked, "side"), "side\n", 0o644)
	side := commit(t, linked, "on the side")
	plainGit(t, parent, "clone", "-q", "--depth=1", "file://"+repo, shallow)
	plainGit(t, parent, "clone", "-q", repo, colon)
	write(t, filepath.Join(sha256, "README"), "new\n", 0o644)
	plainGit(t, sha256, "init", "-q", "--object-format=sha256", "-b", "main")
	newHead := commit(t, sha256, "long names")
	alternate := filepath.Join(parent, "alternate")
	plainGit(t, parent, "clone", "-q", "--shared", repo, alternate)
	write(t, filepath.Join(alternate, "README"), "three\n", 0o644)
	third := commit(t, alternate, "third")
	packed := filepath.Join(parent, "packed")
	plainGit(t, parent, "clone", "-q", "--no-local", repo, packed)
	plainGit(t, packed, "pack-refs", "--all")

	for _, tt := range []struct{ name, repo, base, want string }{
		{"bare", bare, "", head}, {"linked work tree", linked, "", side}, {"linked, another branch", linked, "main", head},
		{"cut off", shallow, "", head}, {"odd name", colon, "main", head}, {"sha256", sha256, "", newHead},
		{"borrowed objects", alternate, "", third}, {"branch before tag", repo, "v1", head},
		{"packed refs", packed, "main", head}, {"remote branch", packed, "origin/topics/next", plainGit(t, repo, "rev-parse", "topics/next")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := fingerprint(t, tt.repo)
			dir, c := mustClone(t, source(tt.repo, tt.base))
			if c.Base != tt.want {
				t.Errorf("got base %s, want %s", c.Base, tt.want)
			}
			plainGit(t, dir, "fsck", "--full")
			if got := plainGit(t, dir, "status", "--porcelain"); got != "" {
				t.Errorf("the clone is not clean: %s", got)
			}
			if got := fingerprint(t, tt.repo); got != before {
				t.Error("the repository was written to")
			}
		})
	}
}

// Nothing that a repository's configuration, hooks or attributes name is run.
func TestCloneHostile(t *testing.T) {
	repo := newRepo(t)
	inner := newRepo(t)
	c := newCanary(t)
	write(t, filepath.Join(repo, ".gitattributes"), "* filter=evil diff=evil merge=evil\nREADME filter=lfs\n", 0o644)
	write(t, filepath.Join(repo, ".gitmodules"), "[submodule \"sub\"]\n\tpath = sub\n\turl = file://"+inner+"\n\tupdate = !"+c.program+"\n", 0o644)
	if err := os.Symlink("/etc/passwd", filepath.Join(repo, "passwd")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(repo, "etc")); err != nil {
		t.Fatal(err)
	}
	commit(t, repo, "hostile content")
	plainGit(t, repo, "update-index", "--add", "--cacheinfo", "160000,"+plainGit(t, inner, "rev-parse", "HEAD")+",sub")
	plainGit(t, repo, "commit", "-q", "-m", "submodule")
	head := plainGit(t, repo, "rev-parse", "HEAD")

	for _, hook := range []string{"post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc", "post-merge", "fsmonitor-watchman"} {
		write(t, filepath.Join(repo, ".git", "hooks", hook), read(t, c.program), 0o755)
	}
	for key, value := range map[string]string{
		"core.fsmonitor": c.program, "core.hooksPath": filepath.Join(repo, ".git", "hooks"), "core.pager": c.program, "core.editor": c.program,
		"core.sshCommand": c.program, "core.askPass": c.program, "core.alternateRefsCommand": c.program, "core.gitProxy": c.program,
		"core.attributesFile": filepath.Join(repo, ".gitattributes"),
		"filter.evil.smudge":  c.program, "filter.evil.clean": c.program, "filter.evil.process": c.program, "filter.evil.required": "true",
		"filter.lfs.smudge": c.program, "filter.lfs.process": c.program, "diff.external": c.program, "diff.evil.textconv": c.program,
		"credential.helper": c.program, "uploadpack.packObjectsHook": c.program, "gpg.program": c.program, "pager.for-each-ref": c.program,
		"pager.rev-parse": c.program, "init.templateDir": filepath.Join(repo, ".git"), "submodule.recurse": "true", "protocol.ext.allow": "always",
		"extensions.worktreeConfig": "true", "alias.rev-parse": "!" + c.program, "alias.for-each-ref": "!" + c.program,
		"url.ext::" + c.program + ".insteadOf": "/",
	} {
		plainGit(t, repo, "config", key, value)
	}
	plainGit(t, repo, "config", "--worktree", "core.fsmonitor", c.program)
	tryPlainGit(repo, "status")
	c.singing(t, "status")
	tryPlainGit(repo, "update-ref", "refs/heads/probe", head)
	c.singing(t, "update-ref")

	before := fingerprint(t, repo)
	dir, _ := mustClone(t, source(repo, "main"))
	c.silent(t)
	if got := fingerprint(t, repo); got != before {
		t.Error("the repository was written to")
	}
	for name, want := range map[string]string{"passwd": "/etc/passwd", "etc": "/etc"} {
		if got, err := os.Readlink(filepath.Join(dir, name)); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want a link to %s", name, got, err, want)
		}
	}
	if list, err := os.ReadDir(filepath.Join(dir, "sub")); err != nil || len(list) != 0 {
		t.Errorf("sub: got %v, %v, want an empty folder", list, err)
	}
	if config := read(t, filepath.Join(dir, ".git", "config")); strings.Contains(config, c.program) || strings.Contains(config, "filter") {
		t.Errorf("configuration was taken over:\n%s", config)
	}
}

// Missing objects of a partial clone are not fetched by what its remote names.
func TestClonePartial(t *testing.T) {
	repo := newRepo(t)
	c := newCanary(t)
	plainGit(t, repo, "config", "uploadpack.allowFilter", "true")
	partial := filepath.Join(t.TempDir(), "partial")
	plainGit(t, t.TempDir(), "clone", "-q", "--no-checkout", "--filter=blob:none", "file://"+repo, partial)
	plainGit(t, partial, "config", "remote.origin.uploadpack", c.program)
	tryPlainGit(partial, "cat-file", "-p", "HEAD:README")
	c.singing(t, "cat-file")
	_, err := Clone(t.Context(), t.TempDir(), source(partial, ""), Limits{})
	wantCode(t, err, CodeGit)
	c.silent(t)
}

// A tree that would write into .git or out of the clone is not checked out.
func TestCloneBadTrees(t *testing.T) {
	repo := newRepo(t)
	c := newCanary(t)
	blob := plainGit(t, repo, "hash-object", "-w", c.program)
	for _, name := range []string{".git", "..", ".GIT", "git~1"} {
		raw := "100755 " + name + "\x00" + unhex(t, blob)
		if name != ".." {
			leaf := plainGit(t, repo, "hash-object", "-w", "-t", "tree", "--literally", putFile(t, "100755 post-checkout\x00"+unhex(t, blob)))
			hooks := plainGit(t, repo, "hash-object", "-w", "-t", "tree", "--literally", putFile(t, "40000 hooks\x00"+unhex(t, leaf)))
			raw = "40000 " + name + "\x00" + unhex(t, hooks)
		}
		tree := plainGit(t, repo, "hash-object", "-w", "-t", "tree", "--literally", putFile(t, raw))
		id := plainGit(t, repo, "commit-tree", "-m", "bad", tree)
		run := t.TempDir()
		_, err := Clone(t.Context(), run, source(repo, id), Limits{})
		wantCode(t, err, CodeGit)
		if list, _ := os.ReadDir(filepath.Join(run, "workspace")); len(list) != 0 {
			t.Errorf("%s: %v is left of a clone that did not succeed", name, list)
		}
	}
	c.silent(t)
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func putFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "object")
	write(t, path, text, 0o600)
	return path
}

func TestCloneRefused(t *testing.T) {
	repo := newRepo(t)
	empty, plain := filepath.Join(t.TempDir(), "empty"), t.TempDir()
	plainGit(t, t.TempDir(), "init", "-q", empty)
	pointer := t.TempDir()
	write(t, filepath.Join(pointer, ".git"), "gitdir: /nowhere\n", 0o644)
	dashed := filepath.Join(t.TempDir(), "--upload-pack=touch x")
	plainGit(t, t.TempDir(), "clone", "-q", repo, dashed)
	with := func(change func(*Source)) Source {
		s := source(repo, "")
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name string
		s    Source
		code string
	}{
		{"no such folder", source("/nonexistent/repo", ""), CodeNoRepository},
		{"no repository", source(plain, ""), CodeNoRepository},
		{"a pointer to nothing", source(pointer, ""), CodeNoRepository},
		{"no commit yet", source(empty, ""), CodeNoBase},
		{"no such branch", source(repo, "nope"), CodeNoBase},
		{"no such commit", source(repo, strings.Repeat("1", 40)), CodeNoBase},
		{"a blob", source(repo, plainGit(t, repo, "rev-parse", "HEAD:README")), CodeNoBase},
		{"relative path", source("source", ""), CodeUnsupported},
		{"an option as path", source("--upload-pack=touch x", ""), CodeUnsupported},
		{"a line break in the path", source(repo+"\n/tmp", ""), CodeUnsupported},
		{"an address", source("ext::sh -c id", ""), CodeUnsupported},
		{"an option as base", source(repo, "--output=x"), CodeUnsupported},
		{"an expression as base", source(repo, "main@{1}"), CodeUnsupported},
		{"a range as base", source(repo, "v1..main"), CodeUnsupported},
		{"a line break in the base", source(repo, "main\nv1"), CodeUnsupported},
		{"a pattern as base", source(repo, "m*"), CodeUnsupported},
		{"no branch", with(func(s *Source) { s.Branch = "" }), CodeUnsupported},
		{"a line break in the branch", with(func(s *Source) { s.Branch = "a\nb" }), CodeUnsupported},
		{"an option as branch", with(func(s *Source) { s.Branch = "-d" }), CodeUnsupported},
		{"a branch out of refs", with(func(s *Source) { s.Branch = "../../config" }), CodeUnsupported},
		{"a lock as branch", with(func(s *Source) { s.Branch = "a.lock/b" }), CodeUnsupported},
		{"configuration as agent", with(func(s *Source) { s.Agent = "x\n[core]\nfsmonitor = id" }), CodeUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := t.TempDir()
			_, err := Clone(t.Context(), run, tt.s, Limits{})
			wantCode(t, err, tt.code)
			if _, err := os.Lstat(filepath.Join(run, "workspace", Folder)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is left: %v", err)
			}
			if _, err := Open(run); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open: got %v, want fs.ErrNotExist", err)
			}
		})
	}
	mustClone(t, source(dashed, "")) // an odd name is only a name
}

func TestCloneLimits(t *testing.T) {
	repo := newRepo(t)
	write(t, filepath.Join(repo, "zeros"), strings.Repeat("\x00", 3<<20), 0o644) // a few kilobytes when packed
	commit(t, repo, "large")
	noise := make([]byte, 0, 2<<20)
	for i := uint64(1); len(noise) < cap(noise); i = i*6364136223846793005 + 1442695040888963407 {
		noise = append(noise, byte(i>>56), byte(i>>48), byte(i>>40), byte(i>>32))
	}
	write(t, filepath.Join(repo, "noise"), string(noise), 0o644)
	commit(t, repo, "noise")
	if err := os.Remove(filepath.Join(repo, "noise")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(repo, "zeros")); err != nil {
		t.Fatal(err)
	}
	commit(t, repo, "small again, with a large history")
	for _, tt := range []struct {
		name, base string
		limits     Limits
		code       string
	}{
		{"files", "", Limits{Files: 2}, CodeTooLarge},
		{"bytes of files", "main~2", Limits{Bytes: 1 << 20}, CodeTooLarge},
		{"bytes of history", "", Limits{Bytes: 1 << 20}, CodeTooLarge},
		{"time", "", Limits{Time: time.Nanosecond}, CodeTimedOut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := tt.base
			if base != "" {
				base = plainGit(t, repo, "rev-parse", base)
			}
			run := t.TempDir()
			_, err := Clone(t.Context(), run, source(repo, base), tt.limits)
			wantCode(t, err, tt.code)
			if _, err := os.Lstat(filepath.Join(run, "workspace", Folder)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is left: %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Clone(ctx, t.TempDir(), source(repo, ""), Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A workspace that an agent had is no place to clone into by way of a link.
func TestCloneIntoLink(t *testing.T) {
	repo, run, elsewhere := newRepo(t), t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(run, "workspace")); err != nil {
		t.Fatal(err)
	}
	if _, err := Clone(t.Context(), run, source(repo, ""), Limits{}); err == nil {
		t.Error("cloned through a link")
	}
	if list, _ := os.ReadDir(elsewhere); len(list) != 0 {
		t.Errorf("%v was made elsewhere", list)
	}
	run = t.TempDir()
	if _, err := Clone(t.Context(), run, source(repo, ""), Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Clone(t.Context(), run, source(repo, ""), Limits{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: got %v, want fs.ErrExist", err)
	}
}

func TestBranch(t *testing.T) {
	if got := Branch(events.Workspace{Kind: events.Repo}, 7); got != "hermes/t7" {
		t.Errorf("got %s", got)
	}
	if got := Branch(events.Workspace{Kind: events.Repo, Branch: "next"}, 7); got != "next" {
		t.Errorf("got %s", got)
	}
	if got := BundleName("hermes/t7"); got != "hermes-t7.bundle" {
		t.Errorf("got %s", got)
	}
}
