//go:build linux && (amd64 || arm64)

package escape

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

var fileAttempts = []attempt{
	{id: "F1", name: "read or change another client's board", needs: driver.Files, stage: at("home", "boards", "other", "board.db"), try: byPath},
	{id: "F2", name: "read or change the run's own board file", needs: driver.Files, stage: at("home", "boards", "own", "board.db"), try: byPath},
	{id: "F3", name: "read or change the anchors", needs: driver.Files, stage: at("home", "anchors", "own", "checkpoint"), try: byPath},
	{id: "F4", name: "read or change the gateway's configuration", needs: driver.Files, stage: at("home", "profiles", "default", "config.yaml"), try: byPath},
	{id: "F5", name: "read /etc/shadow", needs: driver.Files, stage: stageShadow, try: readShadow},
	{id: "F6", name: "read ssh keys", needs: driver.Files, stage: at("user", ".ssh", "id_ed25519"), try: byPath},
	{id: "F7", name: "write outside the workspace", needs: driver.Files, stage: making("outside", "made"), try: makeFile},
	{id: "F8", name: "climb with ..", needs: driver.Files, stage: at("climbed"), try: climb},
	{id: "F9", name: "through an absolute symbolic link", needs: driver.Files, stage: at("linked"), try: throughLink},
	{id: "F10", name: "a result swapped for a link while it is read", stage: stageRace, try: race},
	{id: "F11", name: "through a hard link", needs: driver.Files, stage: at("hard"), try: hardLink},
	{id: "F12", name: "move the folder one stands in, then climb", needs: driver.Files, stage: at("moved"), try: moveAndClimb},
	{id: "F13", name: "through /proc/self/root, /proc/1/root and open descriptors", needs: driver.Files, stage: at("proc"), try: throughProc},
	{id: "F14", name: "make missing files that programs of the host load", needs: driver.Files, stage: stageMissing, try: makeMissing},
}

// at stages a canary file.
func at(path ...string) func(*scene) (judge, error) {
	return func(s *scene) (judge, error) {
		full, err := s.secret(path...)
		s.args["path"] = full
		return s.byCanary, err
	}
}

func making(path ...string) func(*scene) (judge, error) {
	return func(s *scene) (judge, error) {
		full := filepath.Join(append([]string{s.dir}, path...)...)
		s.args["path"] = full
		return byFile(full), os.MkdirAll(filepath.Dir(full), 0o777)
	}
}

func byPath(in inside) { spoil(in["path"]) }

func makeFile(in inside) { os.WriteFile(in["path"], []byte("made"), 0o600) }

// stageShadow compares digests: the file itself is nobody's output.
func stageShadow(s *scene) (judge, error) {
	b, err := os.ReadFile("/etc/shadow")
	if err != nil {
		return nil, err
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(b))
	return func() (bool, string) { return s.out.has(sum), "read it" }, nil
}

func readShadow(inside) {
	if b, err := os.ReadFile("/etc/shadow"); err == nil {
		fmt.Printf("%x\n", sha256.Sum256(b))
	}
}

func climb(in inside) {
	os.Chdir(in["workspace"])
	spoil(strings.Repeat("../", 30) + in["path"][1:])
	if dir, err := os.Open("."); err == nil {
		for range 30 {
			fd, err := unix.Openat(int(dir.Fd()), "..", unix.O_PATH, 0)
			if err != nil {
				break
			}
			dir.Close()
			dir = os.NewFile(uintptr(fd), "up")
		}
		spoilAt(int(dir.Fd()), in["path"][1:])
		dir.Close()
	}
}

func spoilAt(dir int, name string) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY, 0)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if b, err := io.ReadAll(io.LimitReader(f, 1<<16)); err == nil {
		show(b)
	}
}

func throughLink(in inside) {
	for _, dir := range []string{in["workspace"], in["outputs"], "/tmp"} {
		link := filepath.Join(dir, "link")
		os.Symlink(in["path"], link)
		spoil(link)
		os.Symlink(filepath.Dir(in["path"]), link+"dir")
		spoil(filepath.Join(link+"dir", filepath.Base(in["path"])))
	}
}

// raceTime is for how long a result is read while it changes.
const raceTime = time.Second

func stageRace(s *scene) (judge, error) {
	path, err := s.secret("raced")
	if err != nil {
		return nil, err
	}
	s.args["path"] = path
	got := false
	s.during = func(*sandbox.Session) {
		patience := raceTime
		if s.careless {
			patience = attemptTime / 3 // it is lost at once, but on a busy machine
		}
		for end := time.Now().Add(patience); time.Now().Before(end) && !got; {
			b, _ := s.take("result")
			got = strings.Contains(string(b), canary)
		}
	}
	return func() (bool, string) { return got, "the host read what the link led to" }, nil
}

// take reads a result as the supervisor does, or as a careless one would.
func (s *scene) take(name string) ([]byte, error) {
	if s.careless {
		return os.ReadFile(filepath.Join(s.outputs, name))
	}
	r, _, err := sandbox.OpenArtifact(s.outputs, name, 1<<20)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func race(in inside) {
	if os.Chdir(in["outputs"]) != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		untilLooked()
		close(done)
	}()
	for {
		select {
		case <-done:
			return
		default:
		}
		os.WriteFile("plain", []byte("plain"), 0o644)
		os.Rename("plain", "result")
		os.Symlink(in["path"], "sly")
		os.Rename("sly", "result")
	}
}

func hardLink(in inside) {
	for _, dir := range []string{in["workspace"], in["outputs"], "/tmp"} {
		link := filepath.Join(dir, "hard")
		if os.Link(in["path"], link) == nil {
			spoil(link)
		}
	}
}

func moveAndClimb(in inside) {
	deep := filepath.Join(in["workspace"], "a", "b", "c")
	os.MkdirAll(deep, 0o755)
	if os.Chdir(deep) != nil {
		return
	}
	for i, to := range []string{in["outputs"], "/tmp", in["workspace"]} {
		os.Rename(filepath.Join(in["workspace"], "a", "b"), filepath.Join(to, fmt.Sprint("moved", i)))
		spoil(strings.Repeat("../", 30) + in["path"][1:])
	}
}

func throughProc(in inside) {
	for _, root := range []string{"/proc/self/root", "/proc/1/root", "/proc/self/task/1/root", "/proc/thread-self/root", "/proc/self/cwd/../../../../../../../../.."} {
		spoil(root + in["path"])
	}
	for fd := range 256 {
		var st syscall.Stat_t
		if syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			spoilAt(fd, strings.Repeat("../", 30)+in["path"][1:])
			spoil(fmt.Sprintf("/proc/self/fd/%d/%s%s", fd, strings.Repeat("../", 30), in["path"][1:]))
		}
	}
}

var missing = []string{"user/.bashrc", "user/.gitconfig", "repository/.git/config", "repository/.git/hooks/post-checkout", "home/profiles/default/planner.yaml"}

func stageMissing(s *scene) (judge, error) {
	s.args["path"] = s.dir
	for _, name := range missing {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(s.dir, name)), 0o777); err != nil {
			return nil, err
		}
	}
	return func() (bool, string) {
		for _, name := range missing {
			if _, err := os.Lstat(filepath.Join(s.dir, name)); err == nil {
				return true, "made " + filepath.Base(name)
			}
		}
		return false, ""
	}, nil
}

func makeMissing(in inside) {
	for _, name := range missing {
		path := filepath.Join(in["path"], name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755)
	}
}
