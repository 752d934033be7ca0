package start

import "syscall"

// pair makes a connection to a supervisor, of which both ends are closed when a
// program is executed. Messages keep their bounds: the one byte never comes with
// the name of the run.
func pair() ([2]int, error) {
	return syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
}
