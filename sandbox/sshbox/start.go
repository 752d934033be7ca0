//go:build unix

package sshbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/hermesboard/hermes/sandbox/driver"
	"github.com/hermesboard/hermes/sandbox/internal/process"
)

// readyTime bounds the start of the helper.
const readyTime = 30 * time.Second

// Start connects, sends what is needed, and starts the program.
func (b box) Start(ctx context.Context, spec *driver.Spec) (_ driver.Session, err error) {
	if b.set.Host == "" {
		return nil, &driver.SettingError{Driver: Name, Setting: "host", Reason: "not given"}
	}
	client, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{box: b, spec: *spec, root: b.root(spec), id: short(spec.Mark + rand.Text())[:8], client: client, joined: process.SameWriter(spec.Stdout, spec.Stderr),
		done: make(chan struct{}), grew: make(chan struct{}, 1),
	}
	stop := context.AfterFunc(ctx, func() { client.Close() })
	if err = s.help(); err == nil {
		err = s.begin()
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.abandon())
	}
	return s, nil
}

// help starts the helper there, and copies it before if it is missing.
func (s *session) help() error {
	helper, err := s.box.binary(s.box.opts.Binary)
	if err != nil {
		return err
	}
	if s.program = helper; s.spec.Program != "" && s.spec.Program != helper.file {
		if s.program, err = s.box.binary(s.spec.Program); err != nil {
			return err
		}
		if s.program.sum != helper.sum {
			if err := upload(s.client, s.program); err != nil {
				return err
			}
		}
	}
	if err = s.run(helper); !errors.Is(err, errNoHelper) {
		return err
	}
	if err := upload(s.client, helper); err != nil {
		return err
	}
	return s.run(helper)
}

// errNoHelper says that the command was not found or could not be executed.
var errNoHelper = errors.New("the helper does not run there (another system or processor than ours?)")

// command is what the shell there gets to read: words that it cannot
// misunderstand, and no secret.
func command(words ...string) string {
	for i, word := range words {
		words[i] = quote(word)
	}
	return "exec " + strings.Join(words, " ")
}

// quote makes one word of s for any shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// run starts the helper, and takes it for ready when it says so.
func (s *session) run(helper binary) error {
	exec, err := s.client.NewSession()
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	stdin, err1 := exec.StdinPipe()
	stdout, err2 := exec.StdoutPipe()
	stderr, err3 := exec.StderrPipe()
	if err := errors.Join(err1, err2, err3, exec.Start(command(helper.there, verb, s.root, s.id))); err != nil {
		exec.Close()
		return fmt.Errorf("start the helper: %w", err)
	}
	late := time.AfterFunc(readyTime, func() { s.client.Close() })
	defer late.Stop()
	lines := bufio.NewReaderSize(stdout, 4<<10)
	for range 1000 { // what the account's shell prints comes first
		line, err := lines.ReadString('\n')
		if said := strings.TrimSpace(line); said == greeting || said == joining {
			s.exec, s.stdin, s.stdout, s.stderr = exec, stdin, lines, stderr
			s.joins = said == joining
			return nil
		}
		if err != nil {
			break
		}
	}
	return notReady(exec, stderr)
}

// broken reports whether the kernel ended the helper before it could speak,
// which it does to a file that is not whole.
func broken(exit *ssh.ExitError) bool {
	return slices.Contains([]string{"SEGV", "BUS", "ILL"}, exit.Signal()) || exit.ExitStatus() == 128+int(syscall.SIGSEGV) || exit.ExitStatus() == 128+int(syscall.SIGBUS)
}

// notReady says why there is no helper.
func notReady(exec *ssh.Session, stderr io.Reader) error {
	defer exec.Close()
	said, _ := io.ReadAll(io.LimitReader(stderr, 4<<10)) // as much as there is
	err := exec.Wait()
	var exit *ssh.ExitError
	if errors.As(err, &exit) && (exit.ExitStatus() == 126 || exit.ExitStatus() == 127 || broken(exit)) {
		return fmt.Errorf("%w: %s", errNoHelper, bytes.TrimSpace(said))
	}
	last := string(bytes.TrimSpace(said))
	if i := strings.LastIndex(last, verb+": "); i >= 0 {
		return &RemoteError{Message: last[i+len(verb)+2:]}
	}
	if err == nil {
		err = errors.New("it ended at once")
	}
	return fmt.Errorf("the helper: %w: %.500s", err, last)
}

