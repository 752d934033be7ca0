//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/internal/rootfs"
)

// door is a session's own folder on the host. It holds the socket that the
// first process knocks at, the files that are shown in /etc, and, for root, the
// mounts of the session's folders. Its folder is locked while its supervisor
// lives.
type door struct {
	dir      string
	lock     *os.File
	listener *net.UnixListener
	mounts   int // how many are in dir, named by number
}

const doorPrefix = "hermes-box-"

// doorBase is where doors are: a place that a service's private /tmp does not
// hide from the engine, and whose paths are short enough for a socket's.
func doorBase() string {
	if os.Geteuid() == 0 {
		return "/run"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return dir
	}
	return os.TempDir()
}

func openDoor() (_ *door, err error) {
	d := &door{}
	for d.lock == nil {
		if d.dir, err = os.MkdirTemp(doorBase(), doorPrefix); err != nil {
			return nil, err
		}
		// One that is not locked yet may be taken for a dead supervisor's.
		if d.lock, err = lockFolder(d.dir); err != nil && !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	return d, d.furnish()
}

// furnish puts into the folder what a container is shown of it.
func (d *door) furnish() error {
	uid, gid := owner()
	for _, f := range []struct{ name, content string }{
		{"passwd", fmt.Sprintf("root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:%d:%d:agent:%s:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", uid, gid, rootfs.Workspace)},
		{"group", fmt.Sprintf("root:x:0:\nagent:x:%d:\nnogroup:x:65534:\n", gid)},
	} {
		if err := writePublic(filepath.Join(d.dir, f.name), f.content); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Mkdir(d.folder(), 0o755), os.Chmod(d.folder(), 0o755)); err != nil {
		return err
	}
	socket := filepath.Join(d.folder(), socketName)
	var err error
	if d.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"}); err != nil {
		return err
	}
	// The folder above is closed to everybody else on the host.
	return os.Chmod(socket, 0o666)
}

func writePublic(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644) // whatever the umask is
}

// lockFolder takes a folder's lock. The error matches unix.EWOULDBLOCK while
// somebody else has it.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: dir, Err: err}
	}
	var now unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &now); err != nil || now.Nlink == 0 {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: dir, Err: fs.ErrNotExist} // it was removed meanwhile
	}
	return f, nil
}

// folder is what is mounted as doorPath.
func (d *door) folder() string { return filepath.Join(d.dir, "door") }

// show returns the path that a bind is to be mounted from. For root that is a mount which
// translates owners; where the file system cannot, b is given as it is if it is
// read-only, and then read as a stranger reads it.
func (d *door) show(bind *rootfs.Step) (string, error) {
	source, err := filepath.EvalSymlinks(bind.Source)
	if err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		return source, nil
	}
	info, err := os.Stat(source)
	if err != nil {
		return "", err
	}
	target := filepath.Join(d.dir, strconv.Itoa(d.mounts))
	if info.IsDir() {
		err = os.Mkdir(target, 0o700)
	} else {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err != nil {
		return "", err
	}
	d.mounts++
	err = mountFor(source, target)
	if untranslatable(err) && !bind.Writable {
		return source, nil
	}
	if err != nil {
		return "", fmt.Errorf("%w (run hermes as an ordinary user where the file system or the kernel cannot do this)", err)
	}
	return target, nil
}

// accept waits for the first process. Every now and then it asks whether
// somebody can still come.
func (d *door) accept(ctx context.Context, still func() error) (*net.UnixConn, error) {
	const pause = 100 * time.Millisecond
	stop := context.AfterFunc(ctx, func() { d.listener.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		d.listener.SetDeadline(time.Now().Add(pause))
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		conn, err := d.listener.AcceptUnix()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		if err := still(); err != nil {
			return nil, err
		}
	}
}

// close removes everything. It never removes what is behind a mount.
func (d *door) close() error {
	if d.listener != nil {
		d.listener.Close()
	}
	err := removeDoor(d.dir)
	if d.lock != nil {
		d.lock.Close()
	}
	return err
}

// removeDoor removes a door's folder, whose lock the caller holds. Mounts are
// taken away first; nothing is removed recursively, so that a mount which
// cannot be taken away loses no file.
func removeDoor(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := strconv.Atoi(e.Name()); err == nil {
			if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
				errs = append(errs, &os.PathError{Op: "unmount", Path: path, Err: err})
				continue
			}
		}
		if e.Name() == "door" {
			os.Remove(filepath.Join(path, socketName)) // the listener did already
		}
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(append(errs, os.Remove(dir))...)
}
