//go:build linux && (amd64 || arm64)

package filter

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

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

// Program assembles the filter. Every refusal is a block of its own that is
// entered with the call's number in the accumulator and leaves it there.
func Program() []unix.SockFilter {
	program := []unix.SockFilter{
		{Code: load, K: archOffset},
		{Code: jumpEq, Jt: 1, K: nativeArch},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: callOffset},
		{Code: jumpOver, Jf: 1, K: newestCall},
		refuse(unix.ENOSYS),
	}
	for _, c := range absent {
		program = append(program, unix.SockFilter{Code: jumpEq, Jf: 1, K: c.number}, refuse(unix.ENOSYS))
	}
	for _, c := range refused {
		program = append(program, unix.SockFilter{Code: jumpEq, Jf: 1, K: c.number}, refuse(unix.EPERM))
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

// Bytes is the program as it lies in memory, the form in which bwrap reads it.
func Bytes() []byte {
	var raw []byte
	for _, ins := range Program() {
		raw = binary.NativeEndian.AppendUint16(raw, ins.Code)
		raw = append(raw, ins.Jt, ins.Jf)
		raw = binary.NativeEndian.AppendUint32(raw, ins.K)
	}
	return raw
}

// Denied returns the names of the calls that are refused whatever their
// arguments, sorted. Calls newer than the filter are refused besides, and some
// others for some arguments.
func Denied() []string {
	var names []string
	for _, c := range slices.Concat(absent, refused) {
		names = append(names, c.name)
	}
	slices.Sort(names)
	return names
}

// Install puts this process, with all of its threads, and what it starts behind
// the filter for good. It needs no privilege. The calling goroutine is locked
// to its thread.
func Install() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	program := Program()
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno != 0:
		return fmt.Errorf("install system call filter: %w", errno)
	case thread != 0:
		return fmt.Errorf("install system call filter: thread %d has another one", thread)
	}
	return nil
}
