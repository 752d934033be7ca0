package workspace

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// repository is the operator's. Of its configuration only what says where
// things lie and how objects are named is used.
type repository struct {
	g       *git
	path    string
	gitDir  string // of the work tree at path
	objects string
	shallow string // the file that lists where history was cut off; need not exist
	format  string // sha1 or sha256
}

// repository looks at the repository at an absolute path: a work tree, a
// linked work tree or a bare one.
func (g *git) repository(ctx context.Context, path string) (*repository, error) {
	if err := checkRepo(path); err != nil {
		return nil, err
	}
	gitDir, err := findGitDir(path)
	if err != nil {
		return nil, &Error{CodeNoRepository, "there is no git repository at " + path + ": " + err.Error(), "name the folder that holds .git, or a bare repository"}
	}
	r := &repository{g: g, path: path, gitDir: gitDir}
	// Asked for with the git folder given, git looks for no other and trusts
	// this one, whoever it belongs to: nothing in it is executed.
	out, err := g.line(ctx, r.where(), "rev-parse", "--show-object-format", "--git-path", "objects", "--git-path", "shallow")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 3 {
		return nil, problem(CodeUnsupported, "the folder of repository %s has a name with a line break", path)
	}
	r.format, r.objects, r.shallow = lines[0], filepath.Join("/", lines[1]), filepath.Join("/", lines[2])
	if err := checkRepo(r.objects); err != nil {
		return nil, err
	}
	return r, nil
}

// where is the repository itself. Only commands that list or set refs are run there.
func (r *repository) where() where { return where{gitDir: r.gitDir} }

// readBy is a repository of ours that can also read r's objects.
func (r *repository) readBy(gitDir string) where {
	return where{gitDir: gitDir, alternates: []string{r.objects}}
}

func findGitDir(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	dot := filepath.Join(path, ".git")
	info, err := os.Stat(dot)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, part := range []string{"HEAD", "objects", "refs"} {
			if _, err := os.Stat(filepath.Join(path, part)); err != nil {
				return "", errors.New("neither .git nor a bare repository is there")
			}
		}
		return path, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return filepath.EvalSymlinks(dot)
	case !info.Mode().IsRegular():
		return "", errors.New(".git is neither a folder nor a file")
	}
	b, err := readSmall(dot)
	if err != nil {
		return "", err
	}
	dir, ok := strings.CutPrefix(strings.TrimRight(b, "\r\n"), "gitdir: ")
	if !ok || checkRepo("/"+dir) != nil {
		return "", errors.New(".git does not say where the repository is")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(path, dir)
	}
	return filepath.EvalSymlinks(dir)
}

// readSmall reads a regular file of at most 1 MiB.
func readSmall(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, fs.ErrInvalid)
	}
	b, err := io.ReadAll(io.LimitReader(f, 1<<20+1))
	if err == nil && len(b) > 1<<20 {
		err = errors.New("too large")
	}
	return string(b), err
}

// find returns the object that base names: nothing for HEAD, a full commit, a
// branch, a tag, a remote branch, in this order. What is none of these is
// returned as it is, to be tried as the beginning of a commit.
func (r *repository) find(ctx context.Context, base string) (string, error) {
	if base == "" {
		id, err := r.g.line(ctx, r.where(), "rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD")
		if err != nil || !isCommitID(id) {
			if ctx.Err() != nil {
				return "", err
			}
			return "", problem(CodeNoBase, "repository %s has no commit at its HEAD", r.path)
		}
		return id, nil
	}
	if err := checkName("base", base); err != nil || isCommitID(base) {
		return base, err
	}
	names := []string{"refs/heads/" + base, "refs/tags/" + base, "refs/remotes/" + base}
	refs, err := r.refs(ctx, names...)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if id, ok := refs[name]; ok {
			return id, nil
		}
	}
	return base, nil
}

// refs lists the refs under the given prefixes; no object is looked at.
func (r *repository) refs(ctx context.Context, prefixes ...string) (map[string]string, error) {
	out, err := r.g.output(ctx, r.where(), nil, append([]string{"for-each-ref", "--format=%(objectname) %(refname)"}, prefixes...)...)
	if err != nil {
		return nil, err
	}
	refs := make(map[string]string)
	for line := range strings.Lines(out) {
		if id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && isCommitID(id) {
			refs[name] = id
		}
	}
	return refs, nil
}

// cutOff tells a repository of ours where r's history was cut off, if it was.
func (r *repository) cutOff(gitDir string) error {
	list, err := readSmall(r.shallow)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for line := range strings.Lines(list) {
		if !isCommitID(strings.TrimSuffix(line, "\n")) {
			return problem(CodeUnsupported, "repository %s: its list of shallow commits is damaged", r.path)
		}
	}
	return os.WriteFile(filepath.Join(gitDir, "shallow"), []byte(list), 0o600)
}
