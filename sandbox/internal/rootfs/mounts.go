//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// mounts binds the folders of the spec.
func mounts(spec *driver.Spec) ([]Step, error) {
	plan := []Step{{Kind: Bind, Path: Workspace, Source: spec.Workspace, Writable: true}}
	hermes := spec.Program
	if hermes != "" {
		var err error
		if hermes, err = filepath.EvalSymlinks(hermes); err != nil {
			return nil, err
		}
	}
	for _, own := range []Step{
		{Kind: Bind, Path: inputs, Source: spec.Inputs},
		{Kind: Bind, Path: outputs, Source: spec.Outputs, Writable: true},
		{Kind: Bind, Path: socketDir, Source: spec.SocketDir},
		{Kind: Bind, Path: program, Source: hermes},
	} {
		if own.Source != "" {
			plan = append(plan, own)
		}
	}
	for _, m := range spec.Mounts {
		inside := m.Inside
		if inside == "" {
			inside = m.Host
		}
		if err := checkInside(inside); err != nil {
			return nil, err
		}
		host, err := resolve(m.Host)
		if err != nil {
			return nil, err
		}
		plan = append(plan, Step{Kind: Bind, Path: inside, Source: host, Writable: m.Writable})
	}
	return plan, nil
}

// checkInside refuses mounts over, inside or around what the sandbox makes.
func checkInside(inside string) error {
	for _, own := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/dev", "/sys", Workspace, hermesDir} {
		if inside == own || strings.HasPrefix(inside, own+"/") || strings.HasPrefix(own+"/", strings.TrimSuffix(inside, "/")+"/") {
			return fmt.Errorf("%w: mount at %s collides with the sandbox's own %s", driver.ErrSpec, inside, own)
		}
	}
	for _, own := range []string{"/etc", "/tmp", "/var"} {
		if inside == own {
			return fmt.Errorf("%w: mount at %s hides the sandbox's own", driver.ErrSpec, inside)
		}
	}
	return nil
}

// resolve follows links on the host. Only folders and regular files are given:
// a socket or device is a door to the program behind it.
func resolve(host string) (string, error) {
	path, err := filepath.EvalSymlinks(host)
	if err != nil {
		return "", fmt.Errorf("mount: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("mount: %w", err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: mount %s is neither a folder nor a regular file", driver.ErrSpec, host)
	}
	return path, nil
}

// Prepare checks that the folders of the spec are folders, and makes the two
// places in the workspace where others are mounted. An earlier program may
// have left a link there, which a driver could follow.
func Prepare(spec *driver.Spec) error {
	for _, dir := range []string{spec.Workspace, spec.Inputs, spec.Outputs, spec.SocketDir} {
		if dir == "" {
			continue
		}
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%w: %s is not a folder", driver.ErrSpec, dir)
		}
	}
	if spec.Program != "" {
		if info, err := os.Stat(spec.Program); err != nil {
			return err
		} else if !info.Mode().IsRegular() {
			return fmt.Errorf("%w: %s is not a regular file", driver.ErrSpec, spec.Program)
		}
	}
	root, err := os.OpenRoot(spec.Workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, m := range []struct{ host, inside string }{{spec.Inputs, inputs}, {spec.Outputs, outputs}} {
		if m.host == "" {
			continue
		}
		name := filepath.Base(m.inside)
		info, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = root.Mkdir(name, 0o755)
		} else if err == nil && !info.IsDir() {
			err = fmt.Errorf("%w: %s in the workspace is not a folder", driver.ErrSpec, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
