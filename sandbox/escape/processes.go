//go:build linux && (amd64 || arm64)

package escape

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

var processAttempts = []attempt{
	{id: "P1", name: "see processes of the host", needs: driver.Processes, stage: stageVictim, try: func(inside) {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range lines {
			if b, err := os.ReadFile(name); err == nil {
				show(b)
			}
		}
	}},
	{id: "P2", name: "signal the gateway", needs: driver.Processes, stage: stageSignal, try: func(in inside) {
		syscall.Kill(in.pid(), syscall.SIGUSR1)
		unix.Tgkill(in.pid(), in.pid(), unix.SIGUSR1)
		if fd, err := unix.PidfdOpen(in.pid(), 0); err == nil {
			unix.PidfdSendSignal(fd, unix.SIGUSR1, nil, 0)
		}
	}},
	{id: "P3", name: "trace a sibling run", needs: driver.Processes, stage: stageTrace, try: trace},
	{id: "P4", name: "read the environment of other processes", needs: driver.Processes, stage: stageVictim, try: func(in inside) {
		for _, name := range []string{in["pid"], "1", strconv.Itoa(os.Getppid())} {
			if b, err := os.ReadFile("/proc/" + name + "/environ"); err == nil {
				show(b)
			}
		}
	}},
	{id: "P5", name: "make a user namespace of one's own", needs: driver.Syscalls, stage: told, try: func(inside) {
		cmd := again("/proc/self/exe", "namespace")
		cmd.Stdout = os.Stdout
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
		cmd.Run()
	}},
	{id: "P6", name: "mount", needs: driver.Users, stage: told, try: mount},
	{id: "P7", name: "leave or use a setuid program", needs: driver.Users, stage: stageSetuid, try: useSetuid},
	{id: "P8", name: "set the kernel's core_pattern", needs: driver.Users, stage: told, try: rewrite("/proc/sys/kernel/core_pattern")},
	{id: "P9", name: "set the next process id", needs: driver.Users, stage: told, try: rewrite("/proc/sys/kernel/ns_last_pid")},
	{id: "P10", name: "outlive the run as a daemon", stage: stageSurvivor, try: leaveDaemon, bare: true},
}

func (in inside) pid() int {
	pid, _ := strconv.Atoi(in["pid"])
	return pid
}

// again is the command that runs a helper, by a copy of this program. The
// arguments before the last two, an attempt's or a helper's, are those that
// call Inside.
func again(program string, helper ...string) *exec.Cmd {
	return &exec.Cmd{Path: program, Args: append(slices.Clone(os.Args[:len(os.Args)-2]), helper...)}
}

func told(s *scene) (judge, error) { return s.byWord, nil }

func stageVictim(s *scene) (judge, error) {
	_, err := s.victim()
	return s.bySecret, err
}

func stageSignal(s *scene) (judge, error) {
	v, err := s.victim()
	return func() (bool, string) {
		v.settle()
		return v.out.has(signalWord), "it arrived"
	}, err
}

// stageTrace looks whether the victim died with its tracer.
func stageTrace(s *scene) (judge, error) {
	v, err := s.victim()
	return func() (bool, string) {
		if !v.settle() {
			return true, "it died with its tracer"
		}
		return s.bySecret()
	}, err
}

func trace(in inside) {
	if b, err := os.ReadFile("/proc/" + in["pid"] + "/maps"); err == nil && len(b) > 0 {
		show(b)
	}
	syscall.RawSyscall6(syscall.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(in.pid()), 0, unix.PTRACE_O_EXITKILL, 0, 0)
}

func mount(in inside) {
	dir := filepath.Join(in["workspace"], "mnt")
	os.MkdirAll(dir, 0o755)
	if unix.Mount("none", dir, "tmpfs", 0, "size=4096") == nil {
		reached("a tmpfs")
		unix.Unmount(dir, unix.MNT_DETACH)
	}
	if unix.Mount(in["workspace"], dir, "", unix.MS_BIND, "") == nil {
		reached("a bind mount")
		unix.Unmount(dir, unix.MNT_DETACH)
	}
	if unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") == nil {
		reached("the root, mounted anew")
	}
}

