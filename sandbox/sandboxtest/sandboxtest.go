//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/localbox"
)

// Run runs the suite on the backend that newBox makes, which is called once
// per subtest. A backend that does not work here skips the suite with its
// reason, and fails it where the variable CI is "true".
func Run(t *testing.T, newBox func() *sandbox.Sandbox) {
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	if report := newBox().Probe(t.Context()); !report.Available {
		skip(t, fmt.Sprintf("sandbox %s does not work here: %s", newBox().Name(), report.Reason))
	}
	runAll(t, newBox, core)
}

// RunWithCgroups runs the part of the suite that control groups may change,
// and what is asked of them besides, on a backend that was given those of this
// host. Without any it is skipped as Run is.
func RunWithCgroups(t *testing.T, newBox func() *sandbox.Sandbox) {
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	host := sandbox.DetectCgroups()
	for _, problem := range host.Problems() {
		t.Log(problem)
	}
	if !host.Available() {
		skip(t, "no control groups here")
	}
	if report := newBox().Probe(t.Context()); !report.Available {
		skip(t, fmt.Sprintf("sandbox %s does not work here: %s", newBox().Name(), report.Reason))
	}
	runAll(t, newBox, slices.DeleteFunc(slices.Clone(core), func(c check) bool {
		theme, _, _ := strings.Cut(c.name, "/")
		return !slices.Contains([]string{"exec", "limits", "life", "tree"}, theme)
	}))
	runAll(t, newBox, cgroups)
}

func skip(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

type check struct {
	name string
	f    func(*testing.T, *box)
}

func runAll(t *testing.T, newBox func() *sandbox.Sandbox, checks []check) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.f(t, &box{newBox()}) })
	}
}

var core = []check{
	{"exec/arguments", testArguments},
	{"exec/exit codes", testExitCodes},
	{"exec/signals", testSignals},
	{"exec/missing program", testMissingProgram},
	{"exec/program not in PATH of the supervisor", testLookPath},
	{"exec/bad specs", testBadSpecs},
	{"exec/gaps", testGaps},
	{"io/stdin to stdout", testStdin},
	{"io/no stdin", testNoStdin},
	{"io/one writer for both", testOneWriter},
	{"io/flood", testFlood},
	{"io/failing writer", testFailingWriter},
	{"io/no descriptors", testDescriptors},
	{"env/exactly as given", testEnv},
	{"files/workspace", testWorkspace},
	{"files/inputs", testInputs},
	{"files/mounts", testMounts},
	{"files/socket", testSocket},
	{"limits/open files", testOpenFiles},
	{"limits/file size", testFileSize},
	{"limits/tmp", testTmp},
	{"life/context", testContext},
	{"life/context before start", testContextBefore},
	{"life/stop", testStop},
	{"life/two at once", testTwoAtOnce},
	{"life/close", testClose},
	{"life/marked", testMarked},
	{"tree/kill", testKillTree},
	{"tree/kill without environment", testKillStray},
	{"tree/main gone first", testMainGone},
	{"tree/two at once", testTwoTrees},
	{"tree/fork storm", testForkStorm},
	{"tree/traced", testTraced},
	{"tree/supervisor killed", testSupervisorKilled},
	{"isolation/files", testHostFiles},
	{"isolation/network", testNetwork},
	{"isolation/processes", testProcesses},
	{"isolation/kernel", testKernel},
}

var cgroups = []check{
	{"limits/memory", testMemory},
	{"limits/processes", testForkBomb},
	{"limits/processor time", testProcessorTime},
	{"cgroup/path", testCgroupPath},
	{"cgroup/strays of two", testStraysOfTwo},
	{"cgroup/left behind", testLeftBehind},
	{"cgroup/outsiders", testOutsiders},
	{"cgroup/in use", testCgroupInUse},
}

// box adds what tests need to a backend.
type box struct{ *sandbox.Sandbox }

// control is the backend without isolation, where attempts must succeed.
func control() *box { return &box{localbox.New()} }

func (b *box) has(c driver.Capabilities) bool { return b.Capabilities().Has(c) }

// spec returns a spec that runs this test binary inside, as the program named
// by args. It asks for the least network that the backend has.
func (b *box) spec(t *testing.T, args ...string) *sandbox.Spec {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &sandbox.Spec{Workspace: t.TempDir(), Program: self}
	s.Argv = append([]string{b.Layout(s).Program, insideArg}, args...)
	if !b.has(driver.NetworkNone) {
		s.Network = sandbox.FullNetwork
	}
	return s
}

// start starts the spec and closes the session when the test ends.
func (b *box) start(t *testing.T, spec *sandbox.Spec) *sandbox.Session {
	t.Helper()
	s, err := b.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// run runs the spec to its end and returns its output.
func (b *box) run(t *testing.T, spec *sandbox.Spec) (stdout string, status sandbox.ExitStatus) {
	t.Helper()
	var out, errs bytes.Buffer
	if spec.Stdout == nil {
		spec.Stdout = &out
	}
	if spec.Stderr == nil {
		spec.Stderr = &errs
	}
	s := b.start(t, spec)
	status = b.wait(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if errs.Len() > 0 {
		t.Logf("%s: stderr: %.500s", b.Name(), errs.String())
	}
	return out.String(), status
}

// patience bounds everything that is waited for.
const patience = 30 * time.Second

func (b *box) wait(t *testing.T, s *sandbox.Session) sandbox.ExitStatus {
	t.Helper()
	await(t, "end of the program", s.Done())
	status, err := s.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: no %s", t.Name(), what)
		panic("unreachable")
	}
}

// lines passes on the lines written to it.
type lines struct {
	c chan string

	mu   sync.Mutex
	rest string // guarded by mu: the unfinished line
}

func newLines() *lines { return &lines{c: make(chan string, 1024)} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest += string(p)
	for {
		line, rest, ok := strings.Cut(l.rest, "\n")
		if !ok {
			return len(p), nil
		}
		l.rest = rest
		l.c <- line
	}
}

// hostProcesses returns the processes of the host, as seen by the host, that
// have token in their command line. Zombies have none.
func hostProcesses(t *testing.T, token string) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		if line, err := os.ReadFile(name); err == nil && bytes.Contains(line, []byte(token)) {
			found = append(found, filepath.Base(filepath.Dir(name)))
		}
	}
	return found
}

func wantGone(t *testing.T, token string) {
	t.Helper()
	if left := hostProcesses(t, token); len(left) > 0 {
		t.Errorf("got processes %v alive, want none", left)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantGap(t *testing.T, err error, b *box, missing driver.Capabilities) {
	t.Helper()
	var gap *sandbox.GapError
	if !errors.As(err, &gap) || gap.Driver != b.Name() || gap.Missing != missing {
		t.Errorf("got error %v, want a gap of %s: %v", err, b.Name(), missing)
	}
}

func shell(script string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", script, "sh"}, args...)
}

func canceled(t *testing.T) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(t.Context())
}

func unique(prefix string) string {
	return fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), time.Now().UnixNano())
}
