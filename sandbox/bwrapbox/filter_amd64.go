//go:build linux

package bwrapbox

import "golang.org/x/sys/unix"

const nativeArch = unix.AUDIT_ARCH_X86_64

// refusedHere are calls that only this architecture has.
var refusedHere = []uint32{
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS,
	unix.SYS__SYSCTL, unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE, unix.SYS_NFSSERVCTL,
}

// conditionalHere are the older forms of calls in conditional.
var conditionalHere = []rule{
	{unix.SYS_CHMOD, unix.EPERM, []test{anyBit(1, unix.S_ISUID)}},
	{unix.SYS_CREAT, unix.EPERM, []test{anyBit(1, unix.S_ISUID)}},
	{unix.SYS_MKNOD, unix.EPERM, []test{anyBit(1, unix.S_ISUID)}},
	{unix.SYS_OPEN, unix.EPERM, []test{anyBit(1, creating), anyBit(2, unix.S_ISUID)}},
}
