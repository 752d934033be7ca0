//go:build linux && (amd64 || arm64)

package apptainerbox_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/apptainerbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
	"github.com/hermesboard/hermes/sandbox/sandboxtest/executable"
)

// real names an image for the real program, whose presence is a machine's choice.
const real = "HERMES_TEST_APPTAINER"

// asStandIn is the name under which this binary is a stand-in for the program.
const asStandIn = "apptainer-stand-in"

func box() *sandbox.Sandbox {
	if image := os.Getenv(real); image != "" {
		return open(&apptainerbox.Options{}, image)
	}
	return open(&apptainerbox.Options{Path: os.Getenv("STAND_IN")}, "/usr")
}

func open(opts *apptainerbox.Options, image string) *sandbox.Sandbox {
	own, err := apptainerbox.New(opts).With(sandbox.Settings{Image: image})
	if err != nil {
		panic(err)
	}
	return own
}

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == asStandIn {
		standIn(os.Args[1:])
	}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-test.") { // in a sandbox, or another supervisor
		sandboxtest.Main(m, box, box)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err == nil {
		os.Setenv("STAND_IN", filepath.Join(dir, asStandIn))
		err = errors.Join(os.Symlink(self, os.Getenv("STAND_IN")), makeDevices(filepath.Join(dir, "dev")))
	}
	if err != nil {
		panic(err)
	}
	return m.Run()
}

// TestStandIn runs the suite with a program in Apptainer's place that takes the
// same arguments and runs bubblewrap.
func TestStandIn(t *testing.T) {
	if os.Getenv(real) != "" {
		t.Skip("the real program is tested")
	}
	if _, err := exec.LookPath("bwrap"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	sandboxtest.RunSlow(t, box)
}

func TestReal(t *testing.T) {
	if os.Getenv(real) == "" {
		t.Skipf("%s names no image: Apptainer is in no release of Debian that we test on", real)
	}
	sandboxtest.RunSlow(t, box)
}

// TestArguments looks at what the program is called with.
func TestArguments(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "apptainer")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + dir + "/args\nenv | sort >" + dir + "/env\n"
	executable.Write(t, program, []byte(script))
	workspace, odd := t.TempDir(), filepath.Join(dir, `with "quotes", commas:and colons`)
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := open(&apptainerbox.Options{Path: program, Init: program}, "/usr").Start(t.Context(), &sandbox.Spec{
		Argv: []string{"tool", "a b", "$(id)"}, Env: []string{"TOKEN=secret-91c2"}, Workspace: workspace, Mark: "mark",
		Mounts: []sandbox.Mount{{Host: odd, Inside: "/opt/odd"}, {Host: dir, Inside: "/opt/state", Writable: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	args := strings.Split(read(t, dir+"/args"), "\n")
	for _, want := range [][]string{
		{"exec", "--userns", "--containall", "--no-home", "--cleanenv", "--no-privs"},
		{"--pwd", "/ws"}, {"--net", "--network", "none"},
		{"--mount", "type=bind,source=" + workspace + ",destination=/ws"},
		{"--mount", `type=bind,"source=` + strings.ReplaceAll(odd, `"`, `""`) + `",destination=/opt/odd,ro`},
		{"--mount", "type=bind,source=" + dir + ",destination=/opt/state"},
		{"--mount", "type=bind,source=" + program + ",destination=/run/hermes/bin/init,ro"},
		{"/usr", "/run/hermes/bin/init"}, {"tool", "a b", "$(id)"},
	} {
		if !holds(args, want) {
			t.Errorf("got %q, want %q in it", args, want)
		}
	}
	if strings.Contains(strings.Join(args, " "), "secret-91c2") {
		t.Errorf("got the secret in the arguments %q", args)
	}
	env := strings.Split(read(t, dir+"/env"), "\n")
	for _, want := range []string{"APPTAINERENV_TOKEN=secret-91c2", "SINGULARITYENV_TOKEN=secret-91c2", "APPTAINERENV_HERMES_MARK=mark", "APPTAINERENV_PWD=/ws"} {
		if !slices.Contains(env, want) {
			t.Errorf("got the environment %q, want %q in it", env, want)
		}
	}
}

func holds(all, part []string) bool {
	for i := range all {
		if len(all)-i >= len(part) && slices.Equal(all[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestMissing(t *testing.T) {
	var setting *sandbox.SettingError
	for _, set := range []sandbox.Settings{{Image: "docker://debian"}, {Host: "h"}, {Image: "/usr", User: "u"}} {
		if _, err := apptainerbox.New(nil).With(set); !errors.As(err, &setting) {
			t.Errorf("%+v: got %v, want a %T", set, err, setting)
		}
	}
	if report := apptainerbox.New(&apptainerbox.Options{Path: "/bin/true"}).Probe(t.Context()); report.Available || !strings.Contains(report.Reason, "terminal.singularity_image") {
		t.Errorf("no image: got %+v, want the setting that is missing", report)
	}
	if report := open(&apptainerbox.Options{Path: "/bin/true"}, "/no/such.sif").Probe(t.Context()); report.Available || !strings.Contains(report.Reason, "/no/such.sif") {
		t.Errorf("image missing: got %+v, want its name", report)
	}
	t.Setenv("PATH", t.TempDir())
	if report := apptainerbox.New(nil).Probe(t.Context()); report.Available || !strings.Contains(report.Reason, "apptainer.org") {
		t.Errorf("no program: got %+v, want where to get it", report)
	}
}
