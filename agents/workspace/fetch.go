package workspace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hermesboard/hermes/events"
)

// fetchMemory bounds each process that reads a bundle's objects: a few bytes
// of a pack can stand for gigabytes.
const fetchMemory = 2 << 30

// Target says where an agent's commits go.
type Target struct {
	Repo   string // absolute path of the operator's repository
	Branch string // that the bundle is to hold
	Run    events.RunID
	Force  bool // replace the ref of an earlier fetch
	Limits Limits
}

// Fetched says what arrived.
type Fetched struct {
	Ref     string `json:"ref"`
	Commit  string `json:"commit"`
	Commits int    `json:"commits"` // that the repository did not have on any ref
	Base    string `json:"base,omitzero"`
}

// Ref is where a run's commits are put.
func Ref(run events.RunID) string {
	return "refs/heads/hermes/" + run.Task.String() + "/" + run.String()
}

// Fetch stores the commits of a bundle under Ref(t.Run) in a repository. The
// bundle may be anything; it is refused unless it is sound and holds t.Branch
// alone. Until all is checked nothing is written to the repository. Nothing is
// checked out there, and none of its hooks run. A ref that is there already
// with another commit is replaced only with t.Force, and never one that is
// checked out. The error is an *[Error], or one of r's.
func Fetch(ctx context.Context, r io.Reader, t Target) (Fetched, error) {
	f := Fetched{Ref: Ref(t.Run)}
	if t.Run.Task == 0 || t.Run.N == 0 {
		return f, problem(CodeUnsupported, "no run is given")
	}
	if err := checkName("branch", t.Branch); err != nil {
		return f, err
	}
	g, err := newGit(t.Limits)
	if err != nil {
		return f, err
	}
	ctx, cancel := g.deadline(ctx)
	defer cancel()
	repo, err := g.repository(ctx, t.Repo)
	if err != nil {
		return f, err
	}
	g.memory = fetchMemory
	b := bufio.NewReaderSize(r, maxHeaderLine)
	h, err := readHeader(b, t.Branch, repo.format)
	if err != nil {
		return f, err
	}
	f.Commit = h.tip
	if len(h.prerequisites) > 0 {
		f.Base = h.prerequisites[0]
	}
	old, err := repo.mayStore(ctx, f, t.Force)
	if err != nil || old == f.Commit {
		return f, err
	}
	quarantine, err := os.MkdirTemp("", "hermes-fetch-")
	if err != nil {
		return f, err
	}
	if f.Commits, err = repo.receive(ctx, quarantine, h, b); err == nil {
		err = repo.store(ctx, f, old, t.Run)
	}
	return f, errors.Join(err, os.RemoveAll(quarantine))
}

// mayStore returns the commit that the ref has now, if it has one.
func (r *repository) mayStore(ctx context.Context, f Fetched, force bool) (old string, err error) {
	out, err := r.g.output(ctx, r.where(), nil, "for-each-ref", "--format=%(objectname) %(refname) %(worktreepath)", f.Ref)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(parts) != 3 || parts[1] != f.Ref {
			continue
		}
		old = parts[0]
		switch {
		case old == f.Commit:
		case !force:
			return "", &Error{CodeRefExists, fmt.Sprintf("%s is there already, at %.12s", f.Ref, old), "--force replaces it"}
		case parts[2] != "":
			return "", &Error{CodeRefExists, f.Ref + " is checked out", "check out another branch there first"}
		}
	}
	return old, nil
}

