package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/usage"
	"github.com/hermesboard/hermes/sandbox/proxy"
)

// The types a backend and its users share. See package driver for their fields.
type (
	Spec           = driver.Spec
	Mount          = driver.Mount
	Limits         = driver.Limits
	Network        = driver.Network
	Layout         = driver.Layout
	Capabilities   = driver.Capabilities
	ExitStatus     = driver.ExitStatus
	Report         = driver.Report
	Settings       = driver.Settings
	SettingError   = driver.SettingError
	TreeAliveError = driver.TreeAliveError
)

// The networks a spec can ask for; the zero value is none.
const (
	NoNetwork    = driver.NoNetwork
	ProxyNetwork = driver.ProxyNetwork
	FullNetwork  = driver.FullNetwork
)

// MarkVariable is the environment variable that carries a session's mark.
const MarkVariable = "HERMES_MARK"

// Sandbox is a backend. It is safe for concurrent use.
type Sandbox struct {
	drv driver.Driver
}

// minProcesses is the least limit of processes: a program in Go or JavaScript
// with fewer dies of a thread that it cannot start.
const minProcesses = 64

// New wraps a driver. It is called by the constructors of driver packages.
func New(drv driver.Driver) *Sandbox { return &Sandbox{drv: drv} }

// Name is the backend's name in configuration and messages.
func (s *Sandbox) Name() string { return s.drv.Name() }

// With returns the backend as a profile's settings want it. A setting that the
// backend cannot honour is a *SettingError; it does no I/O.
func (s *Sandbox) With(set Settings) (*Sandbox, error) {
	given := set.Given()
	if len(given) == 0 {
		return s, nil
	}
	drv, ok := s.drv.(driver.Configurable)
	if !ok {
		return nil, &SettingError{Driver: s.Name(), Setting: given[0], Reason: "it has no settings"}
	}
	own, err := drv.With(set)
	if err != nil {
		return nil, err
	}
	return &Sandbox{drv: own}, nil
}

// Capabilities is what is enforced, on a host where the backend works: by the
// backend, or in its place by this process while a session lives.
func (s *Sandbox) Capabilities() Capabilities { return s.drv.Capabilities() | s.Watched() }

// Watched is the part of the capabilities that no backend enforces but this
// process, which looks and ends a session that has gone beyond: LimitDisk,
// wherever a program can neither reach this process nor write anywhere else.
func (s *Sandbox) Watched() Capabilities {
	own := s.drv.Capabilities()
	if !usage.Supported || !own.Has(driver.Files|driver.Processes) {
		return 0
	}
	return driver.LimitDisk &^ own
}

// Check compares what a profile requires with what the backend enforces.
// The error is a *GapError.
func (s *Sandbox) Check(required Capabilities) error {
	if missing := required &^ s.Capabilities(); missing != 0 {
		return &GapError{Driver: s.drv.Name(), Missing: missing}
	}
	return nil
}

// Probe runs a trivial sandbox and reports whether the backend works on this
// host and its isolation holds. It may take some milliseconds; keep the answer.
func (s *Sandbox) Probe(ctx context.Context) Report { return s.drv.Probe(ctx) }

// Layout says where the folders of spec are found inside, so that variables
// and arguments can name them. It does no I/O.
func (s *Sandbox) Layout(spec *Spec) Layout { return s.drv.Layout(spec) }

// Cgroup is where the processes of a session with that mark will be: the path
// of a control group as /proc/PID/cgroup shows it, and KillCgroup and
// CgroupAlive take it. It is empty where sessions have none. It does no I/O.
func (s *Sandbox) Cgroup(mark string) string { return s.drv.Cgroup(mark) }

// Start runs the program of spec. It returns a *GapError where the spec asks
// for something the backend cannot enforce. That the program does not exist is
// told by Start or, with some backends, by Session.Wait. When ctx ends, the
// whole tree is killed. The caller closes the session. Spec is not kept.
func (s *Sandbox) Start(ctx context.Context, spec *Spec) (*Session, error) {
	own := *spec
	if err := prepare(&own); err != nil {
		return nil, fmt.Errorf("sandbox %s: %w", s.Name(), err)
	}
	if err := s.Check(Needs(&own)); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("sandbox %s: start: %w", s.Name(), err)
	}
	if own.Network == ProxyNetwork {
		if err := s.relay(&own); err != nil {
			return nil, fmt.Errorf("sandbox %s: %w", s.Name(), err)
		}
	}
	var disk *diskWatch
	if own.Limits.DiskBytes > 0 && s.Watched().Has(driver.LimitDisk) {
		var err error
		if disk, err = watchDisk(ctx, &own); err != nil {
			return nil, fmt.Errorf("sandbox %s: %w", s.Name(), err)
		}
		if s.Capabilities().Has(driver.LimitFileSize) {
			disk.bound(&own.Limits)
		}
	}
	drv, err := s.drv.Start(ctx, &own)
	if err != nil {
		return nil, fmt.Errorf("sandbox %s: start %s: %w", s.Name(), spec.Argv[0], err)
	}
	return newSession(ctx, s.Name(), own.Mark, s.Cgroup(own.Mark), drv, disk), nil
}

