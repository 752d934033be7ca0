//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// kernelAttempts reach for parts of the kernel that a filter keeps away. Each
// runs on a thread of its own. Most pass arguments that the kernel itself
// refuses, with another error than a filter does.
var kernelAttempts = []struct {
	name string
	call func() syscall.Errno
}{
	{"io_uring_setup", raw(unix.SYS_IO_URING_SETUP, 0, 0)},
	{"io_uring_enter", raw(unix.SYS_IO_URING_ENTER, bad, 0)},
	{"io_uring_register", raw(unix.SYS_IO_URING_REGISTER, bad, 0)},
	{"keyctl", raw(unix.SYS_KEYCTL, 0, keySpecSession)},
	{"add_key", raw(unix.SYS_ADD_KEY, 0, 0)},
	{"request_key", raw(unix.SYS_REQUEST_KEY, 0, 0)},
	{"bpf", raw(unix.SYS_BPF, 0, 0)},
	{"userfaultfd", raw(unix.SYS_USERFAULTFD, 1<<20, 0)},
	{"perf_event_open", raw(unix.SYS_PERF_EVENT_OPEN, 0, 0)},
	{"ptrace", raw(unix.SYS_PTRACE, unix.PTRACE_ATTACH, bad)},
	{"process_vm_readv", raw(unix.SYS_PROCESS_VM_READV, self, 0)},
	{"process_vm_writev", raw(unix.SYS_PROCESS_VM_WRITEV, self, 0)},
	{"kcmp", raw(unix.SYS_KCMP, self, self)},
	{"pidfd_getfd", raw(unix.SYS_PIDFD_GETFD, bad, 0)},
	{"unshare user", raw(unix.SYS_UNSHARE, unix.CLONE_NEWUSER|unix.CLONE_FS, 0)},
	{"clone user", raw(unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_FS, 0)}, // EINVAL from the kernel
	{"setns", raw(unix.SYS_SETNS, bad, 0)},
	{"mount", raw(unix.SYS_MOUNT, 0, 0)},
	{"umount2", raw(unix.SYS_UMOUNT2, 0, 0)},
	{"pivot_root", raw(unix.SYS_PIVOT_ROOT, 0, 0)},
	{"open_tree", raw(unix.SYS_OPEN_TREE, bad, 0)},
	{"fsopen", raw(unix.SYS_FSOPEN, 0, 0)},
	{"open_by_handle_at", raw(unix.SYS_OPEN_BY_HANDLE_AT, bad, 0)},
	{"fanotify_init", raw(unix.SYS_FANOTIFY_INIT, ^uintptr(0), 0)},
	{"kexec_load", raw(unix.SYS_KEXEC_LOAD, 0, 17)},
	{"init_module", raw(unix.SYS_INIT_MODULE, 0, 0)},
	{"finit_module", raw(unix.SYS_FINIT_MODULE, bad, 0)},
	{"delete_module", raw(unix.SYS_DELETE_MODULE, 0, 0)},
	{"clock_settime", raw(unix.SYS_CLOCK_SETTIME, 0, 0)},
	{"reboot", raw(unix.SYS_REBOOT, 0, 0)},
	{"syslog", raw(unix.SYS_SYSLOG, 10, 0)}, // size of the kernel's buffer
	{"personality", raw(unix.SYS_PERSONALITY, 0x0040000, 0)},
	{"socket vsock", raw(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM)},
	{"socket alg", raw(unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET)},
	{"socket packet", raw(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW)},
	{"ioctl TIOCSTI", raw(unix.SYS_IOCTL, 0, unix.TIOCSTI)},
	{"ioctl TIOCLINUX", raw(unix.SYS_IOCTL, 0, unix.TIOCLINUX)},
	{"ioctl TIOCSTI, bit 32 set", raw(unix.SYS_IOCTL, 0, unix.TIOCSTI|1<<32)},
	{"setuid file", setuidFile},
	{"setuid file at creation", func() syscall.Errno {
		fd, err := syscall.Open("setuid2", syscall.O_CREAT|syscall.O_RDWR, 0o4755)
		return closed(fd, err)
	}},
}

const (
	bad            = ^uintptr(0)
	self           = ^uintptr(0) - 1 // replaced by the process id
	keySpecSession = ^uintptr(0) - 2 // KEY_SPEC_SESSION_KEYRING
)

func raw(call, a, b uintptr) func() syscall.Errno {
	return func() syscall.Errno {
		for _, arg := range []*uintptr{&a, &b} {
			if *arg == self {
				*arg = uintptr(os.Getpid())
			}
		}
		_, _, errno := syscall.RawSyscall6(call, a, b, 0, 0, 0, 0)
		return errno
	}
}

func setuidFile() syscall.Errno {
	fd, err := syscall.Open("setuid", syscall.O_CREAT|syscall.O_RDWR, 0o755)
	if errno := closed(fd, err); errno != 0 {
		return errno
	}
	errno, _ := syscall.Chmod("setuid", 0o4755).(syscall.Errno)
	return errno
}

func closed(fd int, err error) syscall.Errno {
	if err == nil {
		syscall.Close(fd)
	}
	errno, _ := err.(syscall.Errno)
	return errno
}

// kernelCalls prints the number of the error of every attempt.
func kernelCalls([]string) {
	for _, attempt := range kernelAttempts {
		errno := make(chan syscall.Errno)
		go func() {
			runtime.LockOSThread() // and ends with it
			errno <- attempt.call()
		}()
		fmt.Printf("%s=%d\n", attempt.name, int(<-errno))
	}
}

func testKernel(t *testing.T, b *box) {
	if !b.has(driver.Syscalls) {
		t.Logf("%s declares no filter of system calls", b.Name())
		return
	}
	attempt := func(b *box) (map[string]syscall.Errno, string) {
		spec := b.spec(t, "kernel")
		out, status := b.run(t, spec)
		if !status.Success() {
			t.Fatalf("%s: got %v after %q", b.Name(), status, out)
		}
		errnos := make(map[string]syscall.Errno)
		for line := range strings.Lines(out) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			var n int
			fmt.Sscan(value, &n)
			errnos[name] = syscall.Errno(n)
		}
		return errnos, spec.Workspace
	}
	got, workspace := attempt(b)
	without, _ := attempt(control())
	testable := 0
	for _, a := range kernelAttempts {
		switch refused := refusal(got[a.name]); {
		case refusal(without[a.name]):
			t.Logf("not testable here: %s is refused to everybody: %v", a.name, without[a.name])
		case !refused:
			t.Errorf("%s: got %v, want it refused", a.name, got[a.name])
		default:
			testable++
		}
	}
	if testable < len(kernelAttempts)/3 {
		t.Errorf("got %d of %d attempts testable, want at least a third", testable, len(kernelAttempts))
	}
	for _, name := range []string{"setuid", "setuid2"} {
		if info, err := os.Lstat(filepath.Join(workspace, name)); err == nil && info.Mode()&os.ModeSetuid != 0 {
			t.Errorf("got a setuid file %s on the host, want none", name)
		}
	}
}

// refusal reports whether a filter, or the lack of all privilege, says no.
func refusal(errno syscall.Errno) bool {
	return errno == syscall.EPERM || errno == syscall.ENOSYS || errno == syscall.EAFNOSUPPORT || errno == syscall.EACCES
}
