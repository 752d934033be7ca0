//go:build linux && (amd64 || arm64)

package dockerbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Programs never run as root, whoever runs the sandbox. For an ordinary user
// they have that user's ids. Root's folders are given through mounts that show
// root's files as those of an id which nobody else has, and store what that id
// makes as root's.
const ownerOfRoots = 64000

// owner returns the ids that a program runs as.
func owner() (uid, gid int) {
	if os.Geteuid() == 0 {
		return ownerOfRoots, ownerOfRoots
	}
	return os.Geteuid(), os.Getegid()
}

// mapping is a user namespace with which mounts translate root to ownerOfRoots.
// It is made once.
var mapping struct {
	sync.Mutex
	namespace *os.File
}

func mappingNamespace() (*os.File, error) {
	mapping.Lock()
	defer mapping.Unlock()
	if mapping.namespace != nil {
		return mapping.namespace, nil
	}
	made, err := makeMapping()
	if err != nil {
		return nil, fmt.Errorf("make user namespace: %w", err)
	}
	mapping.namespace = made
	return made, nil
}

// makeMapping starts a process, since a namespace comes into being with one
// only, and ends it before its first instruction.
func makeMapping() (*os.File, error) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: ownerOfRoots, Size: 1}}
	child := exec.Command("/proc/self/exe")
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Ptrace: true, Pdeathsig: syscall.SIGKILL,
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	defer func() { child.Process.Kill(); child.Wait() }()
	return os.Open(fmt.Sprintf("/proc/%d/ns/user", child.Process.Pid))
}

// mountFor mounts host at target, a new empty place of the same kind, with
// root's files shown as ownerOfRoots's. What is mounted below host is left out.
func mountFor(host, target string) error {
	namespace, err := mappingNamespace()
	if err != nil {
		return err
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, host, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return &os.PathError{Op: "clone mount", Path: host, Err: err}
	}
	defer unix.Close(tree)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(namespace.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return &os.PathError{Op: "translate owner of", Path: host, Err: err}
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "mount at", Path: target, Err: err}
	}
	return nil
}

// untranslatable reports whether the error says that the file system of a path
// cannot translate owners.
func untranslatable(err error) bool { return errors.Is(err, unix.EINVAL) }
