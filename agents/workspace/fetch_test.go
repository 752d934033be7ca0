package workspace

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hermesboard/hermes/events"
)

var run71 = events.RunID{Task: 7, N: 1}

func target(repo string) Target { return Target{Repo: repo, Branch: "hermes/t7", Run: run71} }

// work is a repository, and a bundle of two commits that an agent made in a clone of it.
type work struct {
	repo, clone string
	base, tip   string
	bundle      []byte
}

func newWork(t *testing.T) work {
	t.Helper()
	w := work{repo: newRepo(t)}
	w.clone, _ = mustClone(t, source(w.repo, ""))
	w.base = plainGit(t, w.clone, "rev-parse", "HEAD")
	write(t, filepath.Join(w.clone, "work"), "step 1\n", 0o644)
	commit(t, w.clone, "step 1")
	write(t, filepath.Join(w.clone, "work"), "step 2\n", 0o644)
	w.tip = commit(t, w.clone, "step 2")
	w.bundle = bundleOf(t, w.clone, w.base+"..refs/heads/hermes/t7")
	return w
}

// bundleOf makes a bundle with any revisions.
func bundleOf(t *testing.T, dir string, revs ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b")
	plainGit(t, dir, append([]string{"bundle", "create", "-q", file}, revs...)...)
	return []byte(read(t, file))
}

