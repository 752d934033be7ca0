//go:build linux && (amd64 || arm64)

package apptainerbox_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// makeDevices makes what a stand-in run by root shows instead of the host's.
func makeDevices(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		var host unix.Stat_t
		own := filepath.Join(dir, name)
		if err := errors.Join(unix.Stat("/dev/"+name, &host), unix.Mknod(own, unix.S_IFCHR|0o666, int(host.Rdev)), os.Chmod(own, 0o666)); err != nil {
			return err
		}
	}
	return nil
}

// standIn takes Apptainer's arguments, refuses those it does not know, and runs
// the command in bubblewrap, with the host's system for an image.
func standIn(args []string) {
	if len(args) > 0 && args[0] == "--version" {
		fmt.Println("stand-in version 1")
		os.Exit(0)
	}
	argv := []string{"bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--disable-userns",
		"--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		argv = append(argv, "--symlink", "usr/"+link, "/"+link)
	}
	for _, path := range []string{"/proc/sys", "/proc/pressure", "/proc/irq", "/proc/fs"} {
		if _, err := os.Stat(path); err == nil {
			argv = append(argv, "--ro-bind", path, path)
		}
	}
	own, _ := filepath.Glob(filepath.Join(filepath.Dir(os.Args[0]), "dev", "*"))
	for _, device := range own { // or root could change the attributes of the host's
		argv = append(argv, "--dev-bind", device, "/dev/"+filepath.Base(device))
	}
	net := false
	var after []string
	for i := 1; ; i++ {
		switch arg := args[i]; arg {
		case "--userns", "--containall", "--no-home", "--cleanenv", "--no-privs", "--uts", "--ipc", "--pid":
		case "--net":
			net = true
		case "--hostname":
			i++
			argv = append(argv, "--hostname", args[i])
		case "--pwd":
			i++
			after = append(after, "--chdir", args[i])
		case "--network":
			if i++; args[i] != "none" {
				fail("network", args[i])
			}
		case "--mount":
			i++
			argv = append(argv, mount(args[i])...)
		default:
			if strings.HasPrefix(arg, "-") {
				fail("option", arg)
			}
			if !net {
				argv = append(argv, "--share-net")
			}
			argv = append(append(argv, "--remount-ro", "/"), after...)
			start(append(append(argv, "--"), args[i+1:]...))
		}
	}
}

func mount(line string) []string {
	fields, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil || len(fields) < 3 || fields[0] != "type=bind" {
		fail("mount", line)
	}
	how := "--bind"
	if len(fields) == 4 && fields[3] == "ro" {
		how = "--ro-bind"
	}
	return []string{how, strings.TrimPrefix(fields[1], "source="), strings.TrimPrefix(fields[2], "destination=")}
}

// start runs bubblewrap with the variables that are for the program, and with
// some that it adds as the real one does.
func start(argv []string) {
	env := []string{"APPTAINER_CONTAINER=x", "PS1=Apptainer> ", "LD_LIBRARY_PATH=/.singularity.d/libs"}
	for _, entry := range os.Environ() {
		if given, ok := strings.CutPrefix(entry, "APPTAINERENV_"); ok {
			env = append(env, given)
		}
	}
	path, err := exec.LookPath("bwrap")
	if err == nil {
		err = syscall.Exec(path, argv, env)
	}
	fail("bwrap", err)
}

func fail(what string, value any) {
	fmt.Fprintf(os.Stderr, "FATAL:   %s: %v\n", what, value)
	os.Exit(255)
}
