//go:build linux && (amd64 || arm64)

package dockerbox_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/dockerbox"
	"github.com/hermesboard/hermes/sandbox/sandboxtest"
)

// engineVariable tells copies of this program which engine is tested.
const engineVariable = "HERMES_TEST_ENGINE"

// probeArg is the first argument of a copy that probes the engine at the second.
const probeArg = "probe"

func engine() dockerbox.Engine { return dockerbox.Engine(os.Getenv(engineVariable)) }

func TestContained(t *testing.T) {
	for _, e := range []dockerbox.Engine{dockerbox.Docker, dockerbox.Podman} {
		t.Run(string(e), func(t *testing.T) {
			sandboxtest.Escapes(t, func() *sandbox.Sandbox { return withShell(e) })
		})
	}
}

func shellBox() *sandbox.Sandbox {
	return dockerbox.New(&dockerbox.Options{Engine: engine(), Image: shellImage()})
}

func TestMain(m *testing.M) {
	dockerbox.First()
	if len(os.Args) == 3 && os.Args[1] == probeArg {
		fmt.Println(dockerbox.New(&dockerbox.Options{Address: os.Args[2]}).Probe(context.Background()).Reason)
		os.Exit(0)
	}
	sandboxtest.Main(m, shellBox, shellBox)
}

func TestDocker(t *testing.T) { conform(t, dockerbox.Docker) }

func TestPodman(t *testing.T) { conform(t, dockerbox.Podman) }

func conform(t *testing.T, e dockerbox.Engine) {
	if testing.Short() {
		t.Skip("a container takes half a second, and the suite a hundred of them")
	}
	t.Setenv(engineVariable, string(e))
	t.Cleanup(func() { dockerbox.Reap(context.Background(), &dockerbox.Options{Engine: e}, nil) }) // of a supervisor that a test killed
	sandboxtest.RunSlow(t, shellBox)
}

// shellImage is an archive of a root with a shell, always of the same bytes, in
// memory. Without busybox on the host it is a path that does not exist.
var shellImage = sync.OnceValue(func() string {
	archive, err := busyboxArchive()
	if err != nil {
		return "/" + strings.ReplaceAll(err.Error(), "/", "")
	}
	fd, err := unix.MemfdCreate("image", unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	f := os.NewFile(uintptr(fd), "image")
	if _, err := f.Write(archive); err != nil {
		panic(err)
	}
	keep = f
	return fmt.Sprintf("/proc/self/fd/%d", fd)
})

var keep *os.File // its descriptor is shellImage's path

func busyboxArchive() ([]byte, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("busybox (Debian: busybox-static) is not installed")
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := exec.Command(path, "--list").Output()
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h *tar.Header, content []byte) {
		h.Format, h.Size = tar.FormatUSTAR, int64(len(content))
		if err == nil {
			err = w.WriteHeader(h)
		}
		if err == nil {
			_, err = w.Write(content)
		}
	}
	for _, dir := range []string{"bin/", "usr/", "etc/", "tmp/", "var/", "home/", "root/", "opt/"} {
		add(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil)
	}
	add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "usr/bin", Linkname: "../bin"}, nil)
	add(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, program)
	for _, name := range strings.Fields(string(list)) {
		if name != "busybox" {
			add(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox"}, nil)
		}
	}
	if err == nil {
		err = w.Close()
	}
	return buf.Bytes(), err
}
