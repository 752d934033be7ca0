//go:build unix

package sshbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
)

// nonblocking keeps the opening of a pipe from waiting for a writer.
const nonblocking = syscall.O_NONBLOCK

// reapTime bounds the wait for a helper that was told to end.
const reapTime = 10 * time.Second

// makeRoot makes the folder of a session, locked, and removes those that dead
// helpers left. In the lock it says who it is; what it runs is added later.
func makeRoot(root string) (*os.File, error) {
	base := path.Dir(root)
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	var stat unix.Stat_t
	if err := unix.Lstat(base, &stat); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: base, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || int(stat.Uid) != os.Getuid() || stat.Mode&0o077 != 0 {
		return nil, fmt.Errorf("%s is not a folder of this user alone", base)
	}
	all, err := lockFile(path.Join(base, lockName), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	if err := sweep(base); err != nil {
		return nil, err
	}
	if err := os.Mkdir(root, 0o700); errors.Is(err, fs.ErrExist) {
		return nil, errors.New("another session has this workspace")
	} else if err != nil {
		return nil, err
	}
	if err := os.Mkdir(path.Join(root, socketDir), 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFile(path.Join(root, lockName), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintln(lock, os.Getpid()); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

func lockFile(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
	return f, nil
}

// sweep removes the folders whose helpers are dead.
func sweep(base string) error {
	folders, err := filepath.Glob(path.Join(base, "*", lockName))
	if err != nil {
		return err
	}
	for _, name := range folders {
		lock, err := lockFile(name, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.RemoveAll(path.Dir(name))
		lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// reap sees that nothing is left of a session whose connection was lost.
func reap(root, mark string) error {
	name := path.Join(root, lockName)
	for deadline := time.Now().Add(reapTime); ; time.Sleep(10 * time.Millisecond) {
		who, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			break // the helper has ended well
		}
		if err != nil {
			return err
		}
		pid, of, _ := strings.Cut(strings.TrimSpace(string(who)), "\n")
		if of != mark {
			break // the folder is another session's by now
		}
		lock, err := lockFile(name, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			lock.Close()
			break // the helper is dead
		}
		if id, err := strconv.Atoi(pid); err == nil && id > 1 {
			unix.Kill(id, unix.SIGTERM) // held by the lock, it is who it says
		}
		if time.Now().After(deadline) {
			return errors.New("the helper does not end")
		}
	}
	return killMarked(mark)
}

// killMarked ends what carries the mark, except this process.
func killMarked(mark string) error {
	for deadline := time.Now().Add(reapTime); ; time.Sleep(10 * time.Millisecond) {
		pids, err := sandbox.Marked(mark)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL) // an error means that it has ended
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", pids)
		}
	}
}
