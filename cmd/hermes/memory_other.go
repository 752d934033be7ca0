//go:build !linux

package main

// memoryMiB is the host's memory; 0 = unknown.
func memoryMiB() int { return 0 }
