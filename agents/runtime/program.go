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
// empty for runtimes that have no such program. A script is an error: it needs
// another program, which is found by a PATH that may be anything.
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
	head := make([]byte, 2)
	if _, err := io.ReadFull(f, head); err != nil || bytes.Equal(head, []byte("#!")) {
		return "", fmt.Errorf("%s is a script that starts another program: set runtime.command to the program itself", real)
	}
	return real, nil
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
