//go:build linux && (amd64 || arm64)

package escape

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

const mib = 1 << 20

// The limits that are asked for where the backend has them, and what is tried:
// more than twice as much.
const (
	limitProcesses, tryProcesses = 128, 400
	limitMemory, tryMemory       = 256 * mib, 1024 * mib
	limitBytes, tryBytes         = 16 * mib, 64 * mib // of one place in memory
	tryOutput                    = 64 * mib
	limitOpen, tryOpen           = 64, 500
	limitMilli, tryMilli         = 200, 400
	limitFile, tryFile           = 64 * mib, 1 << 40
)

var resourceAttempts = []attempt{
	{id: "R1", name: "fork bomb", needs: driver.LimitProcesses, stage: stageForks, try: fork, fatal: true},
	{id: "R2", name: "allocate 1 GiB", needs: driver.LimitMemory, stage: limited(func(l *sandbox.Limits) { l.MemoryBytes = limitMemory }), try: allocate, fatal: true},
	{id: "R3", name: "fill what is in memory (/tmp, /dev/shm, the root)", needs: driver.LimitTmp, stage: stageTmp, try: fillTmp, fatal: true},
	{id: "R4", name: "fill the workspace", needs: driver.LimitDisk, stage: stageDisk(filled), try: fillWorkspace, fatal: true},
	{id: "R5", name: "use up inodes", needs: driver.LimitDisk, stage: stageDisk(counted), try: makeInodes, fatal: true},
	{id: "R6", name: "output without end", stage: stageOutput, try: output},
	{id: "R7", name: "open files without end", needs: driver.LimitOpenFiles, stage: limited(func(l *sandbox.Limits) { l.OpenFiles = limitOpen }), try: openFiles, fatal: true},
	{id: "R8", name: "spin on 64 threads", needs: driver.LimitCPU, stage: stageSpin, try: spin},
	{id: "R9", name: "a sparse file of 1 TiB", needs: driver.LimitFileSize, stage: stageSparse, try: sparse, fatal: true},
}

// limit asks for a limit, where the backend has it.
func (s *scene) limit(c driver.Capabilities, set func(*sandbox.Limits)) {
	if s.has(c) && !s.careless {
		set(&s.spec.Limits)
	}
}

// limited believes the program about how much it got.
func limited(set func(*sandbox.Limits)) func(*scene) (judge, error) {
	return func(s *scene) (judge, error) {
		var asked sandbox.Limits
		set(&asked)
		need := sandbox.Needs(&sandbox.Spec{Limits: asked}) &^ driver.NetworkNone
		s.limit(need, set)
		return s.byWord, nil
	}
}

// stageForks counts the processes while they live.
func stageForks(s *scene) (judge, error) {
	s.limit(driver.LimitProcesses, func(l *sandbox.Limits) { l.Processes = limitProcesses })
	token := filepath.Base(s.dir)
	s.args["token"] = token
	most := 0
	s.during = func(*sandbox.Session) {
		names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range names {
			if b, err := os.ReadFile(name); err == nil && bytes.Contains(b, []byte(token)) {
				most++
			}
		}
	}
	return func() (bool, string) {
		if most >= tryProcesses {
			return true, fmt.Sprintf("%d processes lived at once", most)
		}
		return s.byWord()
	}, nil
}

func fork(inside) {
	made := 0
	for made < tryProcesses {
		if forkIdle() != 0 {
			break
		}
		made++
	}
	if made == tryProcesses {
		reached("%d processes", made)
	}
	untilLooked()
}

// forkIdle makes a process that does nothing. It may touch nothing of Go's
// runtime, of which it has this one thread.
//
//go:norace
//go:noinline
func forkIdle() syscall.Errno {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		for {
			syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	}
	return errno
}

func allocate(inside) {
	const step = 64 * mib
	for got := 0; got < tryMemory; got += step {
		b, err := unix.Mmap(-1, 0, step, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return
		}
		for i := 0; i < step; i += 4096 {
			b[i] = 1
		}
	}
	reached("%d MiB", tryMemory/mib)
}

func stageTmp(s *scene) (judge, error) {
	s.limit(driver.LimitTmp, func(l *sandbox.Limits) { l.TmpBytes = limitBytes })
	s.args["places"] = "/tmp"
	if s.has(driver.Files) && !s.careless {
		s.args["places"] = "/ /tmp /var/tmp /dev/shm /dev /run /run/hermes /var /home /root /etc /usr /mnt /opt /srv"
	}
	return s.byWord, nil
}