// receive checks a bundle in a quarantine, then copies what is new in its
// branch to the repository's objects, where no ref leads to it yet.
func (r *repository) receive(ctx context.Context, quarantine string, h header, pack io.Reader) (commits int, err error) {
	g, gitDir := r.g, filepath.Join(quarantine, "git")
	if err := g.init(ctx, gitDir, r.format, "none", true); err != nil {
		return 0, err
	}
	if err := r.cutOff(gitDir); err != nil {
		return 0, err
	}
	here := r.readBy(gitDir)
	if err := g.haveAll(ctx, here, h.prerequisites, r.path); err != nil {
		return 0, err
	}
	if err := g.index(ctx, here, pack); err != nil {
		return 0, err
	}
	if id, err := g.line(ctx, here, "rev-parse", "--verify", "--quiet", h.tip+"^{commit}"); err != nil || id != h.tip {
		if ctx.Err() != nil {
			return 0, err
		}
		return 0, problem(CodeBadBundle, "the bundle's branch does not lead to a commit in it")
	}
	refs, err := r.refs(ctx)
	if err != nil {
		return 0, err
	}
	var have []string
	var list strings.Builder
	list.WriteString(h.tip + "\n")
	for _, id := range refs {
		have = append(have, id)
		list.WriteString("^" + id + "\n")
	}
	count, err := g.output(ctx, here, strings.NewReader(list.String()), "rev-list", "--count", "--stdin")
	if err != nil {
		return 0, err
	}
	if commits, err = strconv.Atoi(strings.TrimSpace(count)); err != nil || commits == 0 {
		return 0, err
	}
	// The objects folder is written to under our own configuration.
	return commits, g.copy(ctx, here, where{gitDir: gitDir, objects: r.objects}, h.tip, have)
}

// haveAll refuses a bundle that builds on commits that are not there.
func (g *git) haveAll(ctx context.Context, w where, ids []string, path string) error {
	if len(ids) == 0 {
		return nil
	}
	out, err := g.output(ctx, w, strings.NewReader(strings.Join(ids, "\n")+"\n"), "cat-file", "--batch-check=%(objecttype)")
	if err != nil {
		return err
	}
	kinds := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for i, id := range ids {
		if i >= len(kinds) || kinds[i] != "commit" {
			return &Error{CodeMissingCommits, fmt.Sprintf("repository %s does not have commit %s, on which the work was built", path, id),
				"name the repository that the task was given, or fetch that commit into this one first"}
		}
	}
	return nil
}

// index checks every object of a pack and stores it in the quarantine.
func (g *git) index(ctx context.Context, w where, pack io.Reader) error {
	r, in, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := g.command(ctx, w, "index-pack", "--stdin", "--fix-thin", "--strict", "--threads=1", fmt.Sprintf("--max-input-size=%d", g.limits.Bytes))
	complaints := &bounded{most: 4 << 10, drop: true}
	cmd.Stdin, cmd.Stderr = r, complaints
	err = errors.Join(cmd.Start(), r.Close())
	if err != nil {
		return errors.Join(err, in.Close())
	}
	limited := limitMemory(cmd.Process.Pid, g.memory) // before the first byte
	var copied error
	if limited == nil {
		_, copied = io.Copy(in, pack)
	}
	err = errors.Join(limited, in.Close())
	failed := cmd.Wait()
	cut := errors.Is(copied, syscall.EPIPE)
	switch {
	case copied != nil && !cut:
		return fmt.Errorf("read the bundle: %w", copied)
	case failed != nil:
		err := g.failed(ctx, "index-pack", failed, complaints)
		if e := (*Error)(nil); errors.As(err, &e) && e.Code == CodeGit {
			e.Code, e.Detail = CodeBadBundle, "the bundle is damaged or holds what git does not allow: "+e.Detail
		}
		return err
	case cut:
		return problem(CodeBadBundle, "the bundle goes on after its end")
	}
	return err
}

// store sets the ref, if it is still as it was.
func (r *repository) store(ctx context.Context, f Fetched, old string, run events.RunID) error {
	if old == "" {
		old = strings.Repeat("0", len(f.Commit))
	}
	_, err := r.g.output(ctx, r.where(), nil, "update-ref", "--no-deref", "-m", "hermes: "+run.String(), f.Ref, f.Commit, old)
	return err
}
