//go:build amd64 || arm64

package ocibox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/enclosed"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// Start makes a bundle and gives it to the runtime.
func (b box) Start(ctx context.Context, spec *driver.Spec) (_ driver.Session, err error) {
	runtime, err := b.find()
	if err != nil {
		return nil, err
	}
	own, err := b.bundle(spec)
	if err != nil {
		return nil, err
	}
	dir, err := makeFolder(spec.Mark)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && dir.lock != nil {
			err = errors.Join(err, dir.remove())
		}
	}()
	if err := own.write(dir); err != nil {
		return nil, err
	}
	group, err := b.Cgroups.Make(spec.Mark, spec.Limits)
	if err != nil {
		return nil, err
	}
	signal := signalMain
	if b.Runtime == GVisor {
		signal = func(first int, sig syscall.Signal) error {
			return signalThrough(first, append(append([]string{runtime}, b.flags(dir)...), "kill", spec.Mark, fmt.Sprint(int(sig))))
		}
	}
	return enclosed.Start(ctx, &enclosed.Command{
		Argv: append(append([]string{runtime}, b.flags(dir)...), "run", "--bundle", dir.path, spec.Mark),
		Env:  []string{"PATH=" + os.Getenv("PATH")}, Spec: spec, Group: group,
		Complaint: own.order.Complaint(), Speakers: []string{"exec " + initPath + ": "}, Failure: dir.failure,
		Signal: signal, Cleanup: dir.remove,
	})
}

func (b box) bundle(spec *driver.Spec) (*bundle, error) {
	if err := rootfs.Prepare(spec); err != nil {
		return nil, err
	}
	plan, err := rootfs.Plan(spec)
	if err != nil {
		return nil, err
	}
	if b.image != "" {
		if plan, err = withImage(plan, b.image); err != nil {
			return nil, err
		}
	}
	init, err := b.resolveInit()
	if err != nil {
		return nil, err
	}
	return &bundle{
		spec: spec, plan: plan, init: init, order: b.order(spec), user: identify(), cgroup: b.cgroupBelow(spec.Mark),
		openDev: b.Runtime == GVisor,
	}, nil
}

// cgroupBelow is where the container's control group is put so that it is
// within the session's. Of version 1 runc takes one below its own by itself; of
// version 2 it would take one beside.
func (b box) cgroupBelow(mark string) string {
	at := b.Cgroup(mark)
	var fs unix.Statfs_t
	if at == "" || unix.Statfs("/sys/fs/cgroup", &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return ""
	}
	return path.Join(at, "container")
}
