//go:build linux && (amd64 || arm64)

package escape

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// A session may take limitDisk. How far it gets beyond is bounded by what may go
// unnoticed after false alarms, 64 MiB, and what it writes until it has
// been stopped. 176 MiB or 7,000 files are allowed for that, which takes longer
// than to be noticed. Together that is overDisk, or overFiles, each of which
// counts for 4 KiB.
const (
	limitDisk  = 16 * mib
	overDisk   = 256 * mib
	tryDisk    = overDisk + singleFile
	overFiles  = (limitDisk+64*mib)/4096 + 7000
	tryFiles   = overFiles + 1000
	singleFile = 64 * mib
)

// stageDisk looks afterwards at what was taken, in its way.
func stageDisk(look func(*scene) judge) func(*scene) (judge, error) {
	return func(s *scene) (judge, error) {
		s.limit(driver.LimitDisk, func(l *sandbox.Limits) { l.DiskBytes = limitDisk })
		return look(s), nil
	}
}

// filled adds up the files that are left.
func filled(s *scene) judge {
	return func() (bool, string) {
		sum := int64(0)
		for _, dir := range []string{s.spec.Workspace, s.outputs} {
			names, _ := filepath.Glob(filepath.Join(dir, "fill.*"))
			for _, name := range names {
				var st syscall.Stat_t
				if syscall.Lstat(name, &st) == nil {
					sum += st.Blocks * 512
				}
			}
		}
		return sum >= overDisk, fmt.Sprintf("%d MiB were written", sum/mib)
	}
}

// counted counts the files that are left.
func counted(s *scene) judge {
	return func() (bool, string) {
		f, err := os.Open(filepath.Join(s.spec.Workspace, "many"))
		if err != nil {
			return false, ""
		}
		defer f.Close()
		names, _ := f.Readdirnames(-1)
		return len(names) >= overFiles, fmt.Sprintf("%d files were made", len(names))
	}
}

// lost believes the program: nothing is left to be seen.
func lost(s *scene) judge { return s.byWord }

// writeFiles has files made by create, and writes to each what it holds, until
// most bytes are written. The files stay open until then.
func writeFiles(most int, create func(i int) (*os.File, error), then func(*os.File)) {
	signal.Ignore(syscall.SIGXFSZ) // a file may only get so large
	for i, n := 0, 0; n < most; i++ {
		f, err := create(i)
		if err != nil {
			return
		}
		m := fill(f, min(singleFile, most-n))
		if m == 0 {
			return
		}
		if n += m; n >= overDisk && n-m < overDisk {
			reached("%d MiB", n/mib)
		}
		then(f)
	}
}

func fillWorkspace(in inside) {
	dirs := []string{in["workspace"], in["outputs"]}
	writeFiles(tryDisk, func(i int) (*os.File, error) {
		return os.Create(filepath.Join(dirs[i%2], fmt.Sprint("fill.", i)))
	}, func(f *os.File) { f.Close() })
}

func makeInodes(in inside) {
	if os.Mkdir(filepath.Join(in["workspace"], "many"), 0o755) != nil || os.Chdir(filepath.Join(in["workspace"], "many")) != nil {
		return
	}
	for i := range tryFiles {
		fd, err := syscall.Open(fmt.Sprint(i), syscall.O_CREAT|syscall.O_WRONLY, 0o644)
		if err != nil {
			return
		}
		syscall.Close(fd)
	}
}

// deleted makes files that have no name any more.
func deleted(dir string) func(int) (*os.File, error) {
	return func(int) (*os.File, error) {
		f, err := os.CreateTemp(dir, "fill")
		if err == nil {
			err = os.Remove(f.Name())
		}
		return f, err
	}
}

func fillDeleted(in inside) {
	var open []*os.File
	writeFiles(overDisk, deleted(in["workspace"]), func(f *os.File) { open = append(open, f) })
	for _, f := range open {
		f.Close()
	}
}

// fillFlown sends the files away without anybody to receive them.
func fillFlown(in inside) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return
	}
	writeFiles(overDisk, deleted(in["workspace"]), func(f *os.File) {
		if unix.Sendmsg(pair[0], []byte("x"), unix.UnixRights(int(f.Fd())), nil, 0) == nil {
			f.Close()
		}
	})
}

// fillAtOnce has many processes write, each in a single call of the length that a
// file may have, which goes on when they are told to stop.
func fillAtOnce(in inside) {
	names, chunk := make([][]byte, tryDisk/limitDisk), make([]byte, limitDisk)
	for i := range names {
		names[i] = fmt.Appendf(nil, "%s/fill.%d\x00", in["workspace"], i)
		if forkWrite(names[i], chunk) != 0 {
			return
		}
	}
	for range names {
		unix.Wait4(-1, nil, 0, nil)
	}
}

// forkWrite writes a file in another process, which may touch nothing of Go's
// runtime: not even look whether its stack is large enough.
//
//go:norace
//go:noinline
//go:nosplit
func forkWrite(name, chunk []byte) syscall.Errno {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return errno
	}
	writeRaw(name, chunk)
	for {
		syscall.RawSyscall6(syscall.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
	}
}

//go:norace
//go:noinline
//go:nosplit
func writeRaw(name, chunk []byte) {
	here := unix.AT_FDCWD
	fd, _, _ := syscall.RawSyscall6(syscall.SYS_OPENAT, uintptr(here), uintptr(unsafe.Pointer(&name[0])), syscall.O_CREAT|syscall.O_WRONLY, 0o644, 0, 0)
	syscall.RawSyscall6(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&chunk[0])), uintptr(len(chunk)), 0, 0, 0)
	syscall.RawSyscall6(syscall.SYS_CLOSE, fd, 0, 0, 0, 0, 0)
}

// setAside takes blocks in no time, in files and beyond their ends.
func setAside(in inside) {
	for i := range tryDisk / (limitDisk / 2) {
		f, err := os.Create(filepath.Join(in["workspace"], fmt.Sprint("fill.", i)))
		if err != nil {
			return
		}
		for _, mode := range []uint32{0, unix.FALLOC_FL_KEEP_SIZE} {
			unix.Fallocate(int(f.Fd()), mode, 0, limitDisk/2)
		}
		f.Close()
	}
}

// passOn has each process write a file, hand its work to a child and end, so
// that there is hardly one to be stopped.
func passOn(in inside) {
	if os.Chdir(in["workspace"]) != nil || forkChain([]byte("fill.0000\x00"), make([]byte, mib), tryDisk/mib) != 0 {
		return
	}
	for began := time.Now(); time.Since(began) < attemptTime/2; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("fill.%04d", tryDisk/mib)); err == nil {
			return
		}
	}
}

// forkChain starts n processes, one after the other, each of which writes the
// chunk into a file with the next name. What holds for forkWrite's holds for them.
//
//go:norace
//go:noinline
//go:nosplit
func forkChain(name, chunk []byte, n int) syscall.Errno {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return errno
	}
	for ; n > 0 && errno == 0 && pid == 0; n-- {
		for i := len(name) - 2; ; i-- {
			if name[i]++; name[i] <= '9' {
				break
			}
			name[i] = '0'
		}
		writeRaw(name, chunk)
		pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	}
	for {
		syscall.RawSyscall6(syscall.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
	}
}
