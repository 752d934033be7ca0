//go:build amd64 || arm64

package inside

import (
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/filter"
	"github.com/hermesboard/hermes/sandbox/internal/first"
)

// verb is the first argument of a process that is the first of a container.
const verb = "hermes-container-init"

// exitNotRun is the code of one that could not start the program. What it
// wrote to standard error tells it from a program's own.
const exitNotRun = 127

// Order says what the first process starts, and how.
type Order struct {
	// Token tells what the first process says from what the program says.
	Token string
	// Keys name the variables that the program gets, and no other.
	Keys []string
	// Joined sends the program's standard error where its output goes.
	Joined bool
	// Deaf has signals do nothing, for a sender that finds the program itself:
	// to pass them on costs a start a millisecond. This must then be the first
	// process of its process name space.
	Deaf bool
	// Argv is the program. Without a slash it is looked up in its PATH.
	Argv []string
}

// Command is the command line by which the binary at path carries the order
// out. The first line on standard error begins with [Order.Complaint] if the
// program could not be started.
func (o *Order) Command(path string) []string {
	streams, signals := "apart", "passing"
	if o.Joined {
		streams = "joined"
	}
	if o.Deaf {
		signals = "deaf"
	}
	return append([]string{path, verb, o.Token, streams, signals, strings.Join(o.Keys, "=")}, o.Argv...)
}

// Complaint is how the line begins that says why a program was not started.
func (o *Order) Complaint() string { return verb + " " + o.Token + ": " }

// parse is the inverse of Command.
func parse(args []string) (*Order, bool) {
	if len(args) < 7 || args[1] != verb {
		return nil, false
	}
	return &Order{
		Token: args[2], Joined: args[3] == "joined", Deaf: args[4] == "deaf", Keys: strings.Split(args[5], "="), Argv: args[6:],
	}, true
}

// A process started with an order's command takes over here. To initialise all
// the packages of a large program takes several times as long as all that such a
// process does, and this one comes before most of them: what it imports is
// chosen for that.
func init() {
	order, ok := parse(os.Args)
	if !ok {
		return
	}
	// The filter holds for this thread and what it starts.
	runtime.LockOSThread()
	code, err := order.run()
	if err != nil {
		os.Stderr.WriteString(order.Complaint() + err.Error() + "\n")
	}
	os.Exit(code)
}

func (o *Order) run() (code int, err error) {
	// The program has this process's user: it could otherwise look into it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return exitNotRun, os.NewSyscallError("prctl", err)
	}
	signals := make(chan os.Signal, 64)
	if !o.Deaf {
		signal.Notify(signals, asking...)
	} else if err := first.ResetSignals(); err != nil {
		return exitNotRun, err
	}
	env := pick(os.Environ(), o.Keys)
	path, err := lookPath(o.Argv[0], env)
	if err == nil {
		err = filter.Install()
	}
	if err != nil {
		return exitNotRun, err
	}
	attr := &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}}
	if o.Joined {
		attr.Files[2] = 1
	}
	pid, err := syscall.ForkExec(path, o.Argv, attr)
	if err != nil {
		return exitNotRun, &fs.PathError{Op: "run", Path: path, Err: err}
	}
	if !o.Deaf {
		signal.Notify(signals)      // all others; each takes some time
		go first.Pass(pid, signals) // ends with this process
	}
	status, err := first.Reap(pid)
	if err != nil {
		return exitNotRun, err
	}
	return first.Code(status), nil
}

// asking are the signals that are passed on from the program's first instruction.
var asking = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// pick keeps what the spec gave: a runtime adds variables of its own.
func pick(environ, keys []string) []string {
	given := make(map[string]bool, len(keys))
	for _, key := range keys {
		given[key] = true
	}
	var env []string
	for _, entry := range environ {
		if key, _, _ := strings.Cut(entry, "="); given[key] {
			env = append(env, entry)
		}
	}
	return env
}

// lookPath finds a program as execvp would.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := "/usr/bin:/bin"
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	for folder := range strings.SplitSeq(path, ":") {
		if folder == "" {
			folder = "."
		}
		full := folder + "/" + name
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
}
