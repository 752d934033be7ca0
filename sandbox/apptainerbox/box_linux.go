//go:build amd64 || arm64

package apptainerbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/canary"
	"github.com/hermesboard/hermes/sandbox/internal/enclosed"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
	"github.com/hermesboard/hermes/sandbox/ocibox/inside"
)

type box struct {
	Options
	image string
}

func (box) Name() string { return Name }

func (b box) Cgroup(mark string) string { return b.Cgroups.Path(mark) }

func (box) Layout(spec *driver.Spec) driver.Layout { return rootfs.Layout(spec) }

func (b box) Capabilities() driver.Capabilities {
	return b.Cgroups.Capabilities() | driver.Files | driver.NetworkNone | driver.NetworkProxy | driver.NetworkFull |
		driver.Processes | driver.Users | driver.Syscalls | driver.LimitOpenFiles | driver.LimitFileSize | driver.Socket
}

// With takes an image and refuses every other setting.
func (b box) With(set driver.Settings) (driver.Driver, error) {
	refuse := func(setting, reason string) error {
		return &driver.SettingError{Driver: Name, Setting: setting, Reason: reason}
	}
	for _, name := range set.Given() {
		if name != "image" {
			return nil, refuse(name, "only an image can be chosen")
		}
	}
	if !filepath.IsAbs(set.Image) || filepath.Clean(set.Image) != set.Image {
		return nil, refuse("image", fmt.Sprintf(
			"%q is not the clean absolute path of a SIF file or of a folder; nothing is fetched from a registry, make one with: apptainer build image.sif docker://IMAGE", set.Image))
	}
	b.image = set.Image
	return b, nil
}

var errNoImage = errors.New("no image is given: hermes config set terminal.singularity_image /path/to/image.sif")

func (b box) find() (string, error) {
	path := b.Path
	for _, name := range []string{"apptainer", "singularity"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		return "", fmt.Errorf("neither apptainer nor singularity is installed (see https://apptainer.org): %w", exec.ErrNotFound)
	}
	_, err := enclosed.Unshare()
	return path, err
}

// Start runs the program in a container.
func (b box) Start(ctx context.Context, spec *driver.Spec) (driver.Session, error) {
	if b.image == "" {
		return nil, errNoImage
	}
	path, err := b.find()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(b.image); err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	if err := rootfs.Prepare(spec); err != nil {
		return nil, err
	}
	own := b.Init
	if own == "" {
		if own, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	order := inside.Order{Token: rand.Text(), Joined: process.SameWriter(spec.Stdout, spec.Stderr), Argv: spec.Argv}
	env := environment(spec, &order)
	argv, err := arguments(spec, b.image, own)
	if err != nil {
		return nil, err
	}
	group, err := b.Cgroups.Make(spec.Mark, spec.Limits)
	if err != nil {
		return nil, err
	}
	return enclosed.Start(ctx, &enclosed.Command{
		Argv: append(append([]string{path}, argv...), order.Command(initPath)...), Env: env, Spec: spec, Group: group,
		Complaint: order.Complaint(), Speakers: []string{"FATAL: "}, Signal: signalMain, Cleanup: func() error { return nil }, Limited: true,
	})
}

// environment is that of the command. What has the prefix is for the program:
// it goes this way because a command line can be read by every user of the host.
func environment(spec *driver.Spec, order *inside.Order) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "LANG=C"}
	given := append([]string{sandbox.MarkVariable + "=" + spec.Mark, "PWD=" + rootfs.WorkingDir(spec)}, spec.Env...)
	for _, entry := range given {
		key, _, _ := strings.Cut(entry, "=")
		order.Keys = append(order.Keys, key)
		env = append(env, "APPTAINERENV_"+entry, "SINGULARITYENV_"+entry)
	}
	return env
}

// signalMain sends sig to the program: what our first program started.
func signalMain(first int, sig syscall.Signal) error {
	all, err := process.Scan()
	if err != nil {
		return err
	}
	byPID := make(map[int]process.Stat, len(all))
	for _, p := range all {
		byPID[p.PID] = p
	}
	var oldest *process.Stat
	for _, p := range all {
		if p.Zombie || !isInit(p.Parent) || !descends(byPID, p.Parent, first) {
			continue
		}
		if oldest == nil || p.Start < oldest.Start || p.Start == oldest.Start && p.PID < oldest.PID {
			oldest = &p
		}
	}
	if oldest == nil {
		return enclosed.ErrNotYet
	}
	return process.Signal(*oldest, sig)
}

func isInit(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.HasPrefix(string(line), initPath+"\x00")
}

// descends reports whether a process is the child of a child … of first.
func descends(byPID map[int]process.Stat, pid, first int) bool {
	for range len(byPID) {
		if pid == first {
			return true
		}
		p, ok := byPID[pid]
		if !ok {
			return false
		}
		pid = p.Parent
	}
	return false
}

// Probe tries to leave a container.
func (b box) Probe(ctx context.Context) driver.Report {
	path, err := b.find()
	if err != nil {
		return driver.Report{Reason: err.Error()}
	}
	said, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return driver.Report{Reason: fmt.Sprintf("%s --version: %v", path, err)}
	}
	report := driver.Report{Version: strings.TrimSpace(string(said))}
	if b.image == "" {
		report.Reason = errNoImage.Error()
	} else if _, err := os.Stat(b.image); errors.Is(err, fs.ErrNotExist) {
		report.Reason = fmt.Sprintf("there is no image %s", b.image)
	} else if err := canary.Shell.Run(ctx, b.Start); err != nil {
		report.Reason = err.Error()
	} else {
		report.Available = true
	}
	return report
}
