//go:build linux && (amd64 || arm64)

package escape

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// Attempts at parts of the kernel that a filter keeps away. Most pass what the
// kernel itself refuses, with another error than a filter does, so that
// nothing happens where they get through.
var kernelAttempts = []attempt{
	{id: "K1", name: "io_uring", needs: driver.Syscalls, stage: told, try: calls(
		call{"io_uring_setup", unix.SYS_IO_URING_SETUP, 0, 0}, call{"io_uring_enter", unix.SYS_IO_URING_ENTER, wrong, 0}, call{"io_uring_register", unix.SYS_IO_URING_REGISTER, wrong, 0})},
	{id: "K2", name: "bpf", needs: driver.Syscalls, stage: told, try: calls(call{"bpf", unix.SYS_BPF, 0, 0})},
	{id: "K3", name: "userfaultfd", needs: driver.Syscalls, stage: told, try: calls(call{"userfaultfd", unix.SYS_USERFAULTFD, 1 << 20, 0})},
	{id: "K4", name: "keyctl", needs: driver.Syscalls, stage: told, try: calls(
		call{"keyctl", unix.SYS_KEYCTL, 0, wrong - 1}, call{"add_key", unix.SYS_ADD_KEY, 0, 0}, call{"request_key", unix.SYS_REQUEST_KEY, 0, 0})},
	{id: "K5", name: "perf_event_open", needs: driver.Syscalls, stage: told, try: calls(call{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, 0, 0})},
	{id: "K6", name: "set the clock", needs: driver.Syscalls, stage: told, try: calls(
		call{"clock_settime", unix.SYS_CLOCK_SETTIME, 0, 0}, call{"settimeofday", unix.SYS_SETTIMEOFDAY, wrong, 0})},
	{id: "K7", name: "load a kernel or a module", needs: driver.Syscalls, stage: told, try: calls(
		call{"kexec_load", unix.SYS_KEXEC_LOAD, 0, 17}, call{"init_module", unix.SYS_INIT_MODULE, 0, 0},
		call{"finit_module", unix.SYS_FINIT_MODULE, wrong, 0}, call{"delete_module", unix.SYS_DELETE_MODULE, 0, 0})},
	{id: "K8", name: "type into the supervisor's terminal (TIOCSTI)", needs: driver.Syscalls, stage: stageTerminal, try: typeIn, bare: true},
}

const wrong = ^uintptr(0)

type call struct {
	name           string
	number, a1, a2 uintptr
}

func calls(list ...call) func(inside) {
	return func(inside) {
		for _, c := range list {
			if _, _, errno := syscall.RawSyscall6(c.number, c.a1, c.a2, 0, 0, 0, 0); !refusal(errno) {
				reached("%s (%v)", c.name, errno)
			}
		}
	}
}

// refusal reports whether a filter, the lack of privilege, or a kernel without
// the call says no.
func refusal(errno syscall.Errno) bool {
	return errno == syscall.EPERM || errno == syscall.ENOSYS || errno == syscall.EACCES
}

// stageTerminal gives the careless supervisor a terminal.
func stageTerminal(s *scene) (judge, error) {
	master, slave, err := terminal()
	if err != nil {
		return nil, err
	}
	s.defers(func() { master.Close(); slave.Close() })
	s.stdin, s.attr = slave, &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return func() (bool, string) {
		n, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCINQ)
		if err == nil && n > 0 {
			return true, "a line was typed"
		}
		return s.byWord()
	}, nil
}

func terminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	unlock := int32(0)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), unix.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock))); errno != 0 {
		master.Close()
		return nil, nil, errno
	}
	fd, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, uintptr(syscall.O_RDWR|syscall.O_NOCTTY))
	if errno != 0 {
		master.Close()
		return nil, nil, errno
	}
	return master, os.NewFile(fd, "terminal"), nil
}

func typeIn(inside) {
	fds := []int{0, 1, 2}
	for _, name := range []string{"/dev/tty", "/dev/console", "/dev/tty0", "/dev/tty1", "/proc/1/fd/0"} {
		if fd, err := syscall.Open(name, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0); err == nil {
			fds = append(fds, fd)
		}
	}
	for _, fd := range fds {
		for _, c := range []byte("#\n") {
			if _, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&c))); errno == 0 {
				reached("typed into descriptor %d", fd)
			}
		}
	}
}
