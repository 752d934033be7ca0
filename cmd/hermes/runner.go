package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/hermesboard/hermes/agents/supervise"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/sandbox"
)

// controlFD is where a supervisor is told its run; see package agents/start.
const controlFD = 3

func runnerCommand(env Env) *cli.Command {
	c := verb(env, "runner", "", "supervise one run; started by the dispatcher", "", nil, runRunner)
	c.Hidden = true
	return c
}

func runRunner(ctx context.Context, x *call) error {
	// What it was started from may end at any time; a supervisor goes on.
	deafen(syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGINT)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	defer signal.Stop(signals)

	if err := sandbox.Supervise(); err != nil {
		return err
	}
	// What can be done before the run is known costs its start no time.
	home, err := x.home()
	if err != nil {
		return err
	}
	defer home.Close()
	boxes, err := sandboxes()
	if err != nil {
		return err
	}
	control, dir, slot, err := awaitRun()
	if err != nil || dir == "" {
		return err
	}
	defer control.Close()
	if slot != nil {
		defer slot.Close() // frees the host slot; so does our death
	}
	out, err := os.OpenFile(filepath.Join(dir, supervise.RunnerLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	warn := func(err error) { fmt.Fprintf(out, "%s %v\n", time.Now().UTC().Format(time.RFC3339), err) }
	r := runner{call: x, home: home, boxes: boxes, signals: signals, warn: warn}
	if err := r.supervise(ctx, dir, control); err != nil {
		warn(err)
		return err
	}
	return nil
}

// runner is the supervisor of one run.
type runner struct {
	*call
	home    *registry.Home
	boxes   *sandbox.Registry
	signals <-chan os.Signal // each asks it to look at its board
	warn    func(error)
}

// awaitRun waits until this supervisor is told its run. An empty dir means
// that it is not needed any more.
func awaitRun() (control *net.UnixConn, dir string, slot *os.File, err error) {
	f := os.NewFile(controlFD, "control")
	if f == nil {
		return nil, "", nil, usagef("hermes runner is started by the dispatcher")
	}
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, "", nil, usagef("hermes runner is started by the dispatcher")
	}
	control, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, "", nil, usagef("hermes runner is started by the dispatcher")
	}
	buf, rights := make([]byte, 8<<10), make([]byte, 64)
	n, rn, _, _, err := control.ReadMsgUnix(buf, rights)
	if errors.Is(err, io.EOF) || err == nil && n == 0 {
		control.Close()
		return nil, "", nil, nil
	} else if err != nil {
		return nil, "", nil, err
	}
	dir, rest, ok := strings.Cut(string(buf[:n]), "\n")
	if !ok || rest != "" || !filepath.IsAbs(dir) {
		return nil, "", nil, fmt.Errorf("control: %q names no run", buf[:n])
	}
	msgs, err := syscall.ParseSocketControlMessage(rights[:rn])
	if err != nil {
		return nil, "", nil, err
	}
	for _, m := range msgs {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			return nil, "", nil, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			slot = os.NewFile(uintptr(fd), "slot")
		}
	}
	return control, dir, slot, nil
}

func (r *runner) supervise(ctx context.Context, dir string, control io.Reader) error {
	spec, err := supervise.ReadSpec(dir)
	if err != nil {
		return err
	}
	if spec.Home != r.home.Dir() {
		return fmt.Errorf("the run is of %s, this supervisor of %s", spec.Home, r.home.Dir())
	}
	door := newRunDoor(r.home, spec.Assignment, spec.Token, r.ownerOptions(r.home))
	defer door.Close()
	asking, enough := context.WithCancel(ctx)
	defer enough()
	door.showAhead(asking, spec.Assignment.Run.Task)
	nudge, done := make(chan struct{}, 1), make(chan struct{})
	defer close(done)
	go func() { // ends with the run
		for {
			select {
			case <-r.signals:
				select {
				case nudge <- struct{}{}:
				default:
				}
			case <-done:
				return
			}
		}
	}()
	store := registry.OpenArtifacts(r.home.Paths(spec.Assignment.Slug).Artifacts)
	return supervise.Run(ctx, spec, supervise.Deps{
		Door: door, Sandboxes: r.boxes, Store: store, Go: control, Nudge: nudge, Warn: r.warn,
		Open: func(d events.Digest) (io.ReadCloser, error) { return store.Open(d) },
	})
}
