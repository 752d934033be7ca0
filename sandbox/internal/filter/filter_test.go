//go:build linux && (amd64 || arm64)

package filter

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// data is struct seccomp_data without the instruction pointer.
type data struct {
	arch, number uint32
	args         [6]uint64
}

// evaluate runs the filter as the kernel would.
func evaluate(t *testing.T, program []unix.SockFilter, c data) uint32 {
	t.Helper()
	var acc uint32
	for pc := 0; pc < len(program); pc++ {
		ins := program[pc]
		taken := false
		switch ins.Code {
		case load:
			switch {
			case ins.K == callOffset:
				acc = c.number
			case ins.K == archOffset:
				acc = c.arch
			case ins.K >= argsOffset && ins.K%4 == 0 && ins.K < argsOffset+48:
				arg := c.args[(ins.K-argsOffset)/8]
				acc = uint32(arg >> (8 * (ins.K % 8)))
			default:
				t.Fatalf("load from %d at %d", ins.K, pc)
			}
			continue
		case ret:
			return ins.K
		case jumpEq:
			taken = acc == ins.K
		case jumpOver:
			taken = acc > ins.K
		case jumpBits:
			taken = acc&ins.K != 0
		default:
			t.Fatalf("instruction %#x at %d", ins.Code, pc)
		}
		if taken {
			pc += int(ins.Jt)
		} else {
			pc += int(ins.Jf)
		}
	}
	t.Fatal("ran off the end")
	return 0
}

func TestFilter(t *testing.T) {
	const (
		allow = unix.SECCOMP_RET_ALLOW
		errno = unix.SECCOMP_RET_ERRNO
		high  = 0xdead << 32 // bits the kernel does not look at
	)
	program := Program()
	if len(program) > unix.BPF_MAXINSNS {
		t.Fatalf("got %d instructions, want at most %d", len(program), unix.BPF_MAXINSNS)
	}
	native := func(number uint32, args ...uint64) data {
		c := data{arch: nativeArch, number: number}
		copy(c.args[:], args)
		return c
	}
	for _, test := range []struct {
		name string
		call data
		want uint32
	}{
		{"read", native(unix.SYS_READ), allow},
		{"set space aside", native(unix.SYS_FALLOCATE, 3, 0), errno | uint32(unix.EOPNOTSUPP)},
		{"set space aside beyond the end", native(unix.SYS_FALLOCATE, 3, high|unix.FALLOC_FL_KEEP_SIZE), errno | uint32(unix.EOPNOTSUPP)},
		{"give space back", native(unix.SYS_FALLOCATE, 3, high|unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE), allow},
		{"execve", native(unix.SYS_EXECVE), allow},
		{"prctl", native(unix.SYS_PRCTL), allow},
		{"last known", native(newestCall), allow},
		{"too new", native(newestCall + 1), errno | uint32(unix.ENOSYS)},
		{"x32", native(0x40000000 | unix.SYS_READ), errno | uint32(unix.ENOSYS)},
		{"32-bit", data{arch: unix.AUDIT_ARCH_I386, number: 3}, unix.SECCOMP_RET_KILL_PROCESS},
		{"bpf", native(unix.SYS_BPF), errno | uint32(unix.EPERM)},
		{"clone3", native(unix.SYS_CLONE3), errno | uint32(unix.ENOSYS)},
		{"thread", native(unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_THREAD|unix.CLONE_SIGHAND), allow},
		{"user namespace", native(unix.SYS_CLONE, unix.CLONE_NEWUSER|uint64(unix.SIGCHLD)), errno | uint32(unix.EPERM)},
		{"unix socket", native(unix.SYS_SOCKET, unix.AF_UNIX), allow},
		{"netlink socket", native(unix.SYS_SOCKET, unix.AF_NETLINK), allow},
		{"unix socket, high bits", native(unix.SYS_SOCKET, high|unix.AF_UNIX), allow},
		{"vsock", native(unix.SYS_SOCKET, unix.AF_VSOCK), errno | uint32(unix.EAFNOSUPPORT)},
		{"vsock, high bits", native(unix.SYS_SOCKET, high|unix.AF_VSOCK), errno | uint32(unix.EAFNOSUPPORT)},
		{"TCGETS", native(unix.SYS_IOCTL, 0, unix.TCGETS), allow},
		{"TIOCSTI", native(unix.SYS_IOCTL, 0, unix.TIOCSTI), errno | uint32(unix.EPERM)},
		{"TIOCSTI, high bits", native(unix.SYS_IOCTL, 0, high|unix.TIOCSTI), errno | uint32(unix.EPERM)},
		{"TIOCLINUX", native(unix.SYS_IOCTL, 0, unix.TIOCLINUX), errno | uint32(unix.EPERM)},
		{"ask personality", native(unix.SYS_PERSONALITY, 0xffffffff), allow},
		{"no randomisation", native(unix.SYS_PERSONALITY, 0x0040000), errno | uint32(unix.EPERM)},
		{"openat, mode without meaning", native(unix.SYS_OPENAT, 0, 0, unix.O_RDONLY, 0o4000), allow},
		{"openat, create", native(unix.SYS_OPENAT, 0, 0, unix.O_CREAT|unix.O_WRONLY, 0o644), allow},
		{"openat, create setuid", native(unix.SYS_OPENAT, 0, 0, unix.O_CREAT|unix.O_WRONLY, 0o4755), errno | uint32(unix.EPERM)},
		{"openat, O_TMPFILE setuid", native(unix.SYS_OPENAT, 0, 0, unix.O_TMPFILE|unix.O_WRONLY, 0o4755), errno | uint32(unix.EPERM)},
		{"openat, folder", native(unix.SYS_OPENAT, 0, 0, unix.O_DIRECTORY, 0o4755), allow},
		{"fchmod", native(unix.SYS_FCHMOD, 3, 0o2755), allow},
		{"fchmod setuid", native(unix.SYS_FCHMOD, 3, 0o4755), errno | uint32(unix.EPERM)},
	} {
		if got := evaluate(t, program, test.call); got != test.want {
			t.Errorf("%s: got %#x, want %#x", test.name, got, test.want)
		}
	}
	for _, c := range absent {
		if got := evaluate(t, program, native(c.number)); got != errno|uint32(unix.ENOSYS) {
			t.Errorf("absent call %s: got %#x", c.name, got)
		}
	}
	for _, c := range refused {
		if got := evaluate(t, program, native(c.number)); got != errno|uint32(unix.EPERM) {
			t.Errorf("refused call %s: got %#x", c.name, got)
		}
	}
}

func TestDenied(t *testing.T) {
	names := Denied()
	if len(names) != len(absent)+len(refused) || !slices.IsSorted(names) || len(slices.Compact(names)) != len(absent)+len(refused) {
		t.Errorf("got %v, want every denied call once, sorted", names)
	}
	for _, want := range []string{"io_uring_setup", "keyctl", "mount", "ptrace"} {
		if !slices.Contains(names, want) {
			t.Errorf("got %v, want %s among them", names, want)
		}
	}
}