// relay puts the program of spec behind one that carries connections from the
// sandbox's own loopback to the proxy's socket.
func (s *Sandbox) relay(spec *Spec) error {
	if spec.Program == "" || spec.SocketDir == "" {
		return specError("network", "proxy wants a program and a socket folder")
	}
	inside := s.Layout(spec)
	spec.Argv = proxy.Command(inside.Program, inside.SocketDir, spec.Argv)
	spec.Env = proxy.Environ(spec.Env)
	return nil
}

// Needs is the set of capabilities that a spec asks for.
func Needs(spec *Spec) Capabilities {
	var need Capabilities
	switch spec.Network {
	case NoNetwork:
		need |= driver.NetworkNone
	case ProxyNetwork:
		need |= driver.NetworkProxy
	default:
		need |= driver.NetworkFull
	}
	if spec.SocketDir != "" {
		need |= driver.Socket
	}
	for _, m := range spec.Mounts {
		if m.Inside != "" && m.Inside != m.Host {
			need |= driver.Files
		}
	}
	l := spec.Limits
	for _, limit := range []struct {
		set  bool
		need Capabilities
	}{
		{l.MemoryBytes != 0, driver.LimitMemory},
		{l.MilliCPUs != 0, driver.LimitCPU},
		{l.Processes != 0, driver.LimitProcesses},
		{l.DiskBytes != 0, driver.LimitDisk},
		{l.TmpBytes != 0, driver.LimitTmp},
		{l.OpenFiles != 0, driver.LimitOpenFiles},
		{l.FileBytes != 0, driver.LimitFileSize},
	} {
		if limit.set {
			need |= limit.need
		}
	}
	return need
}

// prepare checks a spec and fills in the mark.
func prepare(spec *Spec) error {
	if len(spec.Argv) == 0 || spec.Argv[0] == "" {
		return specError("argv", "no program given")
	}
	for _, arg := range spec.Argv {
		if strings.ContainsRune(arg, 0) {
			return specError("argv", "contains a NUL byte")
		}
	}
	if err := checkEnv(spec.Env); err != nil {
		return err
	}
	if spec.Workspace == "" {
		return specError("workspace", "not given")
	}
	paths := []struct{ field, path string }{
		{"workspace", spec.Workspace}, {"inputs", spec.Inputs}, {"outputs", spec.Outputs},
		{"socket folder", spec.SocketDir}, {"program", spec.Program}, {"dir", spec.Dir},
	}
	for _, m := range spec.Mounts {
		if m.Host == "" {
			return specError("mount", "no host path given")
		}
		paths = append(paths, struct{ field, path string }{"mount", m.Host}, struct{ field, path string }{"mount", m.Inside})
	}
	for _, p := range paths {
		if p.path == "" {
			continue
		}
		if !filepath.IsAbs(p.path) || filepath.Clean(p.path) != p.path || strings.ContainsRune(p.path, 0) {
			return specError(p.field, fmt.Sprintf("%q is not a clean absolute path", p.path))
		}
	}
	if !slices.Contains([]Network{NoNetwork, ProxyNetwork, FullNetwork}, spec.Network) {
		return specError("network", fmt.Sprintf("%q is unknown", spec.Network))
	}
	l := spec.Limits
	if min(l.MemoryBytes, int64(l.MilliCPUs), int64(l.Processes), l.DiskBytes, l.TmpBytes, int64(l.OpenFiles), l.FileBytes) < 0 {
		return specError("limits", "negative")
	}
	if l.Processes > 0 && l.Processes < minProcesses {
		return specError("limits", fmt.Sprintf("%d processes are too few for the threads of one program, the least is %d", l.Processes, minProcesses))
	}
	if spec.Mark == "" {
		spec.Mark = rand.Text()
	}
	if strings.ContainsFunc(spec.Mark, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}) {
		return specError("mark", "must be letters and digits")
	}
	return nil
}

// checkEnv never puts a value into its error: values may be secrets.
func checkEnv(env []string) error {
	seen := make(map[string]bool, len(env))
	for i, entry := range env {
		key, _, ok := strings.Cut(entry, "=")
		switch {
		case !ok || key == "":
			return specError("env", fmt.Sprintf("entry %d is not KEY=value", i))
		case strings.ContainsRune(entry, 0):
			return specError("env", fmt.Sprintf("%q contains a NUL byte", key))
		case key == "PWD" || key == MarkVariable:
			return specError("env", key+" is set by the sandbox")
		case seen[key]:
			return specError("env", fmt.Sprintf("%q is given twice", key))
		}
		seen[key] = true
	}
	return nil
}