// begin sends everything and starts the program.
func (s *session) begin() error {
	s.http = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			conn, err := s.client.Dial("unix", path.Join(s.root, controlName(s.id)))
			var refused *ssh.OpenChannelError
			if errors.As(err, &refused) {
				err = fmt.Errorf("reach the helper's socket (does the server there have AllowStreamLocalForwarding?): %w", err)
			}
			return conn, err
		},
		MaxIdleConnsPerHost: 4,
	}}
	s.hold()
	if !s.joins {
		if err := s.send(); err != nil {
			return err
		}
	}
	o := order{
		Argv: s.spec.Argv, Env: s.spec.Env, Dir: s.spec.Dir, Mark: s.spec.Mark, Outputs: s.spec.Outputs != "",
		Stdin: s.spec.Stdin != nil, Joined: s.joined, OpenFiles: s.spec.Limits.OpenFiles, FileBytes: s.spec.Limits.FileBytes,
	}
	if s.spec.Program != "" {
		o.Program = s.program.there
	}
	for _, m := range s.spec.Mounts {
		o.Mounts = append(o.Mounts, m.Host)
	}
	if err := s.post("/start", jsonBody(o)); err != nil {
		return err
	}
	s.copy()
	go s.await() // ends with the program or the connection
	return nil
}

// send fills the folder there.
func (s *session) send() error {
	if err := s.push("ws", s.spec.Workspace, s.except()...); err != nil {
		return err
	}
	if s.spec.Inputs != "" {
		if err := s.push("inputs", s.spec.Inputs); err != nil {
			return err
		}
	}
	return s.forward()
}

// except names the folders of the workspace that are others' places.
func (s *session) except() (names []string) {
	if s.spec.Inputs != "" {
		names = append(names, path.Base(inputsDir))
	}
	if s.spec.Outputs != "" {
		names = append(names, path.Base(outputsDir))
	}
	return names
}

// forward makes the sockets of the socket folder here be there.
func (s *session) forward() error {
	if s.spec.SocketDir == "" {
		return nil
	}
	names, err := os.ReadDir(s.spec.SocketDir)
	if err != nil {
		return err
	}
	for _, e := range names {
		if e.Type()&os.ModeSocket == 0 {
			continue
		}
		there := path.Join(s.root, socketDir, e.Name())
		listener, err := s.client.ListenUnix(there)
		if err != nil {
			return fmt.Errorf("forward %s (AllowStreamLocalForwarding of the server there?): %w", e.Name(), err)
		}
		go relay(listener, filepath.Join(s.spec.SocketDir, e.Name())) // ends with the connection
	}
	return nil
}

func relay(listener net.Listener, here string) {
	for {
		far, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer far.Close()
			near, err := net.Dial("unix", here)
			if err != nil {
				return
			}
			defer near.Close()
			go func() { // ends when either side does
				io.Copy(near, far)
				near.(*net.UnixConn).CloseWrite()
			}()
			io.Copy(far, near)
		}()
	}
}

// probe runs a program there and sees that it ends.
func (b box) probe(ctx context.Context, dir string) (version string, err error) {
	run, err := b.Start(ctx, &driver.Spec{
		Argv: []string{"/bin/sh", "-c", "exit 7"}, Workspace: dir, Mark: rand.Text(), Network: driver.FullNetwork,
	})
	if err != nil {
		return "", err
	}
	version = string(run.(*session).client.ServerVersion())
	status, err := run.Wait()
	if err == nil && status.Code != 7 {
		err = fmt.Errorf("a shell told to exit with 7 ended with %v", status)
	}
	return version, errors.Join(err, run.Close())
}
