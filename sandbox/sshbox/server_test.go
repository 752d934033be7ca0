//go:build linux && (amd64 || arm64)

package sshbox_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/hermesboard/hermes/sandbox"
)

// server is a real OpenSSH server on this machine, with a configuration of its
// own, run by the user of the tests.
type server struct {
	dir     string
	port    int
	program string
	cmd     *exec.Cmd
	log     bytes.Buffer // valid after stop
}

func (s *server) key() string        { return filepath.Join(s.dir, "key") }
func (s *server) knownHosts() string { return filepath.Join(s.dir, "known_hosts") }
func (s *server) cache() string      { return filepath.Join(s.dir, "cache") }
func (s *server) folder() string     { return s.dir }

func (s *server) settings() sandbox.Settings {
	return sandbox.Settings{Host: "127.0.0.1", Port: s.port, User: account(), Key: s.key(), KnownHosts: s.knownHosts()}
}

func account() string {
	u, err := user.Current()
	if err != nil {
		return "root"
	}
	return u.Username
}

// startServer starts one with more lines in its configuration.
func startServer(more ...string) (s *server, err error) {
	program, err := exec.LookPath("sshd")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/sshd"); err != nil {
			return nil, fmt.Errorf("sshd is not installed (Debian: apt-get install openssh-server): %w", err)
		}
	}
	s = &server{}
	if s.dir, err = os.MkdirTemp("", "ssh"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.port = free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		return nil, err
	}
	host, err1 := s.makeKey("host")
	login, err2 := s.makeKey("key")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	line := knownhosts.Line([]string{fmt.Sprintf("[127.0.0.1]:%d", s.port)}, host)
	config := append([]string{
		"Port " + strconv.Itoa(s.port), "ListenAddress 127.0.0.1", "HostKey " + filepath.Join(s.dir, "host"), "PidFile none",
		"AuthorizedKeysFile " + filepath.Join(s.dir, "authorized"), "PermitRootLogin yes", "UsePAM no", "StrictModes no",
		"PasswordAuthentication no", "Subsystem sftp internal-sftp", "MaxStartups 100", "SetEnv HOME=" + s.dir,
	}, more...)
	err = errors.Join(
		os.WriteFile(s.knownHosts(), []byte(line+"\n"), 0o600),
		os.WriteFile(filepath.Join(s.dir, "authorized"), ssh.MarshalAuthorizedKey(login), 0o600),
		os.WriteFile(filepath.Join(s.dir, "config"), []byte(strings.Join(config, "\n")+"\n"), 0o600))
	if err != nil {
		return nil, err
	}
	s.program = program
	return s, s.start()
}

// start starts the server, also again after drop.
func (s *server) start() error {
	s.cmd = exec.Command(s.program, "-D", "-e", "-f", filepath.Join(s.dir, "config"))
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		if err == nil {
			conn.Close()
			return nil
		}
		if time.Now().After(deadline) {
			s.stop()
			return fmt.Errorf("no sshd: %w: %s", err, s.log.String())
		}
	}
}

func (s *server) makeKey(name string) (ssh.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(public)
}

// drop ends the server and what serves its connections, as if the machine were
// unplugged; start starts it again.
func (s *server) drop() {
	children, _ := filepath.Glob("/proc/[0-9]*/stat")
	s.cmd.Process.Signal(syscall.SIGSTOP) // so that they stay its children
	for _, name := range children {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if parent, _ := strconv.Atoi(fields[1]); parent == s.cmd.Process.Pid {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.RemoveAll(s.dir)
}

func pemBytes(block *pem.Block) []byte { return pem.EncodeToMemory(block) }
