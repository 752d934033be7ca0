//go:build linux && (amd64 || arm64)

package escape

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// moreAttempts go beyond the published list: each is what one wall of a
// backend stands against.
var moreAttempts = []attempt{
	{id: "M1", name: "see the supervisor's environment", stage: stageEnvironment, try: func(inside) {
		for _, entry := range os.Environ() {
			show([]byte(entry))
		}
		for _, name := range []string{"/proc/1/environ", "/proc/self/environ"} {
			if b, err := os.ReadFile(name); err == nil {
				show(b)
			}
		}
	}, bare: true},
	{id: "M2", name: "read the host's shared memory (System V)", needs: driver.Processes, stage: stageSharedMemory, try: readSharedMemory},
	{id: "M3", name: "change the host's name", needs: driver.Users, stage: told, try: func(inside) {
		var name unix.Utsname
		if unix.Uname(&name) == nil && unix.Sethostname(name.Nodename[:clen(name.Nodename[:])]) == nil {
			reached("set it")
		}
	}},
	{id: "M4", name: "write into the system's programs", needs: driver.Files, stage: stageSystem, try: makeFile},
	{id: "M5", name: "change the inputs", needs: driver.Files, stage: stageInputs, try: changeInputs},
	{id: "M6", name: "fill the disk with deleted files", needs: driver.LimitDisk, stage: stageDisk(lost), try: fillDeleted, fatal: true},
	{id: "M7", name: "hide deleted files in a socket", needs: driver.LimitDisk, stage: stageDisk(lost), try: fillFlown, fatal: true},
	{id: "M8", name: "have the disk set aside without writing", needs: driver.LimitDisk, stage: stageDisk(filled), try: setAside, fatal: true},
	{id: "M9", name: "fill the disk by processes that live for a moment", needs: driver.LimitDisk, stage: stageDisk(filled), try: passOn, fatal: true},
	{id: "M10", name: "fill the disk with many large calls at once", needs: driver.LimitDisk, stage: stageDisk(filled), try: fillAtOnce, fatal: true},
}

func clen(b []byte) int {
	if i := strings.IndexByte(string(b), 0); i >= 0 {
		return i
	}
	return len(b)
}

func stageEnvironment(s *scene) (judge, error) {
	const name = "HERMES_ESCAPE_SECRET"
	secret := canary + rand.Text()
	s.secrets["environment"] = secret
	s.env = []string{name + "=" + secret}
	if err := os.Setenv(name, secret); err != nil {
		return nil, err
	}
	s.defers(func() { os.Unsetenv(name) })
	return s.bySecret, nil
}

func stageSharedMemory(s *scene) (judge, error) {
	secret := canary + rand.Text()
	s.secrets["memory"] = secret
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 4096, unix.IPC_CREAT|0o600)
	if err != nil {
		return nil, err
	}
	s.defers(func() { unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	b, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return nil, err
	}
	copy(b, secret)
	return s.bySecret, unix.SysvShmDetach(b)
}

func readSharedMemory(inside) {
	list, _ := os.ReadFile("/proc/sysvipc/shm")
	for line := range strings.Lines(string(list)) {
		var key, id int
		if n, _ := fmt.Sscan(line, &key, &id); n != 2 {
			continue
		}
		b, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
		if err == nil {
			show(b[:min(len(b), 4096)])
			unix.SysvShmDetach(b)
		}
	}
}

// stageSystem looks for a new file beside the host's programs.
func stageSystem(s *scene) (judge, error) {
	path := "/usr/lib/." + canary + rand.Text()
	s.args["path"] = path
	s.defers(func() { os.Remove(path) })
	return byFile(path), nil
}

func stageInputs(s *scene) (judge, error) {
	full := filepath.Join(s.spec.Inputs, "given")
	s.args["path"] = filepath.Join(s.inside.Inputs, "given")
	if err := os.WriteFile(full, []byte("given"), 0o666); err != nil {
		return nil, err
	}
	return func() (bool, string) {
		b, err := os.ReadFile(full)
		return err != nil || string(b) != "given", "changed them"
	}, nil
}

func changeInputs(in inside) {
	os.Chmod(in["path"], 0o666)
	if os.WriteFile(in["path"], []byte("changed"), 0o666) != nil {
		os.Remove(in["path"])
	}
}