// stageSetuid gives a setuid program of root's in, and looks for one that
// came back.
func stageSetuid(s *scene) (judge, error) {
	if os.Getuid() == 0 {
		b, err := os.ReadFile(s.opts.Program)
		if err != nil {
			return nil, err
		}
		given := filepath.Join(s.spec.Inputs, "setuid")
		if err := os.WriteFile(given, b, 0o755); err != nil {
			return nil, err
		}
		if err := os.Chmod(given, os.ModeSetuid|0o755); err != nil {
			return nil, err
		}
		s.args["setuid"] = filepath.Join(s.inside.Inputs, "setuid")
	}
	left := filepath.Join(s.spec.Workspace, "left")
	return func() (bool, string) {
		var st syscall.Stat_t
		if syscall.Lstat(left, &st) == nil && st.Mode&syscall.S_ISUID != 0 && int(st.Uid) == os.Getuid() {
			return true, "a setuid file of the host's user was left"
		}
		return s.byWord()
	}, nil
}

func useSetuid(in inside) {
	left := filepath.Join(in["workspace"], "left")
	os.WriteFile(left, []byte("#!/bin/sh\n"), 0o755)
	os.Chmod(left, os.ModeSetuid|0o755)
	if fd, err := syscall.Open(left+"2", syscall.O_CREAT|syscall.O_WRONLY, 0o4755); err == nil {
		syscall.Close(fd)
		os.Rename(left+"2", left)
	}
	if in["setuid"] != "" && os.Getuid() != 0 {
		cmd := again(in["setuid"], "setuid")
		cmd.Stdout = os.Stdout
		cmd.Run()
	}
}

func setuid([]string) {
	if os.Geteuid() == 0 {
		reached("root, by a setuid program")
	}
}

// rewrite writes a setting of the kernel back as it is.
func rewrite(path string) func(inside) {
	return func(inside) {
		b, err := os.ReadFile(path)
		if err != nil {
			return
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer f.Close()
		if _, err := f.Write(b); err == nil {
			reached("written")
		}
	}
}

// stageSurvivor looks for a process after everything was stopped.
func stageSurvivor(s *scene) (judge, error) {
	token := "survivor-" + filepath.Base(s.dir)
	s.args["token"] = token
	return func() (bool, string) {
		left := withToken(token)
		for _, pid := range left { // a control's, which nothing else ends
			syscall.Kill(pid, syscall.SIGKILL)
		}
		for _, pid := range left {
			for {
				if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
					break // ended, or not ours
				}
			}
		}
		return len(left) > 0, fmt.Sprintf("%d processes are left", len(left))
	}, nil
}

// withToken returns the processes of the host whose command line ends with a
// token. Zombies have none.
func withToken(token string) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil || !bytes.HasSuffix(b, []byte("\x00"+token+"\x00")) {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
		pids = append(pids, pid)
	}
	return pids
}

// leaveDaemon starts a daemon's parent and waits until the daemon is up.
func leaveDaemon(in inside) {
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	startDetached(w, "daemon", in["token"]).Wait()
	w.Close()
	r.Read(make([]byte, 1))
}

func daemon(args []string) { startDetached(os.NewFile(3, "up"), "survivor", args[0]) }

func startDetached(up *os.File, helper, token string) *exec.Cmd {
	cmd := again("/proc/self/exe", helper, token)
	cmd.Env, cmd.ExtraFiles, cmd.SysProcAttr = []string{}, []*os.File{up}, &syscall.SysProcAttr{Setsid: true}
	cmd.Start()
	return cmd
}

// survivor stays, whatever it is told.
func survivor([]string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	os.NewFile(3, "up").Write([]byte("x"))
	time.Sleep(attemptTime)
}
