//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

func testWorkspace(t *testing.T, b *box) {
	spec := b.spec(t)
	spec.Outputs, spec.Inputs = t.TempDir(), t.TempDir()
	write(t, filepath.Join(spec.Workspace, "before"), "from the host")
	in := b.Layout(spec)
	spec.Argv = shell(`pwd; cat before; echo ws >"$1/after"; echo out >"$2/result"; mkdir sub`, in.Workspace, in.Outputs)
	out, status := b.run(t, spec)
	if want := in.Workspace + "\nfrom the host"; out != want || !status.Success() {
		t.Errorf("got %q, %v; want %q", out, status, want)
	}
	if got := read(t, filepath.Join(spec.Workspace, "after")) + read(t, filepath.Join(spec.Outputs, "result")); got != "ws\nout\n" {
		t.Errorf("got files %q, want both written", got)
	}
	spec.Dir = in.Workspace + "/sub"
	spec.Argv = shell("pwd")
	if out, _ := b.run(t, b.again(spec)); out != spec.Dir+"\n" {
		t.Errorf("got folder %q, want %q", out, spec.Dir)
	}
}

// again returns the spec without the streams of an earlier run.
func (b *box) again(spec *sandbox.Spec) *sandbox.Spec {
	next := *spec
	next.Stdin, next.Stdout, next.Stderr = nil, nil, nil
	return &next
}

func testInputs(t *testing.T, b *box) {
	attempt := func(b *box) (content string, changed bool) {
		spec := b.spec(t)
		spec.Inputs = t.TempDir()
		file := filepath.Join(spec.Inputs, "file")
		write(t, file, "input")
		spec.Argv = shell(`cat "$1/file"; { echo x >"$1/file" || rm -f "$1/file" || mv "$1/file" "$1/moved"; echo y >"$1/new"; } 2>/dev/null; true`, b.Layout(spec).Inputs)
		content, _ = b.run(t, spec)
		now, err := os.ReadFile(file)
		_, newErr := os.Lstat(filepath.Join(spec.Inputs, "new"))
		return content, err != nil || string(now) != "input" || newErr == nil
	}
	if content, changed := attempt(b); content != "input" || changed && b.has(driver.Files) {
		t.Errorf("got %q, changed %v; want the input, unchanged", content, changed)
	}
	if _, changed := attempt(control()); !changed {
		t.Error("the attempt changes nothing without isolation either")
	}
}

func testMounts(t *testing.T, b *box) {
	host := t.TempDir()
	write(t, filepath.Join(host, "file"), "mounted")
	spec := b.spec(t)
	spec.Argv = shell(`cat "$1/file"`, host)
	spec.Mounts = []sandbox.Mount{{Host: host}}
	if out, _ := b.run(t, spec); out != "mounted" {
		t.Errorf("got %q, want the mounted file", out)
	}
	if !b.has(driver.Files) {
		return
	}
	writable := t.TempDir()
	spec = b.spec(t)
	spec.Mounts = []sandbox.Mount{{Host: host, Inside: "/opt/tools"}, {Host: writable, Inside: "/opt/state", Writable: true}}
	spec.Argv = shell(`cat /opt/tools/file; echo x >/opt/tools/file; echo kept >/opt/state/file`)
	if out, _ := b.run(t, spec); out != "mounted" || read(t, filepath.Join(host, "file")) != "mounted" || read(t, filepath.Join(writable, "file")) != "kept\n" {
		t.Errorf("got %q, want one folder to read and one to write", out)
	}
	spec = b.spec(t)
	spec.Mounts = []sandbox.Mount{{Host: filepath.Join(host, "file"), Inside: "/opt/one"}, {Host: host, Inside: "/tmp/deep/er"}}
	spec.Argv = shell(`cat /opt/one /tmp/deep/er/file; echo x >/opt/one; rm -f /tmp/deep/er/file; mv /tmp/deep /tmp/away`)
	if out, _ := b.run(t, spec); out != "mountedmounted" || read(t, filepath.Join(host, "file")) != "mounted" {
		t.Errorf("got %q, want a file and a folder among others, to read", out)
	}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, m := range []sandbox.Mount{{Host: socket}, {Host: "/dev/null", Inside: "/opt/null"}, {Host: host, Inside: "/"}, {Host: host, Inside: "/usr/local/x"}, {Host: host, Inside: "/proc/1"}} {
		spec := b.spec(t, "exit", "0")
		spec.Mounts = []sandbox.Mount{m}
		if s, err := b.Start(t.Context(), spec); err == nil {
			s.Close()
			t.Errorf("mount %+v: got nil, want an error", m)
		}
	}
}

