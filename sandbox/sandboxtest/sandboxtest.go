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
	ready(t, newBox())
	runAll(t, newBox, core)
}

// ready skips where the backend does not work.
func ready(t *testing.T, box *sandbox.Sandbox) {
	t.Helper()
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	if report := box.Probe(t.Context()); !report.Available {
		skip(t, fmt.Sprintf("sandbox %s does not work here: %s", box.Name(), report.Reason))
	}
}

// All reports whether the variable HERMES_TEST_SANDBOX is "all": then what
// takes long is tested as well, unless tests are to be short.
func All() bool { return os.Getenv("HERMES_TEST_SANDBOX") == "all" && !testing.Short() }

// Long skips a test that takes long, unless all are asked for.
func Long(t testing.TB) {
	t.Helper()
	if !All() {
		t.Skip("takes long; wants HERMES_TEST_SANDBOX=all: make sandboxes")
	}
}

// RunSlow is Run for a backend whose starts take more than some milliseconds: of each theme it runs
// what says most, and the rest when all is asked for.
func RunSlow(t *testing.T, newBox func() *sandbox.Sandbox) {
	if All() {
		Run(t, newBox)
		return
	}
	ready(t, newBox())
	runAll(t, newBox, slices.DeleteFunc(slices.Clone(core), func(c check) bool {
		return !slices.Contains([]string{
			"exec/arguments", "io/stdin to stdout", "files/workspace", "files/socket", "limits/disk", "life/stop", "tree/kill without environment",
			"isolation/network", "isolation/processes", "isolation/kernel",
		}, c.name)
	}))
}

// RunWithCgroups runs what is asked of control groups on a backend that was
// given those of this host and, when all is asked for, the part of the suite
// that they may change. Without any it is skipped as Run is.
func RunWithCgroups(t *testing.T, newBox func() *sandbox.Sandbox) {
	host := sandbox.DetectCgroups()
	for _, problem := range host.Problems() {
		t.Log(problem)
	}
	if !host.Available() {
		skip(t, "no control groups here")
	}
	ready(t, newBox())
	runAll(t, newBox, cgroups)
	if !All() {
		return
	}
	runAll(t, newBox, slices.DeleteFunc(slices.Clone(core), func(c check) bool {
		theme, _, _ := strings.Cut(c.name, "/")
		return !slices.Contains([]string{"exec", "limits", "life", "tree"}, theme)
	}))
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
	{"limits/disk", testDisk},
	{"limits/disk, below", testDiskBelow},
	{"limits/disk, one file", testDiskOneFile},
	{"limits/disk, others write", testDiskOthers},
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
	{"tree/many stops", testManyStops},
	{"tree/supervisor killed", testSupervisorKilled},
	{"isolation/files", testHostFiles},
	{"isolation/attributes", testAttributes},
	{"isolation/settings", testSettings},
	{"isolation/network", testNetwork},
	{"isolation/proxy", testProxy},
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
// have token in their command line. Zombies have none. What runs on a kernel of
// its own is seen by the processes of that kernel, which name the session's
// mark: tests that look for such a token also make it the mark.
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

// unique returns a token that can be a mark.
func unique(prefix string) string {
	return fmt.Sprintf("%s%dx%d", prefix, os.Getpid(), time.Now().UnixNano())
}
