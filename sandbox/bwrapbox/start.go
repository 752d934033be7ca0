//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

type bubblewrap struct {
	path    string
	cgroups *sandbox.Cgroups
	edit    func(options []string) []string // takes some away in tests; nil leaves all
}

func (bubblewrap) Name() string { return Name }

func (b bubblewrap) Cgroup(mark string) string { return b.cgroups.Path(mark) }

func (b bubblewrap) Capabilities() driver.Capabilities {
	return b.cgroups.Capabilities() | driver.Files | driver.NetworkNone | driver.NetworkProxy | driver.NetworkFull | driver.Processes | driver.Users |
		driver.Syscalls | driver.LimitTmp | driver.LimitOpenFiles | driver.LimitFileSize | driver.Socket
}

func (b bubblewrap) find() (string, error) {
	if b.path != "" {
		return b.path, nil
	}
	return exec.LookPath("bwrap")
}

// Start runs bwrap with its options in a descriptor, because they hold the
// environment and a command line can be read by every user of the host.
func (b bubblewrap) Start(ctx context.Context, spec *driver.Spec) (driver.Session, error) {
	path, err := b.find()
	if err != nil {
		return nil, err
	}
	if err := rootfs.Prepare(spec); err != nil {
		return nil, err
	}
	status, child, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &session{complaints: &process.Head{To: spec.Stderr}, statusDone: make(chan struct{})}
	files := fdList{files: []*os.File{child}}
	if s.devices, err = makeDevices(); err == nil {
		if s.tree.Group, err = b.cgroups.Make(spec.Mark, spec.Limits); err == nil {
			err = s.run(path, spec, &files, b.edit)
		}
	}
	files.close() // our copy of the status pipe's end, too
	if err != nil {
		return nil, errors.Join(err, status.Close(), s.tree.Group.Remove(), s.devices.remove())
	}
	return open(ctx, s, status)
}

// run starts bwrap. The first of files is the status pipe.
func (s *session) run(path string, spec *driver.Spec, files *fdList, edit func([]string) []string) error {
	options, err := arguments(spec, s.devices.dir, files)
	if err != nil {
		return err
	}
	if edit != nil {
		options = edit(options)
	}
	optionsFD, err := files.data("options", []byte(strings.Join(options, "\x00")+"\x00"))
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		program, err := memoryCopy(path)
		if err != nil {
			return err
		}
		defer program.Close()
		path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), program.Fd())
	}
	var stderr io.Writer = s.complaints
	stdout := spec.Stdout
	if process.SameWriter(stdout, spec.Stderr) {
		stdout = stderr // still one pipe, so that writes do not overlap
	}
	s.tree.Outer, err = process.Start(&process.Command{
		Path: path, Argv: append([]string{"bwrap", "--args", optionsFD, "--"}, spec.Argv...),
		Env: []string{sandbox.MarkVariable + "=" + spec.Mark}, Dir: "/", Files: files.files, Mark: spec.Mark, Group: s.tree.Group,
		IO:        process.Streams{Stdin: spec.Stdin, Stdout: stdout, Stderr: stderr},
		OpenFiles: spec.Limits.OpenFiles, FileBytes: spec.Limits.FileBytes,
	})
	return err
}

// memoryCopy returns a sealed copy of a program. bwrap stays in the sandbox as
// its first process, whose executable is in reach there. Where the host's user
// is root, the host's file would belong to the sandbox's user.
func memoryCopy(path string) (*os.File, error) {
	program, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	fd, err := unix.MemfdCreate("bwrap", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make memory file: %w", err)
	}
	own := os.NewFile(uintptr(fd), "bwrap")
	if _, err = io.Copy(own, program); err == nil {
		_, err = unix.FcntlInt(own.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		own.Close()
		return nil, fmt.Errorf("copy %s to memory: %w", path, err)
	}
	return own, nil
}

// fdList collects what becomes descriptor 3 and up in bwrap.
type fdList struct{ files []*os.File }

func (l *fdList) add(f *os.File) (fd string) {
	l.files = append(l.files, f)
	return strconv.Itoa(2 + len(l.files))
}

// data adds a descriptor that reads as content.
func (l *fdList) data(name string, content []byte) (fd string, err error) {
	raw, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("make memory file: %w", err)
	}
	f := os.NewFile(uintptr(raw), name)
	fd = l.add(f)
	if _, err := f.Write(content); err != nil {
		return "", err
	}
	_, err = f.Seek(0, io.SeekStart)
	return fd, err
}

func (l *fdList) close() {
	for _, f := range l.files {
		f.Close()
	}
	l.files = nil
}
