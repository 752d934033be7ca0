//go:build linux && (amd64 || arm64)

package sandboxtest

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hermesboard/hermes/sandbox"
	"github.com/hermesboard/hermes/sandbox/driver"
)

// hog takes args[0] MiB of memory and uses it.
func hog(args []string) {
	size, _ := strconv.Atoi(args[0])
	var kept [][]byte
	for range size {
		chunk := make([]byte, 1<<20)
		for i := 0; i < len(chunk); i += 1 << 10 {
			chunk[i] = 1
		}
		kept = append(kept, chunk)
	}
	fmt.Println("took", len(kept))
}

// spin works for args[0] milliseconds and prints how many thousandths of a
// processor it got meanwhile.
func spin(args []string) {
	millis, _ := strconv.Atoi(args[0])
	start, before := time.Now(), used()
	for range runtime.GOMAXPROCS(0) - 1 {
		go busy(start, millis) // ends with the process at the latest
	}
	busy(start, millis)
	fmt.Println(int64(1000 * (used() - before) / time.Since(start)))
}

// busy works until so many milliseconds have passed since start.
func busy(start time.Time, millis int) {
	for time.Since(start) < time.Duration(millis)*time.Millisecond {
	}
}

func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bystander starts a session that the returned function expects unharmed.
func (b *box) bystander(t *testing.T) (unharmed func()) {
	t.Helper()
	s, _ := b.up(t, "polite")
	return func() {
		t.Helper()
		if err := s.Stop(patience); err != nil {
			t.Error(err)
		}
		if status := b.wait(t, s); status.Code != 3 {
			t.Errorf("the other session: got %v, want its own exit 3", status)
		}
	}
}

func testMemory(t *testing.T, b *box) {
	if !b.has(driver.LimitMemory) {
		t.Logf("%s has no limit of memory here", b.Name())
		return
	}
	unharmed := b.bystander(t)
	spec := b.spec(t, "hog", "256")
	spec.Limits.MemoryBytes = 64 << 20
	if out, status := b.run(t, spec); status != (sandbox.ExitStatus{Code: 137, Signal: syscall.SIGKILL}) || out != "" {
		t.Errorf("256 MiB of 64: got %+v, %q; want it killed", status, out)
	}
	unharmed()
	if out, status := b.run(t, b.spec(t, "hog", "256")); out != "took 256\n" || !status.Success() {
		t.Errorf("without limit: got %v, %q; want all of it", status, out)
	}
}

