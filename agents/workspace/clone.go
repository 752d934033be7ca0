package workspace

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
)

// Folder is the name of the clone in a run's workspace. It is not the workspace
// itself, where a sandbox puts the folders inputs and outputs: a repository may
// have folders of these names.
const Folder = "repo"

// checkoutFile is beside the workspace, where no agent can write.
const checkoutFile = "checkout.json"

// Source says what to clone.
type Source struct {
	Repo   string // absolute path of the operator's repository
	Base   string // commit, branch or tag to start from; empty = its HEAD
	Branch string // to work on and to hand back
	Agent  string // in whose name commits are made
}

// Checkout is a clone that was made for a run.
type Checkout struct {
	Repo   string `json:"repo"`
	Base   string `json:"base"` // the full name of the commit
	Branch string `json:"branch"`
}

// Branch is the branch that a task with workspace w hands back.
func Branch(w events.Workspace, task events.TaskID) string { return agents.Branch(w, task) }

var agentRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// Clone makes workspace/repo and checkout.json in a run's folder, which
// exists: the history that leads to the base and nothing else of the
// repository, checked out on the branch. It shares no file with the repository,
// knows no remote and has no hooks, filters or submodules. The repository is
// only read. After an error no clone is left. The error is an *[Error], or is
// about the run's folder; fs.ErrExist if there is a clone already.
func Clone(ctx context.Context, runDir string, s Source, l Limits) (*Checkout, error) {
	if err := checkName("branch", s.Branch); err != nil {
		return nil, err
	}
	if !agentRule.MatchString(s.Agent) {
		return nil, problem(CodeUnsupported, "agent %.100q: not a name", s.Agent)
	}
	g, err := newGit(l)
	if err != nil {
		return nil, err
	}
	ctx, cancel := g.deadline(ctx)
	defer cancel()
	src, err := g.repository(ctx, s.Repo)
	if err != nil {
		return nil, err
	}
	id, err := src.find(ctx, s.Base)
	if err != nil {
		return nil, err
	}
	dir, err := makeFolder(runDir)
	if err != nil {
		return nil, err
	}
	c := &Checkout{Repo: s.Repo, Branch: s.Branch}
	if c.Base, err = src.cloneInto(ctx, dir, id, s); err == nil {
		err = c.write(runDir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

// makeFolder makes the folder of the clone.
func makeFolder(runDir string) (string, error) {
	root, err := os.OpenRoot(runDir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if err := root.Mkdir("workspace", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if info, err := root.Lstat("workspace"); err != nil || !info.IsDir() { // an earlier agent's link, perhaps
		return "", errors.Join(err, fmt.Errorf("%s: %w", filepath.Join(runDir, "workspace"), fs.ErrInvalid))
	}
	name := filepath.Join("workspace", Folder)
	return filepath.Join(runDir, name), root.Mkdir(name, 0o700)
}

// cloneInto fills an empty folder and returns the commit that was checked out.
func (r *repository) cloneInto(ctx context.Context, dir, id string, s Source) (commit string, err error) {
	g, gitDir := r.g, filepath.Join(dir, ".git")
	if err := g.init(ctx, dir, r.format, s.Branch, false); err != nil {
		return "", err
	}
	if err := r.cutOff(gitDir); err != nil {
		return "", err
	}
	both, own := r.readBy(gitDir), where{gitDir: gitDir, workTree: dir}
	commit, err = g.line(ctx, both, "rev-parse", "--verify", "--quiet", "--end-of-options", id+"^{commit}")
	if err != nil || !isCommitID(commit) {
		if ctx.Err() != nil {
			return "", err
		}
		return "", problem(CodeNoBase, "repository %s has no commit, branch or tag %q", r.path, s.Base)
	}
	if err := g.measure(ctx, both, commit); err != nil {
		return "", err
	}
	if err := g.copy(ctx, both, own, commit, nil); err != nil {
		return "", err
	}
	if _, err := g.output(ctx, own, nil, "update-ref", "refs/heads/"+s.Branch, commit); err != nil {
		return "", err
	}
	if _, err := g.output(ctx, own, nil, "read-tree", "--reset", "-u", commit); err != nil {
		return "", err
	}
	return commit, identify(gitDir, s.Agent)
}

// measure refuses a commit whose files are more or larger than allowed. Packed,
// they may look small.
func (g *git) measure(ctx context.Context, w where, commit string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := g.command(ctx, w, "ls-tree", "-r", "-l", "-z", "--full-tree", commit)
	complaints := &bounded{most: 4 << 10, drop: true}
	cmd.Stderr = complaints
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("git ls-tree: %w", err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	lines.Split(untilNUL)
	var bytes int64
	var files int
	for lines.Scan() {
		files++
		bytes += fileSize(lines.Bytes())
		if files > g.limits.Files || bytes > g.limits.Bytes {
			stop()
			cmd.Wait()
			return problem(CodeTooLarge, "commit %.12s has more than %d files or %d bytes", commit, g.limits.Files, g.limits.Bytes)
		}
	}
	if lines.Err() != nil {
		stop()
		cmd.Wait()
		return fmt.Errorf("git ls-tree: %w", lines.Err())
	}
	if err := cmd.Wait(); err != nil {
		return g.failed(ctx, "ls-tree", err, complaints)
	}
	return nil
}

// fileSize reads the size in a line of ls-tree: mode, type, object, size, tab, name.
func fileSize(line []byte) int64 {
	head, _, _ := bytes.Cut(line, []byte("\t"))
	fields := bytes.Fields(head)
	if len(fields) != 4 {
		return 0
	}
	n, err := strconv.ParseInt(string(fields[3]), 10, 64)
	if err != nil || n < 0 {
		return 0 // a submodule
	}
	return n
}

func untilNUL(data []byte, end bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if end && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// identify lets the agent commit. Its name was checked: it needs no quoting.
func identify(gitDir, agent string) error {
	f, err := os.OpenFile(filepath.Join(gitDir, "config"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "[user]\n\tname = %s\n\temail = %s@hermes.invalid\n", agent, agent)
	return errors.Join(err, f.Close())
}

func (c *Checkout) write(runDir string) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(runDir, checkoutFile), b, 0o600)
}

// Open returns the clone in a run's folder, made for this run or taken over
// from an earlier one. The error matches fs.ErrNotExist if there is none.
func Open(runDir string) (*Checkout, error) {
	info, err := os.Lstat(filepath.Join(runDir, "workspace", Folder))
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(runDir, checkoutFile))
	if err != nil {
		return nil, err
	}
	c := &Checkout{}
	if err := json.Unmarshal(b, c, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s: %w", checkoutFile, err)
	}
	if !info.IsDir() || !isCommitID(c.Base) || checkName("branch", c.Branch) != nil {
		return nil, fmt.Errorf("%s: %w", checkoutFile, fs.ErrInvalid)
	}
	return c, nil
}