func testSocket(t *testing.T, b *box) {
	if !b.has(driver.Socket) {
		t.Logf("%s declares no socket", b.Name())
		return
	}
	dir, err := os.MkdirTemp("", "s") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, "w.sock"))
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	go func() { // ends with the listener
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		fmt.Fprintln(conn, "welcome")
		heard <- line
	}()
	defer listener.Close()
	spec := b.spec(t)
	spec.SocketDir = dir
	in := b.Layout(spec)
	spec.Argv = []string{in.Program, insideArg, "greet", in.SocketDir + "/w.sock"}
	if out, _ := b.run(t, spec); out != "welcome\n" {
		t.Errorf("got answer %q, want welcome", out)
	}
	select {
	case line := <-heard:
		if line != "hello\n" {
			t.Errorf("got %q, want hello", line)
		}
	default:
		t.Error("the host's listener heard nothing")
	}
}

func testOpenFiles(t *testing.T, b *box) {
	if !b.has(driver.LimitOpenFiles) {
		t.Logf("%s declares no limit of open files", b.Name())
		return
	}
	spec := b.spec(t)
	spec.Limits.OpenFiles = 61
	spec.Argv = shell("ulimit -Sn; ulimit -Hn")
	if out, _ := b.run(t, spec); out != "61\n61\n" {
		t.Errorf("got limits %q, want 61 for both", out)
	}
}

func testFileSize(t *testing.T, b *box) {
	if !b.has(driver.LimitFileSize) {
		t.Logf("%s declares no limit of file size", b.Name())
		return
	}
	spec := b.spec(t)
	spec.Limits.FileBytes = 1 << 20
	spec.Argv = shell("head -c 3000000 /dev/zero >big")
	b.run(t, spec)
	info, err := os.Stat(filepath.Join(spec.Workspace, "big"))
	if err != nil || info.Size() > 1<<20 {
		t.Errorf("got a file of %d bytes, %v; want at most %d", info.Size(), err, 1<<20)
	}
}

func testTmp(t *testing.T, b *box) {
	if !b.has(driver.LimitTmp) {
		t.Logf("%s declares no limit of temporary files", b.Name())
		return
	}
	spec := b.spec(t)
	spec.Limits.TmpBytes = 4 << 20
	// Every writable place that is no folder of the host is filled.
	spec.Argv = shell(`
for d in / /tmp /var/tmp /run /run/hermes /dev /dev/shm /etc /var /root /home /opt /mnt /sys /proc; do
	head -c 8000000 /dev/zero >$d/fill 2>/dev/null
	n=$(wc -c <$d/fill 2>/dev/null) || n=0
	echo "$d $n"
	rm -f $d/fill
done 2>/dev/null`)
	out, _ := b.run(t, spec)
	written := 0
	for line := range strings.Lines(out) {
		var dir string
		var n int
		if _, err := fmt.Sscan(line, &dir, &n); err != nil {
			t.Fatal(err)
		}
		if n > 4<<20 {
			t.Errorf("got %d bytes into %s, want at most %d", n, dir, 4<<20)
		}
		if n > 0 {
			written++
		}
	}
	if written == 0 {
		t.Errorf("got nothing written anywhere, want /tmp to be usable: %q", out)
	}
}
