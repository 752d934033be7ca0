package main

import "syscall"

// memoryMiB is the host's memory; 0 = unknown.
func memoryMiB() int {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return int(uint64(info.Totalram) * uint64(info.Unit) >> 20)
}
