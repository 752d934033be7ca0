//go:build linux && (amd64 || arm64)

package bwrapbox

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// The filter is a list of refusals in front of an allowance. Three things make
// such a list hold: calls of another architecture than the native one kill the
// process, calls newer than the list do not exist, and arguments are compared
// in the 32 bits that the kernel itself looks at, so that bits set above them
// do not hide a value.

// newestCall is the last system call the list was written for (cachestat).
// Numbers from 424 up are the same on every architecture.
const newestCall = 451

// absent calls answer ENOSYS, so that programs fall back to older ones.
var absent = []uint32{
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_CLONE3,  // its flags cannot be seen from here
	unix.SYS_OPENAT2, // nor its mode
}

// refused calls answer EPERM.
var refused = append([]uint32{
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_BPF, unix.SYS_USERFAULTFD, unix.SYS_PERF_EVENT_OPEN,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
	unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
	unix.SYS_SYSLOG, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
}, refusedHere...)

const (
	newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
		unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	creating = unix.O_CREAT | unix.O_TMPFILE&^unix.O_DIRECTORY
)

// conditional calls are refused when all tests on their arguments hold.
var conditional = append([]rule{
	{unix.SYS_CLONE, unix.EPERM, []test{anyBit(0, newNamespaces)}},
	{unix.SYS_SOCKET, unix.EAFNOSUPPORT, []test{noneOf(0, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK)}},
	{unix.SYS_SOCKETPAIR, unix.EAFNOSUPPORT, []test{noneOf(0, unix.AF_UNIX)}},
	{unix.SYS_IOCTL, unix.EPERM, []test{equals(1, unix.TIOCSTI)}},
	{unix.SYS_IOCTL, unix.EPERM, []test{equals(1, unix.TIOCLINUX)}},
	// Linux and its 32-bit report, with or without the uname26 quirk; asking.
	{unix.SYS_PERSONALITY, unix.EPERM, []test{noneOf(0, 0x0, 0x8, 0x20000, 0x20008, 0xffffffff)}},
	// Where the host's user is root, a setuid file left in the workspace
	// would be root's.
	{unix.SYS_FCHMOD, unix.EPERM, []test{anyBit(1, unix.S_ISUID)}},
	{unix.SYS_FCHMODAT, unix.EPERM, []test{anyBit(2, unix.S_ISUID)}},
	{unix.SYS_MKNODAT, unix.EPERM, []test{anyBit(2, unix.S_ISUID)}},
	{unix.SYS_OPENAT, unix.EPERM, []test{anyBit(2, creating), anyBit(3, unix.S_ISUID)}},
}, conditionalHere...)

type rule struct {
	call  uint32
	errno unix.Errno
	tests []test
}

// test looks at the low 32 bits of one argument.
type test struct {
	arg    uint32
	kind   testKind
	values []uint32
}

type testKind int

const (
	isAnyBit testKind = iota // has a bit of the one value
	isEqual                  // is the one value
	isNoneOf                 // is none of the values
)

func anyBit(arg, bits uint32) test             { return test{arg, isAnyBit, []uint32{bits}} }
func equals(arg, value uint32) test            { return test{arg, isEqual, []uint32{value}} }
func noneOf(arg uint32, values ...uint32) test { return test{arg, isNoneOf, values} }

// Instructions of classic BPF as seccomp runs it.
const (
	load     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	jumpEq   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	jumpOver = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	jumpBits = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	ret      = unix.BPF_RET | unix.BPF_K
)

// Offsets in struct seccomp_data.
const (
	callOffset = 0
	archOffset = 4
	argsOffset = 16
)

// filter assembles the program. Every refusal is a block of its own that is
// entered with the call's number in the accumulator and leaves it there.
func filter() []unix.SockFilter {
	program := []unix.SockFilter{
		{Code: load, K: archOffset},
		{Code: jumpEq, Jt: 1, K: nativeArch},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: callOffset},
		{Code: jumpOver, Jf: 1, K: newestCall},
		refuse(unix.ENOSYS),
	}
	for _, call := range absent {
		program = append(program, unix.SockFilter{Code: jumpEq, Jf: 1, K: call}, refuse(unix.ENOSYS))
	}
	for _, call := range refused {
		program = append(program, unix.SockFilter{Code: jumpEq, Jf: 1, K: call}, refuse(unix.EPERM))
	}
	for _, r := range conditional {
		program = append(program, r.assemble()...)
	}
	return append(program, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

func refuse(errno unix.Errno) unix.SockFilter {
	return unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

// assemble builds from the end, where every failed test jumps to.
func (r rule) assemble() []unix.SockFilter {
	block := []unix.SockFilter{refuse(r.errno)}
	prepend := func(ins ...unix.SockFilter) { block = append(ins, block...) }
	for _, t := range slices.Backward(r.tests) {
		switch t.kind {
		case isAnyBit:
			prepend(unix.SockFilter{Code: jumpBits, Jf: uint8(len(block)), K: t.values[0]})
		case isEqual:
			prepend(unix.SockFilter{Code: jumpEq, Jf: uint8(len(block)), K: t.values[0]})
		case isNoneOf:
			for _, value := range t.values {
				prepend(unix.SockFilter{Code: jumpEq, Jt: uint8(len(block)), K: value})
			}
		}
		prepend(unix.SockFilter{Code: load, K: argsOffset + 8*t.arg}) // little endian: the low half
	}
	prepend(unix.SockFilter{Code: jumpEq, Jf: uint8(len(block)), K: r.call})
	return append(block, unix.SockFilter{Code: load, K: callOffset})
}

// filterBytes is the program as bwrap reads it.
func filterBytes() []byte {
	var raw []byte
	for _, ins := range filter() {
		raw = binary.NativeEndian.AppendUint16(raw, ins.Code)
		raw = append(raw, ins.Jt, ins.Jf)
		raw = binary.NativeEndian.AppendUint32(raw, ins.K)
	}
	return raw
}
