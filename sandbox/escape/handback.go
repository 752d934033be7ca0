//go:build linux && (amd64 || arm64)

package escape

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
)

// Attempts by what is left for the host. Their control is a host that takes
// it as most programs would.
var handBackAttempts = []attempt{
	{id: "H1", name: "a result that is a link", stage: stageLinkBack, try: func(in inside) {
		os.Symlink(in["path"], filepath.Join(in["outputs"], "result"))
	}},
	{id: "H2", name: "a pipe or device as a result", stage: stagePipeBack, try: func(in inside) {
		unix.Mkfifo(filepath.Join(in["outputs"], "pipe"), 0o666)
		unix.Mknod(filepath.Join(in["outputs"], "device"), unix.S_IFCHR|0o666, 1<<8|5) // /dev/zero
	}},
	{id: "H3", name: "an archive that unpacks elsewhere", stage: stageArchive, try: packArchive},
	{id: "H4", name: "names with line ends, escapes and flags", stage: stageNamesBack, try: func(in inside) {
		for _, name := range slyNames {
			os.WriteFile(filepath.Join(in["outputs"], name), []byte("x"), 0o644)
		}
	}},
	{id: "H5", name: "a flood of names", stage: stageManyNames, try: manyNames},
	{id: "H6", name: "a repository whose settings run programs", stage: stageRepository, try: makeRepository},
	{id: "H7", name: "escape sequences in output", stage: stageEscapes, try: func(inside) {
		fmt.Println("\x1b]52;c;cm0gLXJmIH4=\x07\x1b[2J\x1b]0;title\x07\u202eevil\x9b31m")
	}},
}

func stageLinkBack(s *scene) (judge, error) {
	path, err := s.secret("linked-to")
	s.args["path"] = path
	return func() (bool, string) {
		b, _ := s.take("result")
		return strings.Contains(string(b), canary), "the host read what it led to"
	}, err
}

// stagePipeBack opens what was left, without waiting for it.
func stagePipeBack(s *scene) (judge, error) {
	return func() (bool, string) {
		for _, name := range []string{"pipe", "device"} {
			if _, err := os.Lstat(filepath.Join(s.outputs, name)); err != nil {
				continue
			}
			if s.careless {
				fd, err := syscall.Open(filepath.Join(s.outputs, name), syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
				if err == nil {
					syscall.Close(fd)
					return true, "opened a " + name
				}
				continue
			}
			taken := make(chan error, 1)
			go func() {
				_, err := s.take(name)
				taken <- err
			}()
			select {
			case err := <-taken:
				if err == nil {
					return true, "took a " + name
				}
			case <-time.After(10 * time.Second):
				return true, "waits for a " + name
			}
		}
		return false, ""
	}, nil
}

func packArchive(in inside) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"../../../../../../slipped", "../slipped", "fine"} {
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 1, Typeflag: tar.TypeReg})
		w.Write([]byte("x"))
	}
	w.Close()
	os.WriteFile(filepath.Join(in["outputs"], "result.tar"), b.Bytes(), 0o644)
}

// stageArchive takes an archive over: the supervisor stores it as it is.
func stageArchive(s *scene) (judge, error) {
	return func() (bool, string) {
		b, err := s.take("result.tar")
		if err != nil {
			return false, ""
		}
		if s.careless {
			unpack(b, filepath.Join(s.dir, "unpacked", "here"))
		}
		for _, name := range []string{filepath.Join(s.dir, "unpacked", "slipped"), filepath.Join(filepath.Dir(s.outputs), "slipped")} {
			if _, err := os.Lstat(name); err == nil {
				return true, "a file was written elsewhere"
			}
		}
		return false, ""
	}, nil
}

func unpack(b []byte, dir string) {
	os.MkdirAll(dir, 0o755)
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err != nil {
			return
		}
		if strings.Count(h.Name, "..") > 1 {
			continue // one step shows it
		}
		data, _ := io.ReadAll(r)
		os.WriteFile(filepath.Join(dir, h.Name), data, 0o644)
	}
}

var slyNames = []string{"a\nhermes: all tasks done", "\x1b[2J\x1b]0;x\x07", "--help", "-rf", "\u202etxt.exe", "\xff\xfe"}

func stageNamesBack(s *scene) (judge, error) {
	return func() (bool, string) {
		entries, err := os.ReadDir(s.outputs)
		if err != nil {
			return false, ""
		}
		for _, e := range entries {
			if shown := s.display(e.Name()); hasControl(shown) {
				return true, fmt.Sprintf("%q is shown as it is", e.Name())
			}
		}
		return false, ""
	}, nil
}

// display makes a text from inside fit to be shown, or does not care.
func (s *scene) display(text string) string {
	if s.careless {
		return text
	}
	return s.opts.Display(text)
}

// hasControl reports whether a terminal would do something on a text.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e'
	})
}

const manyNamesCount, nameBytes = 2_000, 250

func manyNames(in inside) {
	if os.Chdir(in["outputs"]) != nil {
		return
	}
	for i := range manyNamesCount {
		name := fmt.Sprintf("%d%s", i, strings.Repeat("n", nameBytes-10))
		if fd, err := syscall.Open(name, syscall.O_CREAT|syscall.O_WRONLY, 0o644); err == nil {
			syscall.Close(fd)
		}
	}
	os.WriteFile("result", []byte("x"), 0o644)
}

// stageManyNames takes one result: nobody needs to list what lies beside it.
func stageManyNames(s *scene) (judge, error) {
	return func() (bool, string) {
		before := heap()
		var all []os.DirEntry
		if s.careless {
			all, _ = os.ReadDir(s.outputs)
		}
		s.take("result")
		s.take(strings.Repeat("../", 10*mib/3))
		grown := heap() - before
		runtime.KeepAlive(all)
		return grown > mib/4, fmt.Sprintf("%d KiB of names are held", grown>>10)
	}, nil
}

func makeRepository(in inside) {
	git := filepath.Join(in["workspace"], ".git")
	for _, dir := range []string{"objects", "refs/heads", "hooks"} {
		os.MkdirAll(filepath.Join(git, dir), 0o755)
	}
	os.WriteFile(filepath.Join(git, "HEAD"), []byte("ref: refs/heads/main\n"), 0o644)
	os.WriteFile(filepath.Join(git, "config"), []byte("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tfsmonitor = \"touch '"+in["path"]+"'; false\"\n"), 0o644)
	os.WriteFile(filepath.Join(in["workspace"], "file"), []byte("x"), 0o644)
}

// stageRepository has the careless host ask git what changed.
func stageRepository(s *scene) (judge, error) {
	made := filepath.Join(s.dir, "executed")
	s.args["path"] = made
	return func() (bool, string) {
		if s.careless {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "-C", s.spec.Workspace, "status")
			cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
			cmd.Run()
		}
		if r, _, err := sandbox.OpenArtifact(s.spec.Workspace, ".git/config", mib); err == nil {
			r.Close()
		}
		_, err := os.Lstat(made)
		return err == nil, "the host ran its program"
	}, nil
}

func stageEscapes(s *scene) (judge, error) {
	return func() (bool, string) {
		for line := range strings.Lines(s.out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if line+"\n" != tried && hasControl(s.display(line)) {
				return true, "a terminal would obey"
			}
		}
		return false, ""
	}, nil
}
