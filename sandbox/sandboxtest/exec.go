//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

func testArguments(t *testing.T, b *box) {
	want := []string{"a b", "line\nbreak", "", "$(id)", "`id`", "*", "'\"\\", "--", "-x", "\xff\xfe", "é", strings.Repeat("long", 10_000)}
	out, status := b.run(t, b.spec(t, append([]string{"args"}, want...)...))
	if !status.Success() {
		t.Fatalf("got %v, want exit 0", status)
	}
	var got []string
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	want[9] = "\ufffd\ufffd" // as JSON writes bytes that are no text
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got arguments %.300q, want %.300q", got, want)
	}
}

func testExitCodes(t *testing.T, b *box) {
	for _, code := range []int{0, 1, 2, 42, 126, 127, 255} {
		_, status := b.run(t, b.spec(t, "exit", fmt.Sprint(code)))
		if want := (sandbox.ExitStatus{Code: code}); status != want {
			t.Errorf("got %+v, want %+v", status, want)
		}
	}
}

func testSignals(t *testing.T, b *box) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGABRT} {
		spec := b.spec(t)
		spec.Argv = shell("kill -$1 $$", fmt.Sprint(int(sig)))
		_, status := b.run(t, spec)
		if want := (sandbox.ExitStatus{Code: 128 + int(sig), Signal: sig}); status != want {
			t.Errorf("killed by itself: got %+v, want %+v", status, want)
		}
	}
	spec := b.spec(t, "wait")
	out := newLines()
	spec.Stdout = out
	s := b.start(t, spec)
	await(t, "line", out.c)
	if err := s.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := b.wait(t, s); status.Code == 0 || status.Code == 137 {
		t.Errorf("got %v after SIGINT, want an end by it", status)
	}
	if err := s.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: got %v, want %v", err, os.ErrProcessDone)
	}
}

func testMissingProgram(t *testing.T, b *box) {
	for _, argv0 := range []string{"no-such-program", "/no/such/program", "./no-such-program"} {
		spec := b.spec(t)
		spec.Argv = []string{argv0}
		s, err := b.Start(t.Context(), spec)
		if err == nil {
			await(t, "end", s.Done())
			_, err = s.Wait()
			if closeErr := s.Close(); closeErr != nil {
				t.Error(closeErr)
			}
		}
		if err == nil || !strings.Contains(err.Error(), "no-such-program") && !strings.Contains(err.Error(), "/no/such/program") {
			t.Errorf("%s: got %v, want an error that names it", argv0, err)
		}
	}
}

func testLookPath(t *testing.T, b *box) {
	spec := b.spec(t)
	write(t, filepath.Join(spec.Workspace, "only-here"), "#!/bin/sh\necho found\n")
	if err := os.Chmod(filepath.Join(spec.Workspace, "only-here"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec.Argv = []string{"only-here"}
	spec.Env = []string{"PATH=/usr/bin:/bin:" + b.Layout(spec).Workspace}
	if out, status := b.run(t, spec); out != "found\n" || !status.Success() {
		t.Errorf("got %q, %v; want the program of the spec's PATH", out, status)
	}
}

func testBadSpecs(t *testing.T, b *box) {
	for name, change := range map[string]func(*sandbox.Spec){
		"no program":         func(s *sandbox.Spec) { s.Argv = nil },
		"NUL in argument":    func(s *sandbox.Spec) { s.Argv = append(s.Argv, "a\x00b") },
		"NUL in environment": func(s *sandbox.Spec) { s.Env = []string{"A=b\x00C=d"} },
		"no key":             func(s *sandbox.Spec) { s.Env = []string{"=b"} },
		"twice":              func(s *sandbox.Spec) { s.Env = []string{"A=b", "A=c"} },
		"PWD":                func(s *sandbox.Spec) { s.Env = []string{"PWD=/"} },
		"own mark":           func(s *sandbox.Spec) { s.Env = []string{"HERMES_MARK=x"} },
		"mark":               func(s *sandbox.Spec) { s.Mark = "a b" },
		"no workspace":       func(s *sandbox.Spec) { s.Workspace = "" },
		"relative workspace": func(s *sandbox.Spec) { s.Workspace = "ws" },
		"climbing workspace": func(s *sandbox.Spec) { s.Workspace += "/.." },
		"relative dir":       func(s *sandbox.Spec) { s.Dir = "ws" },
		"network":            func(s *sandbox.Spec) { s.Network = "some" },
		"negative limit":     func(s *sandbox.Spec) { s.Limits.OpenFiles = -1 },
	} {
		spec := b.spec(t, "exit", "0")
		change(spec)
		s, err := b.Start(t.Context(), spec)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, sandbox.ErrSpec) {
			t.Errorf("%s: got %v, want %v", name, err, sandbox.ErrSpec)
		}
	}
}

// testGaps asks for everything that the backend does not have.
func testGaps(t *testing.T, b *box) {
	for missing, change := range map[driver.Capabilities]func(*sandbox.Spec){
		driver.NetworkNone:    func(s *sandbox.Spec) { s.Network = sandbox.NoNetwork },
		driver.NetworkProxy:   func(s *sandbox.Spec) { s.Network = sandbox.ProxyNetwork },
		driver.NetworkFull:    func(s *sandbox.Spec) { s.Network = sandbox.FullNetwork },
		driver.LimitMemory:    func(s *sandbox.Spec) { s.Limits.MemoryBytes = 1 << 30 },
		driver.LimitCPU:       func(s *sandbox.Spec) { s.Limits.MilliCPUs = 1000 },
		driver.LimitProcesses: func(s *sandbox.Spec) { s.Limits.Processes = 100 },
		driver.LimitDisk:      func(s *sandbox.Spec) { s.Limits.DiskBytes = 1 << 30 },
		driver.LimitTmp:       func(s *sandbox.Spec) { s.Limits.TmpBytes = 1 << 20 },
		driver.LimitOpenFiles: func(s *sandbox.Spec) { s.Limits.OpenFiles = 100 },
		driver.LimitFileSize:  func(s *sandbox.Spec) { s.Limits.FileBytes = 1 << 20 },
		driver.Files: func(s *sandbox.Spec) {
			s.Mounts = []sandbox.Mount{{Host: t.TempDir(), Inside: "/opt/elsewhere"}}
		},
	} {
		if b.has(missing) {
			continue
		}
		spec := b.spec(t, "exit", "0")
		change(spec)
		s, err := b.Start(t.Context(), spec)
		if err == nil {
			s.Close()
		}
		wantGap(t, err, b, missing)
		wantGap(t, b.Check(missing|b.Capabilities()), b, missing)
	}
	if err := b.Check(b.Capabilities()); err != nil {
		t.Errorf("got %v for what the backend declares, want nil", err)
	}
}

func testEnv(t *testing.T, b *box) {
	t.Setenv("SUPERVISOR_SECRET", "hunter2")
	spec := b.spec(t, "env")
	spec.Mark = "mark1"
	spec.Env = []string{"A=b c", "EMPTY=", "NEWLINE=x\ny", "EQUALS=a=b", "PATH=/usr/bin"}
	out, _ := b.run(t, spec)
	var got []string
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(spec.Env), "HERMES_MARK=mark1", "PWD="+b.Layout(spec).Workspace)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got environment %q, want %q", got, want)
	}
}
