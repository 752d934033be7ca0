//go:build linux

package filter

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_X86_64

// refusedHere are calls that only this architecture has.
var refusedHere = []call{
	{"iopl", unix.SYS_IOPL},
	{"ioperm", unix.SYS_IOPERM},
	{"modify_ldt", unix.SYS_MODIFY_LDT},
	{"uselib", unix.SYS_USELIB},
	{"ustat", unix.SYS_USTAT},
	{"sysfs", unix.SYS_SYSFS},
	{"_sysctl", unix.SYS__SYSCTL},
	{"create_module", unix.SYS_CREATE_MODULE},
	{"get_kernel_syms", unix.SYS_GET_KERNEL_SYMS},
	{"query_module", unix.SYS_QUERY_MODULE},
	{"nfsservctl", unix.SYS_NFSSERVCTL},
}

// conditionalHere are the older forms of calls in conditional.
var conditionalHere = []rule{
	{unix.SYS_CHMOD, unix.EPERM, []test{anyBit(1, unix.S_ISUID)}},
	{unix.SYS_CREAT, unix.EPERM, []test{anyBit(1, unix.S_ISUID)}},
	{unix.SYS_MKNOD, unix.EPERM, []test{anyBit(1, unix.S_ISUID)}},
	{unix.SYS_OPEN, unix.EPERM, []test{anyBit(1, creating), anyBit(2, unix.S_ISUID)}},
}
