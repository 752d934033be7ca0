package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const markPrefix = "HERMES_MARK="

// MarkOf returns the value of HERMES_MARK in a process's environment, empty
// where there is none or it cannot be read.
func MarkOf(pid int) string {
	stat, err := ReadStat(pid)
	if err != nil {
		return ""
	}
	mark, _ := readMark(stat)
	return mark
}

// settleTime is how long Marked waits for processes that are between two
// programs. On a loaded machine one may be kept from running for some time.
const settleTime = time.Second

// Marked returns the processes whose environment carries mark, sorted. None is
// left out for being about to execute a program: if any process of the host
// is, Marked looks again, for a second at most.
func Marked(mark string) ([]int, error) {
	for deadline := time.Now().Add(settleTime); ; time.Sleep(time.Millisecond) {
		pids, between, err := marked(mark)
		if err != nil || !between || time.Now().After(deadline) {
			return pids, err
		}
	}
}

func marked(mark string) (pids []int, between bool, err error) {
	all, err := Scan()
	if err != nil {
		return nil, false, err
	}
	for _, stat := range all {
		got, unsettled := readMark(stat)
		if got == mark {
			pids = append(pids, stat.PID)
		}
		between = between || unsettled
	}
	slices.Sort(pids)
	return pids, between, nil
}

// KillMarked sends SIGKILL to the processes whose environment carries mark, and
// to no other. It does not wait for their end.
func KillMarked(mark string) error {
	pids, err := Marked(mark)
	for _, pid := range pids {
		err = errors.Join(err, killMarked(pid, mark))
	}
	return err
}

func killMarked(pid int, mark string) error {
	stat, err := ReadStat(pid)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	h, err := Open(stat)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	// What the handle holds may have become another's id before it was opened.
	if MarkOf(pid) != mark {
		return nil
	}
	if err := h.Signal(unix.SIGKILL); !gone(err) {
		return err
	}
	return nil
}

// readMark returns the mark of the process that before was read of. It also
// reports whether the process is between two programs: it has begun to execute
// one that was not yet given its arguments and environment, so that its mark
// cannot be told at this moment.
//
// That nothing was read is taken for an answer only if the process was the same
// before and after: the environment may have come between two looks.
func readMark(before Stat) (mark string, between bool) {
	if before.kernel {
		return "", false
	}
	dir := fmt.Sprintf("/proc/%d", before.PID)
	env, err := os.ReadFile(dir + "/environ")
	if len(env) > 0 || errors.Is(err, fs.ErrPermission) {
		return markIn(env), false
	}
	after, err := ReadStat(before.PID)
	switch {
	case err != nil:
		return "", false
	case after.exiting && after.threads <= 1:
		return "", false
	case after.exiting:
		return markOfThreads(dir)
	}
	return "", !before.image.loaded() || before.image != after.image
}

// markOfThreads is readMark for a process whose first thread has ended, which
// takes its view of the environment with it: the other threads still have it.
func markOfThreads(dir string) (mark string, between bool) {
	tasks, err := filepath.Glob(dir + "/task/*")
	if err != nil {
		return "", false
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			continue
		}
		env, err := os.ReadFile(task + "/environ")
		if len(env) > 0 || errors.Is(err, fs.ErrPermission) {
			return markIn(env), false
		}
		if stat, err := readStat(tid, task); err == nil && !stat.exiting {
			between = true
		}
	}
	return "", between
}

func markIn(env []byte) string {
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if mark, ok := bytes.CutPrefix(entry, []byte(markPrefix)); ok {
			return string(mark)
		}
	}
	return ""
}
