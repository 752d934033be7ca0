package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hermesboard/hermes/agents"
)

// Program finds the command line program of an agent, looked up in search,
// which is a PATH, and follows its links: that path is the same inside. It is
// empty for runtimes that have no such program. A script is an error, unless the
// program that it is for lies beside it, as in an environment of Python's:
// others are found by a PATH that may be anything.
func Program(ad Adapter, a *agents.Agent, search string) (string, error) {
	v := ad.Version()
	if v.Program == "" {
		return "", nil
	}
	found, err := LookPath(v.Path(a), search)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; install it (%s), or name it with runtime.command", err, v.Line(a))
	}
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(found)
	if err != nil {
		return "", err
	}
	f, err := os.Open(real)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return "", err
	}
	if by, script := bytes.CutPrefix(head, []byte("#!")); script && filepath.Dir(firstWord(by)) != filepath.Dir(real) || len(head) == 0 {
		return "", fmt.Errorf("%s is a script that starts another program: set runtime.command to the program itself", real)
	}
	return real, nil
}

// firstWord is that of the first line.
func firstWord(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	word, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
	return string(word)
}

// Line is the command that installs the version that is wanted.
func (v Version) Line(a *agents.Agent) string { return fmt.Sprintf(v.Install, v.Wanted(a)) }

// LookPath finds a program in a PATH that is not this process's.
func LookPath(name, path string) (string, error) {
	if filepath.IsAbs(name) {
		return name, executable(name)
	}
	for _, dir := range filepath.SplitList(path) {
		if file := filepath.Join(dir, name); filepath.IsAbs(file) && executable(file) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("%q: %w (looked in %s)", name, exec.ErrNotFound, path)
}

func executable(file string) error {
	info, err := os.Stat(file)
	if err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
		err = fmt.Errorf("%s is not a program", file)
	}
	return err
}
