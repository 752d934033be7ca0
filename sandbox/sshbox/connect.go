//go:build unix

package sshbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// connectTime bounds connecting and logging in.
const connectTime = 30 * time.Second

// HostKeyError says that the other machine's key is not the one it is known by,
// or that it is not known.
type HostKeyError struct {
	// Address is host and port.
	Address string
	// File is the known_hosts file, and Line what would have to be in it for
	// the key that was shown.
	File, Line string
	// Known are the places where another key of this machine is written down;
	// none if the machine is unknown.
	Known []string
}

// Error tells what to do after asking somebody who knows the machine.
func (e *HostKeyError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("the machine %s is unknown; if this is its key, add the line to %s: %s", e.Address, e.File, e.Line)
	}
	return fmt.Sprintf("the machine %s shows another key than it is known by (%s): somebody may be in between; if it was changed, remove that and add the line to %s: %s",
		e.Address, e.Known, e.File, e.Line)
}

// KeyFileError says that a key to log in with cannot be had.
type KeyFileError struct {
	// File is empty if none was given.
	File string
	Err  error
}

// Error names the file and what to do.
func (e *KeyFileError) Error() string {
	var locked *ssh.PassphraseMissingError
	switch {
	case e.File == "":
		return fmt.Sprintf("no key to log in with: set terminal.ssh_key, or start an SSH agent: %v", e.Err)
	case errors.As(e.Err, &locked):
		return fmt.Sprintf("the key %s has a passphrase: load it into an SSH agent and leave terminal.ssh_key unset", e.File)
	}
	return fmt.Sprintf("key %s: %v", e.File, e.Err)
}

// Unwrap returns the cause.
func (e *KeyFileError) Unwrap() error { return e.Err }

func (b box) address() string {
	port := b.set.Port
	if port == 0 {
		port = 22
	}
	return net.JoinHostPort(b.set.Host, strconv.Itoa(port))
}

// connect logs in. ctx bounds connecting only.
func (b box) connect(ctx context.Context) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	methods, done, err := b.signers()
	if err != nil {
		return nil, err
	}
	defer done()
	config := &ssh.ClientConfig{User: b.account(), Auth: []ssh.AuthMethod{methods}}
	if err := b.trust(config); err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.address())
	if err != nil {
		return nil, fmt.Errorf("no SSH server answers: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, b.address(), config)
	if !stop() && err == nil {
		c.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		if strings.Contains(err.Error(), "unable to authenticate") { // the package has no other word for it
			err = fmt.Errorf("%w: add the public key to ~/.ssh/authorized_keys there", err)
		}
		return nil, fmt.Errorf("log in at %s as %s: %w", b.address(), b.account(), err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

// signers are the keys to log in with; done is called when they were used.
func (b box) signers() (method ssh.AuthMethod, done func(), err error) {
	if b.set.Key == "" {
		conn, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
		if err != nil {
			return nil, nil, &KeyFileError{Err: err}
		}
		return ssh.PublicKeysCallback(agent.NewClient(conn).Signers), func() { conn.Close() }, nil
	}
	data, err := os.ReadFile(b.set.Key)
	if err != nil {
		return nil, nil, &KeyFileError{b.set.Key, err}
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, nil, &KeyFileError{b.set.Key, err}
	}
	return ssh.PublicKeys(signer), func() {}, nil
}

// trust accepts what the known_hosts file says, and no other key. Only the kinds
// of key that are written down are asked for: a machine has several.
func (b box) trust(config *ssh.ClientConfig) error {
	file := b.set.KnownHosts
	if file == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		file = filepath.Join(home, ".ssh", "known_hosts")
	}
	check := func(string, net.Addr, ssh.PublicKey) error { return &knownhosts.KeyError{} }
	known, err := knownhosts.New(file)
	if err == nil {
		check = known
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("known hosts: %w", err)
	}
	var mismatch *knownhosts.KeyError
	if errors.As(check(b.address(), &net.TCPAddr{}, noKey{}), &mismatch) {
		for _, want := range mismatch.Want {
			config.HostKeyAlgorithms = append(config.HostKeyAlgorithms, algorithms(want.Key.Type())...)
		}
	}
	config.HostKeyCallback = func(host string, remote net.Addr, key ssh.PublicKey) error {
		err := check(host, remote, key)
		if !errors.As(err, &mismatch) {
			return err
		}
		refused := &HostKeyError{Address: host, File: file, Line: knownhosts.Line([]string{host}, key)}
		for _, want := range mismatch.Want {
			refused.Known = append(refused.Known, fmt.Sprintf("%s:%d", want.Filename, want.Line))
		}
		slices.Sort(refused.Known)
		return refused
	}
	return nil
}

// algorithms are those that a key can sign with.
func algorithms(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

// noKey is nobody's.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.ErrUnsupported }

var _ driver.Configurable = box{}