func fillTmp(in inside) {
	for place := range strings.FieldsSeq(in["places"]) {
		f, err := os.CreateTemp(place, "fill")
		if err != nil {
			continue
		}
		os.Remove(f.Name())
		if n := fill(f, tryBytes); n >= tryBytes {
			reached("%d MiB in %s", n/mib, place)
		}
		f.Close()
	}
}

// fill writes until it may not any more, at most as much as is said.
func fill(f *os.File, most int) (n int) {
	chunk := bytes.Repeat([]byte("x"), mib)
	for n < most {
		m, err := f.Write(chunk)
		n += m
		if err != nil {
			break
		}
	}
	return n
}

// stageOutput looks how much of the output the supervisor has in memory.
func stageOutput(s *scene) (judge, error) {
	before := heap()
	var all bytes.Buffer
	s.spec.Stdout = io.Discard
	if s.careless {
		s.spec.Stdout = &all
	}
	return func() (bool, string) {
		grown := heap() - before
		runtime.KeepAlive(&all)
		return grown >= tryOutput/2, fmt.Sprintf("%d MiB are held", grown/mib)
	}, nil
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func output(inside) {
	chunk := bytes.Repeat([]byte("\x1b]52;c;QQ==\x07 noise"), 1<<12)
	for n := 0; n < tryOutput; n += len(chunk) {
		if _, err := os.Stdout.Write(chunk); err != nil {
			return
		}
	}
	fmt.Fprint(os.Stderr, "\n"+tried)
}

func openFiles(inside) {
	for n := range tryOpen {
		if _, err := unix.Dup(1); err != nil {
			fmt.Println("at", n, err)
			return
		}
	}
	reached("%d open files", tryOpen)
}

// stageSpin measures what the session's processes use while they spin, and
// again where the host was busy. What a kernel of the backend's own tells the
// program about it would be no measure.
func stageSpin(s *scene) (judge, error) {
	s.limit(driver.LimitCPU, func(l *sandbox.Limits) { l.MilliCPUs = limitMilli })
	most, seen := time.Duration(0), true
	s.during = func(session *sandbox.Session) {
		if seen = session.PID() != 0; !seen {
			time.Sleep(2 * time.Second)
			return
		}
		for range 4 {
			began, before := time.Now(), treeTime(session.PID())
			time.Sleep(time.Second)
			most = max(most, (treeTime(session.PID())-before)*1000/time.Since(began))
			if most >= tryMilli {
				return
			}
		}
	}
	return func() (bool, string) {
		if !seen { // nothing of it is a process of this host
			return s.byWord()
		}
		return most >= tryMilli, fmt.Sprintf("%d/1000 of a processor", most)
	}, nil
}

// treeTime is the processor time that a process and its living descendants
// have used.
func treeTime(root int) time.Duration {
	const tick = 10 * time.Millisecond // in which the kernel tells it
	children, used := make(map[int][]int), make(map[int]time.Duration)
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var pid, parent, skip, user, system int
		var state string
		fmt.Sscan(string(b), &pid)
		rest := string(b[bytes.LastIndexByte(b, ')')+1:])
		fmt.Sscan(rest, &state, &parent, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &user, &system)
		children[parent] = append(children[parent], pid)
		used[pid] = time.Duration(user+system) * tick
	}
	sum := time.Duration(0)
	for queue := []int{root}; len(queue) > 0; {
		sum += used[queue[0]]
		queue = append(queue[1:], children[queue[0]]...)
	}
	return sum
}

// spin uses what it can get until somebody has looked.
func spin(inside) {
	began, used := time.Now(), processorTime()
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for n := 0; ; n++ {
				if n%(1<<20) != 0 {
					continue
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	untilLooked()
	close(done)
	if milli := int64(processorTime()-used) * 1000 / int64(time.Since(began)); milli >= tryMilli {
		reached("%d/1000 of a processor", milli)
	}
	all.Wait()
}

func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func stageSparse(s *scene) (judge, error) {
	s.limit(driver.LimitFileSize, func(l *sandbox.Limits) { l.FileBytes = limitFile })
	return func() (bool, string) {
		info, err := os.Lstat(filepath.Join(s.spec.Workspace, "sparse"))
		return err == nil && info.Size() > limitFile, "it was made"
	}, nil
}

func sparse(in inside) {
	path := filepath.Join(in["workspace"], "sparse")
	os.WriteFile(path, nil, 0o644)
	os.Truncate(path, tryFile)
}
