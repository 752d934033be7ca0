//go:build linux && (amd64 || arm64)

package filter

import "golang.org/x/sys/unix"

// call is a system call as the kernel and as configurations name it.
type call struct {
	name   string
	number uint32
}

// newestCall is the last system call the lists were written for (cachestat).
// Numbers from 424 up are the same on every architecture.
const newestCall = 451

// absent calls answer ENOSYS, so that programs fall back to older ones.
var absent = []call{
	{"io_uring_setup", unix.SYS_IO_URING_SETUP},
	{"io_uring_enter", unix.SYS_IO_URING_ENTER},
	{"io_uring_register", unix.SYS_IO_URING_REGISTER},
	{"clone3", unix.SYS_CLONE3},   // its flags cannot be seen from here
	{"openat2", unix.SYS_OPENAT2}, // nor its mode
}

// refused calls answer EPERM.
var refused = append([]call{
	{"keyctl", unix.SYS_KEYCTL},
	{"add_key", unix.SYS_ADD_KEY},
	{"request_key", unix.SYS_REQUEST_KEY},
	{"bpf", unix.SYS_BPF},
	{"userfaultfd", unix.SYS_USERFAULTFD},
	{"perf_event_open", unix.SYS_PERF_EVENT_OPEN},
	{"ptrace", unix.SYS_PTRACE},
	{"process_vm_readv", unix.SYS_PROCESS_VM_READV},
	{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV},
	{"kcmp", unix.SYS_KCMP},
	{"pidfd_getfd", unix.SYS_PIDFD_GETFD},
	{"mount", unix.SYS_MOUNT},
	{"umount2", unix.SYS_UMOUNT2},
	{"pivot_root", unix.SYS_PIVOT_ROOT},
	{"chroot", unix.SYS_CHROOT},
	{"unshare", unix.SYS_UNSHARE},
	{"setns", unix.SYS_SETNS},
	{"fsopen", unix.SYS_FSOPEN},
	{"fsconfig", unix.SYS_FSCONFIG},
	{"fsmount", unix.SYS_FSMOUNT},
	{"fspick", unix.SYS_FSPICK},
	{"open_tree", unix.SYS_OPEN_TREE},
	{"move_mount", unix.SYS_MOVE_MOUNT},
	{"mount_setattr", unix.SYS_MOUNT_SETATTR},
	{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT},
	{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT},
	{"fanotify_init", unix.SYS_FANOTIFY_INIT},
	{"lookup_dcookie", unix.SYS_LOOKUP_DCOOKIE},
	{"kexec_load", unix.SYS_KEXEC_LOAD},
	{"kexec_file_load", unix.SYS_KEXEC_FILE_LOAD},
	{"reboot", unix.SYS_REBOOT},
	{"init_module", unix.SYS_INIT_MODULE},
	{"finit_module", unix.SYS_FINIT_MODULE},
	{"delete_module", unix.SYS_DELETE_MODULE},
	{"acct", unix.SYS_ACCT},
	{"quotactl", unix.SYS_QUOTACTL},
	{"quotactl_fd", unix.SYS_QUOTACTL_FD},
	{"swapon", unix.SYS_SWAPON},
	{"swapoff", unix.SYS_SWAPOFF},
	{"syslog", unix.SYS_SYSLOG},
	{"sethostname", unix.SYS_SETHOSTNAME},
	{"setdomainname", unix.SYS_SETDOMAINNAME},
	{"vhangup", unix.SYS_VHANGUP},
	{"settimeofday", unix.SYS_SETTIMEOFDAY},
	{"clock_settime", unix.SYS_CLOCK_SETTIME},
	{"clock_adjtime", unix.SYS_CLOCK_ADJTIME},
	{"adjtimex", unix.SYS_ADJTIMEX},
	{"migrate_pages", unix.SYS_MIGRATE_PAGES},
	{"move_pages", unix.SYS_MOVE_PAGES},
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
	// Space without writing would be taken faster than anybody can look; what
	// gives it back may be called. Programs know file systems that cannot do it.
	{unix.SYS_FALLOCATE, unix.EOPNOTSUPP, []test{noneOf(1, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_COLLAPSE_RANGE)}},
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
