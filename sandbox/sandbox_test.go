package sandbox_test

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// fake is a backend that enforces what it is told to.
type fake struct {
	name string
	caps driver.Capabilities
	got  *driver.Spec
}

func (f *fake) Name() string                      { return f.name }
func (f *fake) Capabilities() driver.Capabilities { return f.caps }
func (f *fake) Cgroup(string) string              { return "" }
func (f *fake) Layout(s *driver.Spec) driver.Layout {
	return driver.Layout{Program: "/in" + s.Program, SocketDir: "/in" + s.SocketDir}
}
func (f *fake) Probe(context.Context) driver.Report { return driver.Report{Available: true} }
func (f *fake) Start(_ context.Context, spec *driver.Spec) (driver.Session, error) {
	f.got = spec
	return ended{}, nil
}

type ended struct{}

func (ended) PID() int                         { return 0 }
func (ended) Wait() (driver.ExitStatus, error) { return driver.ExitStatus{}, nil }
func (ended) Signal(syscall.Signal) error      { return nil }
func (ended) Alive() bool                      { return false }
func (ended) Kill() error                      { return nil }
func (ended) Close() error                     { return nil }

func TestCheckNamesEveryGap(t *testing.T) {
	box := sandbox.New(&fake{name: "x", caps: driver.Files | driver.Socket})
	err := box.Check(driver.Files | driver.NetworkNone | driver.LimitMemory)
	var gap *sandbox.GapError
	if !errors.As(err, &gap) || gap.Driver != "x" || gap.Missing != driver.NetworkNone|driver.LimitMemory {
		t.Fatalf("got %v, want a gap", err)
	}
	if got, want := err.Error(), "sandbox x cannot enforce: network.none, limit.memory"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := box.Check(driver.Files); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestStartFillsMarkAndKeepsSpec(t *testing.T) {
	drv := &fake{name: "x", caps: driver.NetworkNone}
	spec := &sandbox.Spec{Argv: []string{"true"}, Workspace: "/w"}
	var marks []string
	for range 2 {
		s, err := sandbox.New(drv).Start(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		marks = append(marks, s.Mark())
	}
	if spec.Mark != "" || len(marks[0]) < 20 || marks[0] == marks[1] || drv.got.Mark != marks[1] {
		t.Errorf("got marks %q and spec's %q, want two random ones and an untouched spec", marks, spec.Mark)
	}
}

func TestProxyNetwork(t *testing.T) {
	drv := &fake{name: "x", caps: driver.NetworkProxy | driver.Socket}
	spec := &sandbox.Spec{
		Argv: []string{"curl", "--fail"}, Env: []string{"A=1", "https_proxy=http://evil.test", "NO_PROXY=*", "All_Proxy=x"},
		Workspace: "/w", Program: "/hermes", SocketDir: "/s", Network: sandbox.ProxyNetwork,
	}
	s, err := sandbox.New(drv).Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if got, want := drv.got.Argv, []string{"/in/hermes", "worker", "init", "--listen", "127.0.0.1:8787", "--to", "/in/s/proxy", "--", "curl", "--fail"}; !slices.Equal(got, want) {
		t.Errorf("got argv %q, want %q", got, want)
	}
	slices.Sort(drv.got.Env)
	if got, want := drv.got.Env, []string{
		"A=1", "HTTPS_PROXY=http://127.0.0.1:8787", "HTTP_PROXY=http://127.0.0.1:8787", "NO_PROXY=localhost,127.0.0.1,::1",
		"http_proxy=http://127.0.0.1:8787", "https_proxy=http://127.0.0.1:8787", "no_proxy=localhost,127.0.0.1,::1",
	}; !slices.Equal(got, want) {
		t.Errorf("got environment %q, want %q", got, want)
	}
	if len(spec.Argv) != 2 || len(spec.Env) != 4 {
		t.Errorf("the caller's spec was changed: %+v", spec)
	}
	for _, change := range []func(*sandbox.Spec){
		func(s *sandbox.Spec) { s.Program = "" },
		func(s *sandbox.Spec) { s.SocketDir = "" },
	} {
		bad := *spec
		change(&bad)
		if _, err := sandbox.New(drv).Start(t.Context(), &bad); !errors.Is(err, sandbox.ErrSpec) {
			t.Errorf("got %v, want %v", err, sandbox.ErrSpec)
		}
	}
}

func TestErrorsHoldNoValues(t *testing.T) {
	for _, env := range [][]string{{"hunter2"}, {"A=hunter2\x00"}, {"PWD=hunter2"}, {"A=hunter2", "A=hunter2"}} {
		_, err := sandbox.New(&fake{name: "x"}).Start(t.Context(), &sandbox.Spec{Argv: []string{"true"}, Workspace: "/w", Env: env})
		if !errors.Is(err, sandbox.ErrSpec) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %q, want %v without the value", err, sandbox.ErrSpec)
		}
	}
}

func TestLeastProcesses(t *testing.T) {
	box := sandbox.New(&fake{name: "x", caps: driver.NetworkNone | driver.LimitProcesses})
	for processes, want := range map[int]error{1: sandbox.ErrSpec, 63: sandbox.ErrSpec, 64: nil} {
		s, err := box.Start(t.Context(), &sandbox.Spec{
			Argv: []string{"true"}, Workspace: "/w", Limits: sandbox.Limits{Processes: processes},
		})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, want) {
			t.Errorf("%d: got %v, want %v", processes, err, want)
		}
	}
}

