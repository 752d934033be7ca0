//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// startTime bounds one Start. Engines under load take seconds.
const startTime = 2 * time.Minute

// Capabilities is what the engine and the first process enforce.
func (box) Capabilities() driver.Capabilities {
	return driver.Files | driver.NetworkNone | driver.NetworkProxy | driver.NetworkFull | driver.Processes | driver.Users |
		driver.Syscalls | driver.LimitMemory | driver.LimitCPU | driver.LimitProcesses | driver.LimitTmp |
		driver.LimitOpenFiles | driver.LimitFileSize | driver.Socket
}

// Cgroup is empty: the engine names its control groups itself.
func (box) Cgroup(string) string { return "" }

// Layout is that of the sandboxes that build a root of their own.
func (box) Layout(spec *driver.Spec) driver.Layout { return rootfs.Layout(spec) }

// With honours the image.
func (b box) With(set driver.Settings) (driver.Driver, error) {
	for _, name := range set.Given() {
		if name != "image" {
			return nil, &driver.SettingError{Driver: b.Name(), Setting: name, Reason: "containers run on this host"}
		}
	}
	b.image = set.Image
	return b, nil
}

// Start makes a container whose first process is this program, meets it at the
// door and tells it what to run.
func (b box) Start(ctx context.Context, spec *driver.Spec) (driver.Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("%s took more than %v", b.engine, startTime))
	defer cancel()
	if err := rootfs.Prepare(spec); err != nil {
		return nil, err
	}
	e, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{engine: e, ended: make(chan struct{})}
	if err := s.start(ctx, spec, b); err != nil {
		return nil, errors.Join(err, s.undo())
	}
	return s, nil
}

func (s *session) start(ctx context.Context, spec *driver.Spec, b box) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := s.engine.image(ctx, b.image)
	if err != nil {
		return err
	}
	if s.door, err = openDoor(); err != nil {
		return err
	}
	request, err := s.engine.request(spec, from, s.door, self)
	if err != nil {
		return err
	}
	if b.edit != nil {
		b.edit(&request)
	}
	made, err := s.engine.ContainerCreate(ctx, request)
	if err != nil {
		return fmt.Errorf("create container: %w", err)
	}
	s.id = made.ID
	if err := s.meet(ctx); err != nil {
		return err
	}
	if missing, err := missingLimit(s.first.Stat.PID, &spec.Limits); err != nil {
		return err
	} else if missing != "" {
		return s.engine.limitless(missing)
	}
	return s.run(ctx, spec)
}

// errSilent is what a program that links the C library or does not call Main
// leads to.
var errSilent = errors.New("the container ended before its first process spoke, which is this very program: it must be linked statically")

// meet starts the container and waits for its first process.
func (s *session) meet(ctx context.Context) error {
	var startErr error
	started := make(chan struct{})
	go func() { // ends with ctx at the latest
		defer close(started)
		_, startErr = s.engine.ContainerStart(ctx, s.id, client.ContainerStartOptions{})
	}()
	// It comes before the engine has answered; but an engine whose answer is
	// not awaited may give up the start.
	conn, err := s.door.accept(ctx, func() error {
		select {
		case <-started:
		default:
			return nil // it may take its time
		}
		if startErr != nil {
			return fmt.Errorf("start container: %w", startErr)
		}
		got, err := s.engine.ContainerInspect(ctx, s.id, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) || err == nil && !got.Container.State.Running {
			return errSilent
		}
		return err
	})
	<-started // ctx bounds it
	if err == nil && startErr != nil {
		conn.Close()
		err = fmt.Errorf("start container: %w", startErr)
	}
	if err != nil {
		return err
	}
	s.conn = conn
	s.door.listener.Close() // nobody else comes in
	return s.hold()
}

// hold gets hold of the first process, as the host's kernel knows it.
func (s *session) hold() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var peerErr error
	if err := raw.Control(func(fd uintptr) { peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if peerErr != nil {
		return peerErr
	}
	if peer.Pid == 0 {
		return s.engine.unusable("its processes cannot be seen from here", "run hermes where the engine runs", nil)
	}
	// The id is its own as long as it waits for its order.
	stat, err := process.ReadStat(int(peer.Pid))
	if err == nil {
		s.first, err = process.Open(stat)
	}
	if err != nil {
		return fmt.Errorf("find the container's first process %d: %w", peer.Pid, err)
	}
	return nil
}

// run sends the order and waits until the program was started.
func (s *session) run(ctx context.Context, spec *driver.Spec) error {
	pipes, err := process.OpenPipes(process.Streams{Stdin: spec.Stdin, Stdout: spec.Stdout, Stderr: spec.Stderr})
	if err != nil {
		return err
	}
	notices := json.NewDecoder(io.LimitReader(s.conn, noticeBytes))
	if err := s.order(ctx, spec, pipes.Child(), notices); err != nil {
		pipes.Abandon()
		return err
	}
	s.pipes = pipes
	pipes.Copy()
	go s.listen(notices) // ends when the first process has
	return nil
}

// order sends the order and waits for the answer, until ctx ends.
func (s *session) order(ctx context.Context, spec *driver.Spec, pipes [3]*os.File, notices *json.Decoder) error {
	hurry := context.AfterFunc(ctx, func() { s.conn.SetDeadline(time.Unix(1, 0)) })
	dir := rootfs.WorkingDir(spec)
	o := &order{
		Argv: toBytes(spec.Argv), Dir: dir, OpenFiles: spec.Limits.OpenFiles, FileBytes: spec.Limits.FileBytes,
		Env:   toBytes(append([]string{sandbox.MarkVariable + "=" + spec.Mark, "PWD=" + dir}, spec.Env...)),
		Pipes: [3]bool{spec.Stdin != nil, spec.Stdout != nil, spec.Stderr != nil},
	}
	var ends []*os.File
	for i, end := range pipes {
		if o.Pipes[i] {
			ends = append(ends, end)
		}
	}
	var n notice
	err := sendOrder(s.conn, o, ends)
	if err == nil {
		err = notices.Decode(&n)
	}
	switch {
	case !hurry():
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("speak to the container's first process: %w", err)
	case n.Failed != "":
		return errors.New(n.Failed)
	case !n.Started:
		return errors.New("the container's first process made no sense")
	}
	return nil
}

// undo removes what a start that failed has left.
func (s *session) undo() error {
	close(s.ended)
	return s.Close()
}