func TestFetch(t *testing.T) {
	w := newWork(t)
	write(t, filepath.Join(w.repo, "README"), "being edited\n", 0o644)
	checkedOut := fingerprint(t, filepath.Join(w.repo, "bin")) + read(t, filepath.Join(w.repo, "README"))
	index := read(t, filepath.Join(w.repo, ".git", "index"))
	got, err := Fetch(t.Context(), bytes.NewReader(w.bundle), target(w.repo))
	want := Fetched{Ref: "refs/heads/hermes/t7/t7.1", Commit: w.tip, Commits: 2, Base: w.base}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	if got := plainGit(t, w.repo, "rev-parse", "hermes/t7/t7.1"); got != w.tip {
		t.Errorf("got %s, want %s", got, w.tip)
	}
	if got := plainGit(t, w.repo, "show", "hermes/t7/t7.1:work"); got != "step 2" {
		t.Errorf("got %q", got)
	}
	plainGit(t, w.repo, "fsck", "--full", "--strict")
	if got := fingerprint(t, filepath.Join(w.repo, "bin")) + read(t, filepath.Join(w.repo, "README")); got != checkedOut {
		t.Error("the work tree was changed")
	}
	if got := read(t, filepath.Join(w.repo, ".git", "index")); got != index {
		t.Error("the index was changed")
	}
	if got := plainGit(t, w.repo, "branch", "--show-current"); got != "main" {
		t.Errorf("branch %s is checked out now", got)
	}

	// The same again is no change.
	if _, err := Fetch(t.Context(), bytes.NewReader(w.bundle), target(w.repo)); err != nil {
		t.Errorf("a second time: %v", err)
	}

	// Another commit needs force, and never replaces what is checked out.
	plainGit(t, w.clone, "commit", "-q", "--amend", "-m", "step 2, better")
	better := bundleOf(t, w.clone, w.base+"..refs/heads/hermes/t7")
	_, err = Fetch(t.Context(), bytes.NewReader(better), target(w.repo))
	wantCode(t, err, CodeRefExists)
	if got := plainGit(t, w.repo, "rev-parse", "hermes/t7/t7.1"); got != w.tip {
		t.Errorf("the ref was moved to %s", got)
	}
	forced := target(w.repo)
	forced.Force = true
	if got, err := Fetch(t.Context(), bytes.NewReader(better), forced); err != nil || got.Commits != 1 {
		t.Errorf("with force: got %+v, %v, want one commit", got, err)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	plainGit(t, w.repo, "worktree", "add", "-q", linked, "hermes/t7/t7.1")
	_, err = Fetch(t.Context(), bytes.NewReader(w.bundle), forced)
	wantCode(t, err, CodeRefExists)
}

// Into a bare repository, a linked work tree, one cut off below the base, one
// with other objects, and one of another format of names.
func TestFetchKinds(t *testing.T) {
	w := newWork(t)
	parent := t.TempDir()
	bare, linked, shared, shallow := filepath.Join(parent, "bare"), filepath.Join(parent, "linked"), filepath.Join(parent, "shared"), filepath.Join(parent, "shallow")
	plainGit(t, parent, "clone", "-q", "--bare", w.repo, bare)
	plainGit(t, w.repo, "worktree", "add", "-q", "-b", "side", linked, "v1^{commit}")
	plainGit(t, parent, "clone", "-q", "--shared", w.repo, shared)
	plainGit(t, parent, "clone", "-q", "--depth=1", "file://"+w.repo, shallow)
	for _, repo := range []string{bare, linked, shared, shallow} {
		if got, err := Fetch(t.Context(), bytes.NewReader(w.bundle), target(repo)); err != nil || got.Commits != 2 {
			t.Errorf("%s: got %+v, %v, want two commits", filepath.Base(repo), got, err)
			continue
		}
		plainGit(t, repo, "fsck", "--full")
		if got := plainGit(t, repo, "rev-parse", "refs/heads/hermes/t7/t7.1"); got != w.tip {
			t.Errorf("%s: got %s, want %s", filepath.Base(repo), got, w.tip)
		}
	}
	other := filepath.Join(parent, "other")
	plainGit(t, parent, "init", "-q", other)
	write(t, filepath.Join(other, "README"), "unrelated\n", 0o644)
	commit(t, other, "unrelated")
	_, err := Fetch(t.Context(), bytes.NewReader(w.bundle), target(other))
	wantCode(t, err, CodeMissingCommits)
	long := filepath.Join(parent, "long")
	plainGit(t, parent, "init", "-q", "--object-format=sha256", long)
	_, err = Fetch(t.Context(), bytes.NewReader(w.bundle), target(long))
	wantCode(t, err, CodeBadBundle)
	_, err = Fetch(t.Context(), bytes.NewReader(w.bundle), target(parent))
	wantCode(t, err, CodeNoRepository)
	_, err = Fetch(t.Context(), bytes.NewReader(w.bundle), target("--upload-pack=id"))
	wantCode(t, err, CodeUnsupported)
	if _, err := Fetch(t.Context(), bytes.NewReader(w.bundle), Target{Repo: w.repo, Branch: "hermes/t7"}); err == nil {
		t.Error("no run: no error")
	}
	empty := filepath.Join(parent, "empty")
	plainGit(t, parent, "init", "-q", "--bare", empty)
	whole := bundleOf(t, w.clone, "refs/heads/hermes/t7")
	if got, err := Fetch(t.Context(), bytes.NewReader(whole), target(empty)); err != nil || got.Commits != 4 || got.Base != "" {
		t.Errorf("a whole history into an empty repository: got %+v, %v, want four commits on nothing", got, err)
	}
}

// A ref that stands in the way of a folder of refs is git's to refuse.
func TestFetchRefInTheWay(t *testing.T) {
	w := newWork(t)
	plainGit(t, w.repo, "branch", "hermes")
	_, err := Fetch(t.Context(), bytes.NewReader(w.bundle), target(w.repo))
	wantCode(t, err, CodeGit)
}

func TestFetchRefusesBundles(t *testing.T) {
	w := newWork(t)
	t.Setenv("TMPDIR", t.TempDir())
	plainGit(t, w.clone, "tag", "-a", "-m", "tagged", "tagged")
	plainGit(t, w.clone, "update-ref", "refs/heads/main", "HEAD")
	head, pack, _ := strings.Cut(string(w.bundle), "\n\n")
	ref := w.tip + " refs/heads/hermes/t7"
	blob := plainGit(t, w.clone, "rev-parse", "HEAD:work")
	with := func(old, new string) []byte { return []byte(strings.Replace(head, old, new, 1) + "\n\n" + pack) }
	flipped := bytes.Clone(w.bundle)
	flipped[len(flipped)-40] ^= 1
	for _, tt := range []struct {
		name   string
		bundle []byte
		code   string
	}{
		{"nothing", nil, CodeBadBundle},
		{"no bundle", []byte("PACK\x00\x00\x00\x02 and so on\n"), CodeBadBundle},
		{"no end of a line", bytes.Repeat([]byte("x"), 1<<20), CodeBadBundle},
		{"cut off in the header", w.bundle[:40], CodeBadBundle},
		{"cut off before the pack", []byte(head + "\n\n"), CodeBadBundle},
		{"cut off in the pack", w.bundle[:len(w.bundle)-30], CodeBadBundle},
		{"a bit flipped", flipped, CodeBadBundle},
		{"a long tail", append(bytes.Clone(w.bundle), bytes.Repeat([]byte("x"), 1<<20)...), CodeBadBundle},
		{"version 9", with("v2", "v9"), CodeBadBundle},
		{"a filter", with("# v2 git bundle\n", "# v3 git bundle\n@filter=blob:none\n"), CodeBadBundle},
		{"another branch", bundleOf(t, w.clone, w.base+"..refs/heads/main"), CodeBadBundle},
		{"a second branch", bundleOf(t, w.clone, "refs/heads/hermes/t7", "refs/heads/main", "^"+w.base), CodeBadBundle},
		{"HEAD too", bundleOf(t, w.clone, "refs/heads/hermes/t7", "HEAD", "^"+w.base), CodeBadBundle},
		{"a line break in the ref", with(ref, w.tip+" refs/heads/hermes\n/t7"), CodeBadBundle},
		{"a carriage return in the ref", with(ref, ref+"\r"), CodeBadBundle},
		{"an escape sequence in the ref", with(ref, w.tip+" refs/heads/\x1b]0;x\x07"), CodeBadBundle},
		{"a way out in the ref", with(ref, w.tip+" refs/heads/../../config"), CodeBadBundle},
		{"no ref", with("\n"+ref, ""), CodeBadBundle},
		{"a short name", with(w.tip, w.tip[:20]), CodeBadBundle},
		{"a name in capitals", with(w.tip, strings.ToUpper(w.tip)), CodeBadBundle},
		{"a name of nothing", with(w.tip, strings.Repeat("1", 40)), CodeBadBundle},
		{"a file as commit", with(w.tip, blob), CodeBadBundle},
		{"a tag as commit", []byte(strings.Replace(string(bundleOf(t, w.clone, "refs/tags/tagged", "^"+w.base)), "refs/tags/tagged", "refs/heads/hermes/t7", 1)), CodeBadBundle},
		{"a prerequisite we lack", with("-"+w.base, "-"+strings.Repeat("2", 40)), CodeMissingCommits},
		{"a file as prerequisite", with("-"+w.base, "-"+plainGit(t, w.repo, "rev-parse", "HEAD:README")), CodeMissingCommits},
		{"an option as prerequisite", with("-"+w.base, "---all"), CodeBadBundle},
		{"too many prerequisites", with("-"+w.base+" second\n", strings.Repeat("-"+w.base+" \n", maxPrerequisites+1)), CodeBadBundle},
		{"the prerequisite hidden", []byte("# v2 git bundle\n" + ref + "\n\n" + thinPack(t, w)), CodeBadBundle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := fingerprint(t, w.repo)
			_, err := Fetch(t.Context(), bytes.NewReader(tt.bundle), target(w.repo))
			wantCode(t, err, tt.code)
			if got := fingerprint(t, w.repo); got != before {
				t.Error("the repository was written to")
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "hermes-fetch-*")); len(left) != 0 {
		t.Errorf("quarantines are left: %v", left)
	}
}

// thinPack is a pack whose newest tree is not in it, nor in the repository.
func thinPack(t *testing.T, w work) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pack")
	write(t, file+".sh", fmt.Sprintf("echo %s | git pack-objects -q --stdout > '%s'", w.tip, file), 0o755)
	cmd := []string{"-c", "alias.pack=!sh '" + file + ".sh'", "pack"}
	plainGit(t, w.clone, cmd...)
	return read(t, file)
}

// Objects that git's own checks refuse do not reach the repository.
func TestFetchHostileObjects(t *testing.T) {
	w := newWork(t)
	c := newCanary(t)
	blob := plainGit(t, w.clone, "hash-object", "-w", c.program)
	for name, raw := range map[string]string{
		".git in a tree":    "100755 .git\x00" + unhex(t, blob),
		"a way out":         "100755 ..\x00" + unhex(t, blob),
		"a path as name":    "100755 a/b\x00" + unhex(t, blob),
		"a name twice":      "100644 a\x00" + unhex(t, blob) + "120000 a\x00" + unhex(t, blob),
		"hostile submodule": "100644 .gitmodules\x00" + unhex(t, plainGit(t, w.clone, "hash-object", "-w", putFile(t, "[submodule \"x\"]\n\tpath = -x\n\turl = --upload-pack="+c.program+"\n"))),
	} {
		t.Run(name, func(t *testing.T) {
			tree := plainGit(t, w.clone, "hash-object", "-w", "-t", "tree", "--literally", putFile(t, raw))
			id := plainGit(t, w.clone, "commit-tree", "-p", w.base, "-m", "bad", tree)
			plainGit(t, w.clone, "update-ref", "refs/heads/hermes/t7", id)
			before := fingerprint(t, w.repo)
			_, err := Fetch(t.Context(), bytes.NewReader(bundleOf(t, w.clone, w.base+"..refs/heads/hermes/t7")), target(w.repo))
			wantCode(t, err, CodeBadBundle)
			if got := fingerprint(t, w.repo); got != before {
				t.Error("the repository was written to")
			}
		})
	}
	c.silent(t)
}

// What the repository's own configuration and hooks name is not run either.
func TestFetchHostileRepository(t *testing.T) {
	w := newWork(t)
	c := newCanary(t)
	for _, hook := range []string{"reference-transaction", "post-checkout", "post-update", "update", "pre-receive", "post-receive", "post-merge", "pre-auto-gc", "post-index-change", "proc-receive"} {
		write(t, filepath.Join(w.repo, ".git", "hooks", hook), read(t, c.program), 0o755)
	}
	write(t, filepath.Join(w.repo, ".git", "objects", "info", "alternates"), filepath.Join(newRepo(t), ".git", "objects")+"\n", 0o644)
	for key, value := range map[string]string{
		"core.fsmonitor": c.program, "core.alternateRefsCommand": c.program, "core.pager": c.program, "gpg.program": c.program,
		"core.sshCommand": c.program, "credential.helper": c.program, "url.ext::" + c.program + ".insteadOf": "/", "protocol.ext.allow": "always",
		"gc.auto": "1", "gc.pruneExpire": "now", "fetch.writeCommitGraph": "true", "transfer.credentialsInUrl": "allow", "receive.fsckObjects": "false",
		"fetch.fsckObjects": "false", "transfer.fsckObjects": "false", "remote.origin.url": "ext::" + c.program, "remote.origin.promisor": "true",
		"remote.origin.uploadpack": c.program, "core.repositoryFormatVersion": "1", "extensions.partialClone": "origin",
	} {
		plainGit(t, w.repo, "config", key, value)
	}
	tryPlainGit(w.repo, "update-ref", "refs/heads/probe", w.base)
	c.singing(t, "update-ref")
	if _, err := Fetch(t.Context(), bytes.NewReader(w.bundle), target(w.repo)); err != nil {
		t.Error(err)
	}
	missing := bytes.Replace(w.bundle, []byte("-"+w.base), []byte("-"+strings.Repeat("3", 40)), 1)
	other := target(w.repo)
	other.Run.N = 2
	_, err := Fetch(t.Context(), bytes.NewReader(missing), other)
	wantCode(t, err, CodeMissingCommits)
	c.silent(t)
}

func TestFetchLimits(t *testing.T) {
	w := newWork(t)
	small := target(w.repo)
	small.Limits.Bytes = 100
	_, err := Fetch(t.Context(), bytes.NewReader(w.bundle), small)
	wantCode(t, err, CodeTooLarge)
	hasty := target(w.repo)
	hasty.Limits.Time = time.Nanosecond
	_, err = Fetch(t.Context(), bytes.NewReader(w.bundle), hasty)
	wantCode(t, err, CodeTimedOut)

	boom := errors.New("boom")
	broken := io.MultiReader(bytes.NewReader(w.bundle[:len(w.bundle)-1]), iotest.ErrReader(boom))
	if _, err := Fetch(t.Context(), broken, target(w.repo)); !errors.Is(err, boom) {
		t.Errorf("got %v, want the reader's error", err)
	}
	whole := io.MultiReader(bytes.NewReader(w.bundle), iotest.ErrReader(boom)) // not what it should be, found at its end
	if _, err := Fetch(t.Context(), whole, target(w.repo)); !errors.Is(err, boom) {
		t.Errorf("got %v, want the reader's error", err)
	}
	if out, err := tryPlainGit(w.repo, "rev-parse", "--verify", "hermes/t7/t7.1"); err == nil {
		t.Errorf("a ref was set: %s", out)
	}
}

// A few bytes that stand for a whole disk, or for all memory, are refused.
func TestFetchBomb(t *testing.T) {
	w := newWork(t)
	const declared = 3 << 30
	pack := []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	size, kind := uint64(declared), byte(2) // a tree, which is held in memory whole
	pack = append(pack, kind<<4|byte(size&15)|0x80)
	for size >>= 4; size >= 0x80; size >>= 7 {
		pack = append(pack, byte(size)|0x80)
	}
	pack = append(pack, byte(size))
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	pack = append(pack, packed.Bytes()...)
	sum := sha1.Sum(pack)
	bundle := append([]byte("# v2 git bundle\n"+w.tip+" refs/heads/hermes/t7\n\n"), append(pack, sum[:]...)...)
	_, err := Fetch(t.Context(), bytes.NewReader(bundle), target(w.repo))
	wantCode(t, err, CodeBadBundle)
	if runtime.GOOS == "linux" && !strings.Contains(fmt.Sprint(err), "memory") {
		t.Errorf("got %v, want it refused for its memory", err)
	}
}
