package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Listen makes the socket of a board at path, for the owner's uid alone, and
// replaces one that a dead owner left behind. Only the holder of the board's
// lock may call it. It refuses (CodeBusy) a path where somebody still answers,
// and anything that is not a socket. The folder is made with mode 0700; one
// that others may enter is refused. Closing the listener removes the file.
func Listen(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	return listen(path, 0o600)
}

// ListenShared is Listen for a socket that every user of the host can reach, in
// a folder that the caller has made and that only the owner's uid writes to. Who
// is let in is for [Server.Operator] to say.
func ListenShared(path string) (net.Listener, error) { return listen(path, 0o666) }

func listen(path string, mode fs.FileMode) (net.Listener, error) {
	if err := clearSocket(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // a successor's socket may lie there by then
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	made, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &listener{UnixListener: l, path: path, made: made}, nil
}

type listener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
	once sync.Once
	err  error
}

// Close stops listening and removes the file if it is still the one made here.
func (l *listener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.made) {
			l.err = os.Remove(l.path)
		}
		l.err = errors.Join(l.err, l.UnixListener.Close())
	})
	return l.err
}

func checkPrivate(dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) != os.Geteuid() || fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: a folder for sockets must be yours alone (mode 0700)", dir)
	}
	return nil
}

// clearSocket removes a socket at path that nobody listens on.
func clearSocket(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if fi.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is in the way and is not a socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		p, _ := peerOf(c.(*net.UnixConn))
		return errors.Join(busy(p.PID, "already listens at "+path), c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

func busy(pid int, what string) *Error {
	who := "another process"
	if pid > 0 {
		who = fmt.Sprintf("pid %d", pid)
	}
	return &Error{Code: CodeBusy, Message: who + " " + what}
}