func TestCapabilityNames(t *testing.T) {
	all := ^driver.Capabilities(0) >> 16
	got, err := driver.ParseCapabilities(all.Names())
	if err != nil || got != all || len(all.Names()) != 16 || all != driver.Persistence<<1-1 {
		t.Errorf("got %v, %v; want every capability named", got, err)
	}
	if _, err := driver.ParseCapabilities([]string{"files", "teleport"}); err == nil || !strings.Contains(err.Error(), "teleport") {
		t.Errorf("got %v, want an error that names it", err)
	}
}

func TestRegistry(t *testing.T) {
	a, b := sandbox.New(&fake{name: "a"}), sandbox.New(&fake{name: "b"})
	r, err := sandbox.NewRegistry(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Get("b"); got != b || err != nil {
		t.Errorf("got %v, %v; want b", got, err)
	}
	if _, err := r.Get("c"); !errors.Is(err, sandbox.ErrUnknown) || !strings.Contains(err.Error(), "a, b") {
		t.Errorf("got %v, want %v with the known names", err, sandbox.ErrUnknown)
	}
	if got := r.All(); !slices.Equal(got, []*sandbox.Sandbox{a, b}) {
		t.Errorf("got %v, want both in order", got)
	}
	if _, err := sandbox.NewRegistry(a, a); err == nil {
		t.Error("got nil for two of one name, want an error")
	}
}

func TestAlias(t *testing.T) {
	a, b := sandbox.New(&fake{name: "a"}), sandbox.New(&fake{name: "b"})
	plain, err := sandbox.NewRegistry(a, b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := plain.WithAlias("old", "b")
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.WithAlias("older", "old"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "old", "older"} {
		if got, err := r.Get(name); got != b || err != nil {
			t.Errorf("%s: got %v, %v; want b", name, got, err)
		}
	}
	if got := r.All(); !slices.Equal(got, []*sandbox.Sandbox{a, b}) {
		t.Errorf("got %v, want each once", got)
	}
	if _, err := plain.Get("old"); !errors.Is(err, sandbox.ErrUnknown) {
		t.Errorf("got %v of the registry without it, want %v", err, sandbox.ErrUnknown)
	}
	if _, err := r.WithAlias("x", "nobody"); !errors.Is(err, sandbox.ErrUnknown) {
		t.Errorf("got %v, want %v", err, sandbox.ErrUnknown)
	}
	for _, taken := range []string{"a", "old"} {
		if _, err := r.WithAlias(taken, "b"); err == nil {
			t.Errorf("got nil for an alias %s that is taken, want an error", taken)
		}
	}
}

// TestImports holds that nothing of this module outside sandbox is imported.
func TestImports(t *testing.T) {
	const own = "github.com/hermesboard/hermes/"
	out, err := exec.Command("go", "list", "-deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if path := strings.TrimSpace(line); strings.HasPrefix(path, own) && !strings.HasPrefix(path, own+"sandbox") {
			t.Errorf("sandbox imports %s", path)
		}
	}
}
