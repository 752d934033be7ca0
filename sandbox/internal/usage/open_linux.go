package usage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// open adds the files without a name that processes have open, or mapped, where
// the places lie. What is mapped only root is told.
func (w *walk) open(pids []int) error {
	for _, pid := range pids {
		w.threads(pid)
		w.links(fmt.Sprintf("/proc/%d/map_files", pid))
		if w.ctx.Err() != nil {
			return fmt.Errorf("look at open files: %w", context.Cause(w.ctx))
		}
	}
	return nil
}

// threads adds what the threads of a process have open. Most share the
// descriptors of one that was looked at before.
func (w *walk) threads(pid int) {
	var seen []int
	folders, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, folder := range folders {
		thread, _ := strconv.Atoi(filepath.Base(folder))
		if slices.ContainsFunc(seen, func(other int) bool { return shareFiles(thread, other) }) {
			continue
		}
		seen = append(seen, thread)
		w.links(folder + "/fd")
	}
}

// shareFiles reports whether two threads are known to have the same
// descriptors.
func shareFiles(a, b int) bool {
	const files = 2 // KCMP_FILES
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), files, 0, 0, 0)
	return errno == 0 && order == 0
}

// links adds the files without a name that the links in a folder of the kernel
// lead to.
func (w *walk) links(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return // the process has ended
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1) // what was read before it ended
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(int(f.Fd()), name, &st, 0) != nil {
			continue
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			if st.Nlink == 0 && slices.Contains(w.devs, st.Dev) {
				w.file(&st)
			}
		case unix.S_IFSOCK:
			w.flown = w.flown || carries(filepath.Dir(dir)+"/fdinfo/"+name)
		}
	}
}

// carries reports whether descriptors wait in a socket to be received. Kernels
// before 5.10 do not tell.
func carries(info string) bool {
	data, err := os.ReadFile(info)
	if err != nil {
		return false
	}
	_, n, ok := bytes.Cut(data, []byte("scm_fds:"))
	return ok && !bytes.HasPrefix(bytes.TrimSpace(n), []byte("0"))
}
