//go:build linux && (amd64 || arm64)

package nativebox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
	"github.com/hermesboard/hermes/sandbox/nativebox/stage"
)

type native struct {
	program string
	cgroups *sandbox.Cgroups
	edit    func(*stage.Orders, *process.Command) // takes walls away in tests; nil leaves all
}

func (native) Name() string { return Name }

func (n native) Cgroup(mark string) string { return n.cgroups.Path(mark) }

func (n native) Capabilities() driver.Capabilities {
	return n.cgroups.Capabilities() | driver.Files | driver.NetworkNone | driver.NetworkProxy | driver.NetworkFull |
		driver.Processes | driver.Users | driver.Syscalls | driver.LimitTmp | driver.LimitOpenFiles | driver.LimitFileSize | driver.Socket
}

// Layout returns where the stage mounts the folders of spec.
func (native) Layout(spec *driver.Spec) driver.Layout { return rootfs.Layout(spec) }

// running is the program of this process, also when its file was replaced.
const running = "/proc/self/exe"

// Start starts a stage with its orders in a descriptor, because they hold the
// environment and a command line can be read by every user of the host.
func (n native) Start(ctx context.Context, spec *driver.Spec) (driver.Session, error) {
	if err := rootfs.Prepare(spec); err != nil {
		return nil, err
	}
	o, err := ordersFor(spec)
	if err != nil {
		return nil, err
	}
	cmd := &process.Command{
		Path: n.program, Argv: []string{"hermes", stage.Arg}, Dir: "/", Mark: spec.Mark,
		// What a stage does is quicker without parallel threads.
		Env: []string{sandbox.MarkVariable + "=" + spec.Mark, "GOMAXPROCS=1"}, Attr: spaces(spec.Network),
		IO: process.Streams{Stdin: spec.Stdin, Stdout: spec.Stdout, Stderr: spec.Stderr},
	}
	if n.program == "" {
		cmd.Path = running
	}
	if n.edit != nil {
		n.edit(o, cmd)
	}
	orders, err := file(o)
	if err != nil {
		return nil, err
	}
	defer orders.Close()
	reports, child, err := reportPair()
	if err != nil {
		return nil, err
	}
	defer child.Close()
	group, err := n.cgroups.Make(spec.Mark, spec.Limits)
	if err != nil {
		reports.Close()
		return nil, err
	}
	cmd.Group, cmd.Files = group, []*os.File{orders, child}
	proc, err := process.Start(cmd)
	child.Close() // so that the reports end with the stage
	if err != nil {
		reports.Close()
		return nil, errors.Join(explain(err), group.Remove())
	}
	return open(ctx, &session{stage: proc, group: group, reported: make(chan struct{})}, reports)
}

// spaces are the name spaces that the stage is born in. It has no host user
// but the one of this process, and the capabilities that its work needs.
func spaces(network driver.Network) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: rootfs.UID, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: rootfs.GID, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SYS_RESOURCE, unix.CAP_SETPCAP, stage.KeptCap},
	}
	if network != driver.FullNetwork {
		attr.Cloneflags |= unix.CLONE_NEWNET
	}
	return attr
}

func ordersFor(spec *driver.Spec) (*stage.Orders, error) {
	plan, err := rootfs.Plan(spec)
	if err != nil {
		return nil, err
	}
	dir := rootfs.WorkingDir(spec)
	return &stage.Orders{
		Argv: spec.Argv, Env: append([]string{"PWD=" + dir, sandbox.MarkVariable + "=" + spec.Mark}, spec.Env...), Dir: dir,
		Plan: plan, OwnNetwork: spec.Network != driver.FullNetwork,
		OpenFiles: spec.Limits.OpenFiles, FileBytes: spec.Limits.FileBytes,
	}, nil
}

// file returns a file that reads as the orders.
func file(o *stage.Orders) (*os.File, error) {
	content, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("orders", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "orders")
	if _, err = f.Write(content); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// reportPair joins this process to a stage. It keeps messages apart and can
// carry descriptors.
func reportPair() (ours *net.UnixConn, stages *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	mine, stages := os.NewFile(uintptr(pair[0]), "reports"), os.NewFile(uintptr(pair[1]), "reports")
	defer mine.Close() // FileConn has its own copy
	conn, err := net.FileConn(mine)
	if err != nil {
		stages.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), stages, nil
}
