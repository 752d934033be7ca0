//go:build linux && (amd64 || arm64)

package nativebox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/localbox"
	"github.com/hermesboard/hermes/sandbox/nativebox"
)

// insideArg is the first argument of a copy of this test binary that does one
// of the things below.
const insideArg = "nativebox-inside"

var inside = map[string]func(args []string){
	"take":     take,
	"terminal": terminal,
	"probe":    probe,
	"fill":     fill,
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// take receives the descriptor of a folder at the socket args[0] and reads the
// file canary in it.
func take(args []string) {
	conn, err := net.Dial("unix", args[0])
	check(err)
	data, control := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(data, control)
	check(err)
	messages, err := unix.ParseSocketControlMessage(control[:n])
	check(err)
	fds, err := unix.ParseUnixRights(&messages[0])
	check(err)
	file, err := unix.Openat(fds[0], "canary", unix.O_RDONLY, 0)
	check(err)
	io.Copy(os.Stdout, os.NewFile(uintptr(file), "canary"))
}

// terminal sends a line through a pseudo terminal.
func terminal([]string) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	check(err)
	check(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	check(err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	check(err)
	fmt.Fprint(slave, "through")
	got := make([]byte, len("through"))
	_, err = io.ReadFull(master, got)
	check(err)
	fmt.Println(string(got))
}

// probe forbids user name spaces for its own and prints what the probe says.
func probe([]string) {
	check(os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0))
	check(sandbox.Supervise())
	report := nativebox.New(nil).Probe(context.Background())
	fmt.Println(report.Available, report.Reason)
}

// fill makes empty files in /tmp until no more can be made.
func fill([]string) {
	n := 0
	for ; n < 100_000; n++ {
		f, err := os.Create(fmt.Sprintf("/tmp/%d", n))
		if err != nil {
			break
		}
		f.Close()
	}
	fmt.Println(n < 100_000 && n > 100)
}

// run runs a copy of this binary, or argv if it is given, and returns what it
// printed.
func run(t *testing.T, box *sandbox.Sandbox, spec *sandbox.Spec, do ...string) string {
	t.Helper()
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	if report := box.Probe(t.Context()); !report.Available {
		if os.Getenv("CI") == "true" {
			t.Fatal(report.Reason)
		}
		t.Skip(report.Reason)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	spec.Workspace, spec.Program, spec.Stdout = t.TempDir(), self, &out
	if spec.Argv == nil {
		spec.Argv = append([]string{box.Layout(spec).Program, insideArg}, do...)
	}
	s, err := box.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return out.String()
}

// TestSecondFence hands a folder of the host in, which no mount keeps away.
func TestSecondFence(t *testing.T) {
	if !strings.HasPrefix(bare().Probe(t.Context()).Version, "Landlock") {
		t.Skip("no Landlock here")
	}
	host, err := os.MkdirTemp("", "s") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(host)
	if err := os.WriteFile(filepath.Join(host, "canary"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(host, "w.sock"))
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.Open(host)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	var server sync.WaitGroup
	defer server.Wait()
	defer listener.Close()
	server.Go(func() {
		for { // until the listener is closed
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.(*net.UnixConn).WriteMsgUnix([]byte{0}, unix.UnixRights(int(folder.Fd())), nil)
			conn.Close()
		}
	})
	spec := &sandbox.Spec{SocketDir: host}
	at := func(box *sandbox.Sandbox) string { return box.Layout(spec).SocketDir + "/w.sock" }
	if got := run(t, bare(), spec, "take", at(bare())); got != "permission denied\n" {
		t.Errorf("got %q, want permission denied", got)
	}
	control := localbox.New()
	spec = &sandbox.Spec{SocketDir: host, Network: sandbox.FullNetwork}
	if got := run(t, control, spec, "take", at(control)); got != "secret" {
		t.Errorf("without isolation: got %q, want the file", got)
	}
}

// TestStageClosed reaches for the process that holds the sandbox together.
func TestStageClosed(t *testing.T) {
	got := run(t, bare(), &sandbox.Spec{Env: []string{"PATH=/usr/bin:/bin"}, Argv: []string{"/bin/sh", "-c", `exec 2>/dev/null
cat /proc/1/environ /proc/1/maps /proc/1/task/*/environ
for link in exe cwd root fd/0 fd/1 fd/3 fd/4 ns/mnt; do readlink /proc/1/$link; done
cat /proc/sys/user/max_user_namespaces`}})
	if got != "0\n" {
		t.Errorf("got %q, want nothing but the number of further user name spaces, 0", got)
	}
}

// TestStageSignalled sends every signal to it from inside.
func TestStageSignalled(t *testing.T) {
	script := "i=0; while [ $i -lt 64 ]; do i=$((i+1)); kill -$i 1; done 2>/dev/null; echo on"
	if got := run(t, bare(), &sandbox.Spec{Argv: []string{"/bin/sh", "-c", script}}); got != "on\n" {
		t.Errorf("got %q, want the program to go on", got)
	}
}

func TestTerminal(t *testing.T) {
	if got := run(t, bare(), &sandbox.Spec{}, "terminal"); got != "through\n" {
		t.Errorf("got %q, want a terminal that works", got)
	}
}

func TestManyFiles(t *testing.T) {
	if got := run(t, bare(), &sandbox.Spec{Limits: sandbox.Limits{TmpBytes: 1 << 20}}, "fill"); got != "true\n" {
		t.Errorf("got bounded %q, want true", got)
	}
}

// TestLinkInWorkspace finds a link where a folder is to be mounted.
func TestLinkInWorkspace(t *testing.T) {
	victim, workspace := t.TempDir(), t.TempDir()
	if err := os.Symlink(victim, filepath.Join(workspace, "outputs")); err != nil {
		t.Fatal(err)
	}
	s, err := bare().Start(t.Context(), &sandbox.Spec{Argv: []string{"/bin/true"}, Workspace: workspace, Outputs: t.TempDir()})
	if err == nil {
		s.Close()
		t.Error("got a session, want an error")
	}
}

// TestNoStage starts programs that are not one.
func TestNoStage(t *testing.T) {
	if err := sandbox.Supervise(); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{"/bin/true": "nativebox/stage", "/no/such/program": "no such file"} {
		box := nativebox.New(&nativebox.Options{Program: program})
		s, err := box.Start(t.Context(), &sandbox.Spec{Argv: []string{"/bin/true"}, Workspace: t.TempDir()})
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", program, err, want)
		}
	}
}

// TestForbidden probes where user name spaces are forbidden.
func TestForbidden(t *testing.T) {
	run(t, bare(), &sandbox.Spec{Argv: []string{"/bin/true"}}) // or it is skipped
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, insideArg, "probe")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := string(out); !strings.HasPrefix(got, "false ") || !strings.Contains(got, "user.max_user_namespaces is 0") {
		t.Errorf("got %q, want it not available and the setting named", got)
	}
}