func testForkBomb(t *testing.T, b *box) {
	if !b.has(driver.LimitProcesses) {
		t.Logf("%s has no limit of processes here", b.Name())
		return
	}
	const most, limit = 200, 80
	bomb := func(limit int) (started int) {
		var out lineCount
		spec := b.spec(t)
		spec.Argv = shell("i=0; while [ $i -lt $1 ]; do sleep 600 >/dev/null & i=$((i+1)); echo; done", fmt.Sprint(most))
		spec.Limits.Processes = limit
		spec.Stdout = &out
		s := b.start(t, spec)
		b.wait(t, s)
		if limit > 0 && !b.has(driver.Processes) {
			if pids, err := sandbox.Marked(s.Mark()); err != nil || len(pids) > limit || len(pids) < limit/2 {
				t.Errorf("got %d processes on the host, %v; want some, at most %d", len(pids), err, limit)
			}
		}
		if _, status := b.run(t, b.spec(t, "exit", "5")); status.Code != 5 {
			t.Errorf("another session meanwhile: got %v, want exit 5", status)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return out.n
	}
	unharmed := b.bystander(t)
	if got := bomb(limit); got < limit/2 || got >= limit {
		t.Errorf("got %d processes, want some, fewer than %d", got, limit)
	}
	unharmed()
	if got := bomb(0); got != most {
		t.Errorf("without limit: got %d processes, want %d", got, most)
	}
}

type lineCount struct{ n int }

func (c *lineCount) Write(p []byte) (int, error) {
	c.n += strings.Count(string(p), "\n")
	return len(p), nil
}

func testProcessorTime(t *testing.T, b *box) {
	if !b.has(driver.LimitCPU) {
		t.Logf("%s has no limit of processor time here", b.Name())
		return
	}
	const limit, bound = 50, 120 // thousandths of a processor; the kernel is not exact
	got := func(limit, millis int) int {
		spec := b.spec(t, "spin", fmt.Sprint(millis))
		spec.Limits.MilliCPUs = limit
		out, _ := b.run(t, spec)
		milli, err := strconv.Atoi(strings.TrimSpace(out))
		if err != nil {
			t.Fatal(err)
		}
		return milli
	}
	if got := got(limit, 1000); got > bound {
		t.Errorf("got %d/1000 of a processor, want %d and at most %d", got, limit, bound)
	}
	free := 0
	for range 5 { // the host may be busy
		if free = max(free, got(0, 300)); free > bound {
			return
		}
	}
	t.Errorf("without limit: got %d/1000 of a processor, want more than %d", free, bound)
}

// testCgroupPath looks where processes are: the session's from their first
// instruction, the supervisor's threads never.
func testCgroupPath(t *testing.T, b *box) {
	spec := b.spec(t, "deaf")
	out := newLines()
	spec.Stdout = out
	if b.has(driver.LimitProcesses) {
		spec.Limits.Processes = 500
	}
	if b.has(driver.LimitCPU) {
		spec.Limits.MilliCPUs = 1500
	}
	if !b.has(driver.Files) {
		spec.Argv = shell("cat /proc/self/cgroup; exec \"$@\"", spec.Argv...)
	}
	s := b.start(t, spec)
	first, own := "", read(t, fmt.Sprintf("/proc/%d/cgroup", s.PID()))
	for line := ""; line != "up"; line = await(t, "line", out.c) {
		first += line + "\n"
	}
	if s.Cgroup() == "" || s.Cgroup() != b.Cgroup(s.Mark()) || !strings.Contains(own, ":"+s.Cgroup()+"\n") {
		t.Errorf("got path %q, told before %q; want where the process is: %q", s.Cgroup(), b.Cgroup(s.Mark()), own)
	}
	if !b.has(driver.Files) && strings.TrimSpace(first) != strings.TrimSpace(own) {
		t.Errorf("the first program saw %q, the host sees %q", first, own)
	}
	for _, thread := range glob(t, "/proc/self/task/*/cgroup") {
		if where := read(t, thread); strings.Contains(where, s.Mark()) {
			t.Errorf("a thread of the supervisor is in the session's group: %q", where)
		}
	}
	if alive, err := sandbox.CgroupAlive(s.Cgroup()); err != nil || !alive {
		t.Errorf("got alive %v, %v; want true", alive, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if alive, err := sandbox.CgroupAlive(s.Cgroup()); err != nil || alive {
		t.Errorf("after Close: got alive %v, %v; want false", alive, err)
	}
	wantNoGroup(t, s.Mark())
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantNoGroup(t *testing.T, mark string) {
	t.Helper()
	for _, pattern := range []string{"/sys/fs/cgroup/hermes/", "/sys/fs/cgroup/*/hermes/", "/sys/fs/cgroup/*/*/*/hermes/"} {
		if left := glob(t, pattern+mark); len(left) > 0 {
			t.Errorf("got %v left, want none", left)
		}
	}
}

// testStraysOfTwo ends one of two sessions whose descendants kept nothing that
// would tell whose they are, except their group.
func testStraysOfTwo(t *testing.T, b *box) {
	tokens := []string{unique("one"), unique("two")}
	one := b.daemonUp(t, "stay", "clear", tokens[0])
	two := b.daemonUp(t, "stay", "clear", tokens[1])
	before := hostProcesses(t, tokens[1])
	if err := one.Kill(); err != nil {
		t.Error(err)
	}
	wantGone(t, tokens[0])
	if now := hostProcesses(t, tokens[1]); !slices.Equal(now, before) {
		t.Errorf("got processes %v of the other session, want all of %v", now, before)
	}
	if err := two.Kill(); err != nil {
		t.Error(err)
	}
	wantGone(t, tokens[1])

	if b.has(driver.Processes) || !All() {
		return // it needs no group for this; or it takes long
	}
	c := control()
	one = c.daemonUp(t, "stay", "clear", tokens[0])
	time.Sleep(50 * time.Millisecond) // the kernel tells ages in ticks of 10 ms
	two, _ = c.up(t, "deaf")          // younger than the stray, which is therefore not in doubt for it
	if err := one.Kill(); !errors.Is(err, sandbox.ErrTreeAlive) {
		t.Errorf("without groups: got %v, want %v", err, sandbox.ErrTreeAlive)
	}
	if err := errors.Join(two.Kill(), one.Kill()); err != nil {
		t.Errorf("without groups, one session left: got %v, want nil", err)
	}
}

// testLeftBehind ends what a killed supervisor left, though it cleared its
// environment, and sweeps the groups of the dead.
func testLeftBehind(t *testing.T, b *box) {
	token := unique("left")
	at := b.killSupervisor(t, "clear", token)
	mark := path.Base(at)
	if b.has(driver.Processes) {
		awaitGone(t, token)
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if alive, err := sandbox.CgroupAlive(at); err != nil || !alive {
				break // a process is out of sight a little before it has ended
			}
		}
		if n, err := sandbox.SweepCgroups(); err != nil { // another process may have swept it
			t.Errorf("got %d swept, %v", n, err)
		}
		wantNoGroup(t, mark)
		return
	}
	awaitGone(t, "stay\x00clear\x00"+token)
	if pids, err := sandbox.Marked(mark); err != nil || len(pids) != 0 {
		t.Errorf("got %v with the mark, %v; want the survivor to be found by its group alone", pids, err)
	}
	if _, err := sandbox.SweepCgroups(); err != nil {
		t.Error(err)
	}
	if alive, err := sandbox.CgroupAlive(at); err != nil || !alive || len(hostProcesses(t, token)) != 1 {
		t.Errorf("after a sweep: got alive %v, %v, processes %v; want the survivor", alive, err, hostProcesses(t, token))
	}
	for range 2 { // also when it is gone
		if err := sandbox.KillCgroup(at); err != nil {
			t.Error(err)
		}
		if alive, err := sandbox.CgroupAlive(at); err != nil || alive {
			t.Errorf("got alive %v, %v; want false", alive, err)
		}
	}
	wantGone(t, token)
	wantNoGroup(t, mark)
}

// testOutsiders tries to reach groups that are no session's.
func testOutsiders(t *testing.T, b *box) {
	s, _ := b.up(t, "deaf")
	folder := path.Dir(s.Cgroup())
	for _, bad := range []string{
		"", "/", ".", folder, folder + "/", folder + "/.", folder + "/..", folder + "/../" + path.Base(folder) + "/" + s.Mark(),
		s.Cgroup() + "/", s.Cgroup() + "/sub", s.Cgroup()[1:], "/" + s.Cgroup(), path.Dir(folder) + "/" + s.Mark(),
		folder + "x/" + s.Mark(), folder + "/*", "/system.slice/" + s.Mark(), s.Cgroup() + "\n", s.Cgroup() + "\x00",
	} {
		if err := sandbox.KillCgroup(bad); !errors.Is(err, sandbox.ErrCgroupPath) {
			t.Errorf("kill %q: got %v, want %v", bad, err, sandbox.ErrCgroupPath)
		}
		if _, err := sandbox.CgroupAlive(bad); !errors.Is(err, sandbox.ErrCgroupPath) {
			t.Errorf("alive %q: got %v, want %v", bad, err, sandbox.ErrCgroupPath)
		}
	}
	if !s.Alive() {
		t.Error("a refused path killed a session")
	}
	if err := sandbox.KillCgroup(s.Cgroup()); err != nil {
		t.Error(err)
	}
	if status := b.wait(t, s); status.Signal != syscall.SIGKILL {
		t.Errorf("got %v, want it killed by its path", status)
	}
}

// testCgroupInUse starts two sessions of one mark.
func testCgroupInUse(t *testing.T, b *box) {
	s, _ := b.up(t, "polite")
	again := b.spec(t, "exit", "0")
	again.Mark = s.Mark()
	if second, err := b.Start(t.Context(), again); err == nil {
		second.Close()
		t.Error("got a second session in the group of a living one, want an error")
	}
	if n, err := sandbox.SweepCgroups(); err != nil {
		t.Errorf("got %d swept, %v", n, err)
	}
	if err := s.Stop(patience); err != nil {
		t.Error(err)
	}
	if status := b.wait(t, s); status.Code != 3 {
		t.Errorf("the first: got %v, want its own exit 3", status)
	}
	if _, status := b.run(t, again); !status.Success() {
		t.Errorf("after its end: got %v, want exit 0", status)
	}
}
