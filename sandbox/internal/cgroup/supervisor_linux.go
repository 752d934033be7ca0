package cgroup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// leaf is where a supervisor is in its group. No session has that mark.
const leaf = "supervisor"

// Supervisor is the group of a supervisor, which it is born in, and in which
// the groups of its sessions are made beside it. Nil is none.
type Supervisor struct {
	host *Host
	name string
}

// StartSupervisor starts cmd in a group made for it; in none, and with nil,
// where there are no groups.
func (h *Host) StartSupervisor(cmd *exec.Cmd) (*Supervisor, error) {
	if !h.Available() {
		return nil, cmd.Start()
	}
	// A sweep leaves the group alone while it is locked, and then because it is
	// not empty.
	g := &Group{host: h, mark: "s" + rand.Text()}
	if err := g.claim(); err != nil {
		return nil, fmt.Errorf("make cgroup %s: %w", h.Path(g.mark), err)
	}
	s := &Supervisor{h, g.mark}
	err := s.start(cmd, filepath.Join(g.dir(h.kill), leaf))
	g.lock.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start in cgroup %s: %w", s.Path(), err), s.Remove())
	}
	return s, nil
}

// start starts cmd in the folder in, which it makes.
func (s *Supervisor) start(cmd *exec.Cmd, in string) error {
	if err := os.Mkdir(in, 0o755); err != nil {
		return err
	}
	if !s.host.kill.unified() {
		return s.startFrom(cmd, in)
	}
	fd, err := os.Open(in)
	if err != nil {
		return err
	}
	defer fd.Close()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(fd.Fd())
	return cmd.Start()
}

// startFrom starts cmd from a thread that is in the folder in for that moment.
func (s *Supervisor) startFrom(cmd *exec.Cmd, in string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	enter := func(dir string) error { return put(filepath.Join(dir, "tasks"), strconv.Itoa(0)) } // the calling thread
	err := enter(in)
	if err == nil {
		err = cmd.Start()
	}
	back := enter(s.host.kill.own)
	if err == nil && back != nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
	return errors.Join(err, back)
}

// Path is where the group is, for Host.Alive and Host.Kill, which then are about
// the supervisor, all that it started and all its sessions. Of nil it is empty.
func (s *Supervisor) Path() string {
	if s == nil {
		return ""
	}
	return path.Join(s.host.kill.path, s.name)
}

// Remove removes the group if nobody is in it. What is left is for Host.Kill or
// Host.Sweep.
func (s *Supervisor) Remove() error {
	if s == nil {
		return nil
	}
	if _, err := s.host.removeDead(s.name); !errors.Is(err, errInUse) && !errors.Is(err, unix.EBUSY) {
		return err
	}
	return nil
}

// supervised takes the path of a process's own cgroup apart, if it is that of a
// supervisor: base/hermes/name/supervisor.
func supervised(own string) (base, name string, ok bool) {
	group, ok := strings.CutSuffix(own, "/"+leaf)
	folder, name := path.Dir(group), path.Base(group)
	if !ok || path.Base(folder) != folderName || !isMark(name) {
		return "", "", false
	}
	return path.Dir(folder), name, true
}

// sessions lists the groups of sessions in that of a supervisor.
func (h *hierarchy) sessions(mark string) (marks []string, err error) {
	entries, err := os.ReadDir(filepath.Join(h.folder, mark))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() && isMark(e.Name()) {
			marks = append(marks, e.Name())
		}
	}
	return marks, err
}
