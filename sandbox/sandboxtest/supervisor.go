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

// supervisor starts a session that leaves a survivor, and never ends.
func supervisor(box *sandbox.Sandbox, token string) {
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
	spec := &sandbox.Spec{Workspace: dir, Program: self, Stdout: os.Stdout, Stderr: os.Stderr}
	if !box.Capabilities().Has(driver.NetworkNone) {
		spec.Network = sandbox.FullNetwork
	}
	spec.Argv = []string{box.Layout(spec).Program, insideArg, "daemon", "stay", "keep", token}
	if _, err := box.Start(context.Background(), spec); err != nil {
		panic(err)
	}
	fmt.Println(dir)
	stay()
}

// testSupervisorKilled kills a supervisor and looks at what is left.
func testSupervisorKilled(t *testing.T, b *box) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	token := unique("supervised")
	cmd := exec.Command(self, supervisorArg, token)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(out)
	for range 2 { // its folder, and that the survivor is up
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if dir := strings.TrimSpace(line); strings.HasPrefix(dir, os.TempDir()) {
			defer os.RemoveAll(dir)
		}
	}
	if len(hostProcesses(t, token)) < 3 {
		t.Errorf("got %v, want supervisor, main process and survivor", hostProcesses(t, token))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()                         // the error is the kill
	what := "stay\x00keep\x00" + token // the main process alone
	if b.has(driver.Processes) {
		what = token
	}
	deadline := time.Now().Add(patience)
	for len(hostProcesses(t, what)) > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // nobody tells when other people's processes end
	}
	wantGone(t, what)
	for _, left := range hostProcesses(t, token) { // they are this process's children now
		pid, _ := strconv.Atoi(left)
		syscall.Kill(pid, syscall.SIGKILL)
		syscall.Wait4(pid, nil, 0, nil)
	}
}
