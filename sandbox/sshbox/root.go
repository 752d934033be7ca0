//go:build unix

package sshbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
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

// Errors of a session that wants a workspace another one has.
var (
	errSending = errors.New("another session is sending this workspace")
	errEnding  = errors.New("another session is bringing this workspace back")
)

// folder is that of a workspace, as one of the sessions has it that share it.
type folder struct {
	root, id string
	first    bool     // it was made by this session, and is filled by it
	shared   *os.File // locked by every session that has the folder, nil when it was left
	own      *os.File // locked by this one, and says which process it is
}

// openFolder makes the folder of a workspace, or joins the sessions that have
// it, and removes those that dead helpers left.
func openFolder(root, id string) (_ *folder, err error) {
	base := path.Dir(root)
	if err := makeBase(base); err != nil {
		return nil, err
	}
	all, err := lockFile(path.Join(base, lockName), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	if err := sweep(base); err != nil {
		return nil, err
	}
	f := &folder{root: root, id: id}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if err := os.Mkdir(root, 0o700); err == nil {
		f.first = true
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if f.shared, err = lockFile(path.Join(root, lockName), unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errEnding
	} else if err != nil {
		return nil, err
	}
	if f.first {
		err = os.Mkdir(path.Join(root, socketDir), 0o700)
	} else if _, err = os.Stat(path.Join(root, wholeName)); err != nil {
		err = errSending
	}
	if err != nil {
		return nil, err
	}
	if f.own, err = lockFile(path.Join(root, ownName(id)), unix.LOCK_EX); err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(f.own, os.Getpid())
	return f, err
}

// makeBase makes the folder of all sessions, which is this user's alone.
func makeBase(base string) error {
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Lstat(base, &stat); err != nil {
		return &fs.PathError{Op: "lstat", Path: base, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || int(stat.Uid) != os.Getuid() || stat.Mode&0o077 != 0 {
		return fmt.Errorf("%s is not a folder of this user alone", base)
	}
	return nil
}

// whole says that the workspace is there, for others to join.
func (f *folder) whole() error {
	if !f.first {
		return nil
	}
	return os.WriteFile(path.Join(f.root, wholeName), nil, 0o600)
}

// leave reports whether no other session has the folder; then nobody can join
// any more, and this one removes it. Otherwise the others keep it.
func (f *folder) leave() (last bool, err error) {
	if f.shared == nil {
		return false, nil
	}
	all, err := lockFile(path.Join(path.Dir(f.root), lockName), unix.LOCK_EX)
	if err != nil {
		return false, err
	}
	defer all.Close()
	err = unix.Flock(int(f.shared.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.shared.Close()
		f.shared = nil
		return false, nil
	}
	return err == nil, err
}

// remove removes what nobody else has: the folder, or this session's part.
func (f *folder) remove() error {
	last, err := f.leave()
	if err != nil {
		return err
	}
	if last {
		return os.RemoveAll(f.root)
	}
	return errors.Join(ignoreMissing(os.Remove(path.Join(f.root, controlName(f.id)))), ignoreMissing(os.Remove(path.Join(f.root, ownName(f.id)))))
}

func (f *folder) close() {
	for _, lock := range []*os.File{f.shared, f.own} {
		if lock != nil {
			lock.Close()
		}
	}
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

// sweep removes the folders that nobody has locked: their helpers are dead.
func sweep(base string) error {
	folders, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range folders {
		if !e.IsDir() {
			continue
		}
		root := path.Join(base, e.Name())
		lock, err := lockFile(path.Join(root, lockName), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue // in use, or gone by now
		}
		if err != nil {
			return err
		}
		err = os.RemoveAll(root)
		lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// reap sees that nothing is left of a session whose connection was lost.
func reap(root, id, mark string) error {
	name := path.Join(root, ownName(id))
	for deadline := time.Now().Add(reapTime); ; time.Sleep(10 * time.Millisecond) {
		who, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			break // the helper has ended well
		}
		if err != nil {
			return err
		}
		lock, err := lockFile(name, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			lock.Close()
			break // the helper is dead
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(who))); err == nil && pid > 1 {
			unix.Kill(pid, unix.SIGTERM) // held by the lock, it is who it says
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
