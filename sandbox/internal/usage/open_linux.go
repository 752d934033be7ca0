package usage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// deleted adds the files without a name that a process and its descendants
// have open, or mapped, where the places lie. What is mapped only root is told.
func (w *walk) deleted(pid int) error {
	if pid == 0 {
		return nil
	}
	for _, member := range descendants(pid) {
		w.links(fmt.Sprintf("/proc/%d/fd", member))
		w.links(fmt.Sprintf("/proc/%d/map_files", member))
		if w.ctx.Err() != nil {
			return fmt.Errorf("look at open files: %w", context.Cause(w.ctx))
		}
	}
	return nil
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
		if unix.Fstatat(int(f.Fd()), name, &st, 0) == nil && st.Nlink == 0 &&
			st.Mode&unix.S_IFMT == unix.S_IFREG && slices.Contains(w.devs, st.Dev) {
			w.file(&st)
		}
	}
}

// descendants returns a process and all that came of it and live. One may be
// missed that is born while its parent dies.
func descendants(pid int) []int {
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", tree[i]))
		for _, name := range threads {
			list, err := os.ReadFile(name)
			if err != nil {
				continue // it has ended
			}
			for field := range strings.FieldsSeq(string(list)) {
				if child, err := strconv.Atoi(field); err == nil {
					tree = append(tree, child)
				}
			}
		}
	}
	return tree
}
