//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// supervisor starts a session that leaves a survivor with or without its
// environment, and never ends.
func supervisor(box *sandbox.Sandbox, env, token string) {
	dir, err := os.MkdirTemp("", "supervisor")
	if err == nil {
		err = sandbox.Supervise()
	}
	if err != nil {
		panic(err)
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	spec := &sandbox.Spec{Workspace: dir, Program: self, Mark: token, Stdout: os.Stdout, Stderr: os.Stderr}
	if !box.Capabilities().Has(driver.NetworkNone) {
		spec.Network = sandbox.FullNetwork
	}
	spec.Argv = []string{box.Layout(spec).Program, insideArg, "daemon", "stay", env, token}
	s, err := box.Start(context.Background(), spec)
	if err != nil {
		panic(err)
	}
	fmt.Println("at " + dir + " " + s.Cgroup())
	stay()
}

// killSupervisor starts a supervisor in a process of its own, kills it, and
// returns the path of its session's control group, if it had one.
func (b *box) killSupervisor(t *testing.T, env, token string) (cgroup string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kind := "bare"
	if b.Cgroup("x") != "" {
		kind = "grouped"
	}
	cmd := exec.Command(self, supervisorArg, kind, env, token)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(out)
	for range 2 { // where it is, and that the survivor is up
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if where, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "at "); ok {
			dir, at, _ := strings.Cut(where, " ")
			t.Cleanup(func() { os.RemoveAll(dir) })
			cgroup = at
		}
	}
	if len(hostProcesses(t, token)) < 3 {
		t.Errorf("got %v, want supervisor, main process and survivor", hostProcesses(t, token))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // the error is the kill
	return cgroup
}

// testSupervisorKilled kills a supervisor and looks at what is left.
func testSupervisorKilled(t *testing.T, b *box) {
	token := unique("supervised")
	b.killSupervisor(t, "keep", token)
	what := "stay\x00keep\x00" + token // the main process alone
	if b.has(driver.Processes) {
		what = token
	}
	awaitGone(t, what)
	for _, left := range hostProcesses(t, token) { // they are this process's children now
		pid, _ := strconv.Atoi(left)
		syscall.Kill(pid, syscall.SIGKILL)
		syscall.Wait4(pid, nil, 0, nil)
	}
}

func awaitGone(t *testing.T, token string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for len(hostProcesses(t, token)) > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // nobody tells when other people's processes end
	}
	wantGone(t, token)
}
