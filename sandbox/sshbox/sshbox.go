//go:build unix

package sshbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"path"
	"strings"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// Name is the backend's name in configuration.
const Name = "ssh"

// Options choose what is copied where. Nil means defaults.
type Options struct {
	// Binary is a static binary of this host whose main function begins with
	// [Main] and which the other machine can execute; empty is that of this
	// process.
	Binary string
	// Cache is the folder for binaries on the other machine, absolute or below
	// the account's home; empty is .cache/hermes.
	Cache string
	// Folder is where the folders of sessions are there; empty is /tmp. Paths of
	// sockets are short: it may have about 40 letters.
	Folder string
}

// New returns the backend "ssh". Which machine, which account and by which keys
// are settings: Host is needed; Port is 22, User the name of this process's
// user, KnownHosts ~/.ssh/known_hosts, and Key one that the SSH agent holds, if
// they are not given.
func New(opts *Options) *sandbox.Sandbox {
	if opts == nil {
		opts = &Options{}
	}
	return sandbox.New(box{opts: *opts})
}

type box struct {
	opts Options
	set  driver.Settings
}

func (box) Name() string { return Name }

func (box) Capabilities() driver.Capabilities {
	return driver.NetworkFull | driver.Socket | driver.LimitOpenFiles | driver.LimitFileSize
}

func (box) Cgroup(string) string { return "" }

// With takes the settings of a machine and account.
func (b box) With(set driver.Settings) (driver.Driver, error) {
	refuse := func(setting, reason string) error {
		return &driver.SettingError{Driver: Name, Setting: setting, Reason: reason}
	}
	switch {
	case set.Image != "":
		return nil, refuse("image", "an account has no image")
	case set.Host == "":
		return nil, refuse("host", "not given")
	case strings.ContainsFunc(set.Host+set.User, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, refuse("host", "a name with blanks or control characters")
	case set.Port < 0 || set.Port > 65535:
		return nil, refuse("port", fmt.Sprintf("%d is none", set.Port))
	}
	b.set = set
	return b, nil
}

// account is the name to log in with.
func (b box) account() string {
	if b.set.User != "" {
		return b.set.User
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// base is the folder there for those of all sessions of this account.
func (b box) base() string {
	folder := b.opts.Folder
	if folder == "" {
		folder = "/tmp"
	}
	return path.Join(folder, "hermes-"+short(b.account()))
}

// root is the folder there of a workspace here, on whichever host that is.
func (b box) root(spec *driver.Spec) string {
	here, _ := os.Hostname() // without one, the path alone has to do
	return path.Join(b.base(), short(here+"\x00"+spec.Workspace))
}

func short(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// Layout returns paths of the other machine.
func (b box) Layout(spec *driver.Spec) driver.Layout {
	root := b.root(spec)
	ifGiven := func(host, inside string) string {
		if host == "" {
			return ""
		}
		return path.Join(root, inside)
	}
	return driver.Layout{
		Workspace: path.Join(root, workspaceDir),
		Inputs:    ifGiven(spec.Inputs, inputsDir),
		Outputs:   ifGiven(spec.Outputs, outputsDir),
		SocketDir: ifGiven(spec.SocketDir, socketDir),
		Program:   ifGiven(spec.Program, programPath),
	}
}

// Probe connects, and runs a program there.
func (b box) Probe(ctx context.Context) driver.Report {
	if b.set.Host == "" {
		return driver.Report{Reason: "no host is given: hermes config set terminal.ssh_host HOST"}
	}
	dir, err := os.MkdirTemp("", "hermes-probe-")
	if err != nil {
		return driver.Report{Reason: err.Error()}
	}
	defer os.RemoveAll(dir)
	version, err := b.probe(ctx, dir)
	if err != nil {
		return driver.Report{Version: version, Reason: err.Error()}
	}
	return driver.Report{Available: true, Version: version}
}
