//go:build linux

package cgroup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hermesboard/hermes/sandbox/driver"
)

const none driver.Capabilities = 0

// tree makes files in a folder that stands for mounted hierarchies.
func tree(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// unifiedFiles are what the kernel shows of a unified hierarchy in dir.
func unifiedFiles(dir, enabled string) map[string]string {
	return map[string]string{
		dir + "/cgroup.controllers": "cpuset cpu memory pids\n", dir + "/cgroup.subtree_control": enabled,
		dir + "/hermes/cgroup.subtree_control": enabled, dir + "/hermes/cgroup.kill": "",
	}
}

func TestDetect(t *testing.T) {
	const all = driver.LimitMemory | driver.LimitCPU | driver.LimitProcesses
	unified := func(point string) string { return "30 1 0:26 / " + point + " rw - cgroup2 cgroup2 rw\n" }
	version1 := func(point, names string) string {
		return "31 1 0:27 / " + point + " rw - cgroup cgroup rw," + names + "\n"
	}
	for _, test := range []struct {
		name      string
		files     map[string]string
		mounts    func(root string) string
		own       string
		delegated string // below the root of the test
		path      string
		caps      driver.Capabilities
		problem   string
	}{
		{
			name: "unified, at the root", files: unifiedFiles("", "cpu memory pids\n"), mounts: unified,
			own: "0::/\n", path: "/hermes/m", caps: all,
		}, {
			name: "unified, delegated", files: unifiedFiles("a.slice/h.service", "memory pids cpu"), mounts: unified,
			own: "0::/a.slice/h.service/supervisor\n", delegated: "a.slice/h.service", path: "/a.slice/h.service/hermes/m", caps: all,
		}, {
			name: "unified, some controllers", files: unifiedFiles("", "pids"), mounts: unified,
			own: "0::/\n", path: "/hermes/m", caps: all, // the others can be enabled
		}, {
			name: "unified, somebody else's", files: unifiedFiles("a.slice/h.service", "memory"), mounts: unified,
			own: "0::/a.slice/h.service\n", problem: "cgroup /a.slice/h.service was not delegated",
		}, {
			name: "unified, sibling delegated", files: unifiedFiles("a.slice/h.service", "memory"), mounts: unified,
			own: "0::/a.slice/h.service2\n", delegated: "a.slice/h.service", problem: "not delegated",
		}, {
			name: "unified, in a session's group", files: unifiedFiles("", "memory"), mounts: unified,
			own: "0::/hermes/x\n", problem: "not delegated",
		}, {
			name: "unified, in a supervisor's group", mounts: unified,
			files: map[string]string{
				"cgroup.controllers": "memory pids", "cgroup.subtree_control": "memory pids", "hermes/cgroup.subtree_control": "memory pids",
				"hermes/s1/cgroup.subtree_control": "", "hermes/s1/cgroup.kill": "",
			},
			own: "0::/hermes/s1/supervisor\n", path: "/hermes/s1/m", caps: driver.LimitMemory | driver.LimitProcesses, problem: "no limit of cpu",
		}, {
			name: "unified, kernel too old", files: map[string]string{"cgroup.controllers": ""}, mounts: unified,
			own: "0::/\n", problem: "cgroup.kill",
		}, {
			name: "hybrid", files: map[string]string{
				"unified/cgroup.controllers": "hugetlb\n", "unified/hermes/cgroup.kill": "",
				"pids/hermes/pids.max": "", "cpu,cpuacct/hermes/cpu.cfs_quota_us": "", "memory/x/hermes/memory.limit_in_bytes": "",
			},
			mounts: func(root string) string {
				return version1(root+"/pids", "pids") + version1(root+"/cpu,cpuacct", "cpu,cpuacct") +
					version1(root+"/memory", "memory") + unified(root+"/unified")
			},
			own:  "4:memory:/x\n3:cpu,cpuacct:/\n2:pids:/\n0::/\n",
			path: "/hermes/m", caps: driver.LimitCPU | driver.LimitProcesses, problem: "no limit of memory: cgroup /x was not delegated",
		}, {
			name: "version 1", files: map[string]string{"freezer/hermes/freezer.state": "", "pids/hermes/pids.max": ""},
			mounts: func(root string) string { return version1(root+"/freezer", "freezer") + version1(root+"/pids", "pids") },
			own:    "3:freezer:/\n2:pids:/\n", path: "/hermes/m", caps: driver.LimitProcesses, problem: "no limit of cpu: not mounted",
		}, {
			name: "limits but nothing to kill in", files: map[string]string{"pids/hermes/pids.max": ""},
			mounts: func(root string) string { return version1(root+"/pids", "pids") },
			own:    "2:pids:/\n", problem: "freezer cgroups: not mounted",
		}, {
			name: "out of sight", files: unifiedFiles("", "memory"), mounts: unified,
			own: "0::/../other\n", problem: "not visible",
		}, {
			name: "nothing", mounts: func(string) string { return "1 0 8:1 / / rw - ext4 /dev/x rw\n" }, problem: "not mounted",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := tree(t, test.files)
			h := detect(test.mounts(root), test.own, func(dir string) bool {
				return test.delegated != "" && dir == filepath.Join(root, test.delegated)
			})
			if h.Path("m") != test.path || h.Capabilities() != test.caps || h.Available() != (test.path != "") {
				t.Errorf("got %q, %v, available %v; want %q, %v", h.Path("m"), h.Capabilities(), h.Available(), test.path, test.caps)
			}
			if said := strings.Join(h.Problems(), "\n"); !strings.Contains(said, test.problem) || test.problem == "" && said != "" {
				t.Errorf("got problems %q, want %q", said, test.problem)
			}
		})
	}
}

func TestNilOffersNothing(t *testing.T) {
	var h *Host
	g, err := h.Make("m", driver.Limits{})
	if g != nil || err != nil || h.Available() || h.Capabilities() != none || h.Path("m") != "" || h.MarkOf(1) != "" {
		t.Errorf("got %v, %v, %v; want nothing", g, err, h)
	}
	alive, err := g.Alive()
	if err := errors.Join(err, g.Enter(), g.Leave(), g.Kill(), g.Remove()); alive || err != nil || g.FD() != -1 {
		t.Errorf("got alive %v, %v, descriptor %d; want an empty group", alive, err, g.FD())
	}
	if err := h.Kill("/hermes/m"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want %v", err, errors.ErrUnsupported)
	}
}

func TestQuota(t *testing.T) {
	for milli, want := range map[int][2]int64{
		1: {1000, 1_000_000}, 9: {9000, 1_000_000}, 10: {1000, 100_000}, 250: {25_000, 100_000}, 4000: {400_000, 100_000},
	} {
		if quota, period := cpuQuota(milli); quota != want[0] || period != want[1] {
			t.Errorf("%d: got %d of %d, want %v", milli, quota, period, want)
		}
	}
}

// hosts are the ways in which this machine can have groups: as it is, and with
// the freezer where the unified hierarchy is better.
func hosts(t *testing.T) map[string]*Host {
	t.Helper()
	found := make(map[string]*Host)
	h := Detect()
	if !h.Available() {
		if os.Getenv("CI") == "true" {
			t.Fatal(h.Problems())
		}
		t.Skip(h.Problems())
	}
	name := "freezer"
	if h.kill.unified() {
		name = "unified"
	}
	found[name] = h
	mounts, err1 := os.ReadFile("/proc/self/mountinfo")
	own, err2 := os.ReadFile("/proc/self/cgroup")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	old := detect(strings.ReplaceAll(string(mounts), " cgroup2 ", " hidden "), string(own), delegated)
	if old.Available() {
		found["freezer"] = old
	}
	return found
}

func each(t *testing.T, f func(t *testing.T, h *Host)) {
	for name, h := range hosts(t) {
		t.Run(name, func(t *testing.T) { f(t, h) })
	}
}

func mark(t *testing.T) string { return fmt.Sprintf("test%d%d", os.Getpid(), len(t.Name())) }

func makeGroup(t *testing.T, h *Host, l driver.Limits) *Group {
	t.Helper()
	g, err := h.Make(mark(t), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.Kill(h.Path(g.mark)), g.Remove()); err != nil {
			t.Error(err)
		}
	})
	return g
}

// startIn starts a shell in the group by what both versions have, and waits
// until it says that it is up.
func startIn(t *testing.T, g *Group, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `echo $$ >"$0" || exit; `+script, filepath.Join(g.dir(g.host.kill), "cgroup.procs"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestKillWhole(t *testing.T) {
	each(t, func(t *testing.T, h *Host) {
		g := makeGroup(t, h, driver.Limits{})
		inner := filepath.Join(g.dir(h.kill), "inner", "most")
		if err := os.MkdirAll(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := startIn(t, g, `trap "" TERM HUP; sleep 600 & sh -c 'echo $$ >"$0" && echo up; sleep 600; :' "`+inner+`/cgroup.procs" & wait`)
		if alive, err := g.Alive(); !alive || err != nil {
			t.Errorf("got alive %v, %v; want true", alive, err)
		}
		if err := h.remove(g.mark); !errors.Is(err, syscall.EBUSY) {
			t.Errorf("remove with processes: got %v, want %v", err, syscall.EBUSY)
		}
		if err := h.Kill(h.Path(g.mark)); err != nil {
			t.Error(err)
		}
		cmd.Wait() // the error is the kill
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			t.Errorf("got %v, want it killed", cmd.ProcessState)
		}
		if _, err := os.Stat(g.dir(h.kill)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want the group removed", err)
		}
		if alive, err := g.Alive(); alive || err != nil {
			t.Errorf("got alive %v, %v; want false", alive, err)
		}
	})
}

// TestNeverSelf has a process that is in a group try to kill that group.
func TestNeverSelf(t *testing.T) {
	if folder := os.Getenv("CGROUP_TEST_FOLDER"); folder != "" {
		self := hierarchy{folder: folder, path: os.Getenv("CGROUP_TEST_PATH")}
		if os.Getenv("CGROUP_TEST_KIND") == "freezer" {
			self.controllers = []string{"freezer"}
		}
		fmt.Println(self.signal(os.Getenv("CGROUP_TEST_MARK")))
		return
	}
	each(t, func(t *testing.T, h *Host) {
		g := makeGroup(t, h, driver.Limits{})
		cmd := exec.Command("/bin/sh", "-c", `echo $$ >"$0" && exec "$@"`,
			filepath.Join(g.dir(h.kill), "cgroup.procs"), os.Args[0], "-test.run=^TestNeverSelf$")
		cmd.Env = append(os.Environ(), "CGROUP_TEST_KIND="+filepath.Base(t.Name()),
			"CGROUP_TEST_FOLDER="+h.kill.folder, "CGROUP_TEST_PATH="+h.kill.path, "CGROUP_TEST_MARK="+g.mark)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "this process is in it") {
			t.Errorf("got %v, %s; want a refusal", err, out)
		}
	})
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, h *Host) {
		held := makeGroup(t, h, driver.Limits{})
		dead := "dead" + mark(t)
		busy := &Group{host: h, mark: "busy" + mark(t)}
		for _, in := range h.all() {
			for _, name := range []string{dead, busy.mark} {
				if err := os.MkdirAll(filepath.Join(in.folder, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
		startIn(t, busy, "sleep 600 & echo up; wait")
		if n, err := h.Sweep(); err != nil { // another process may have swept it
			t.Errorf("got %d swept, %v", n, err)
		}
		for _, in := range h.all() {
			if _, err := os.Stat(filepath.Join(in.folder, dead)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("got %v, want the dead one removed", err)
			}
		}
		for _, name := range []string{held.mark, busy.mark} {
			if _, err := os.Stat(filepath.Join(h.kill.folder, name)); err != nil {
				t.Errorf("one in use: %v", err)
			}
		}
		if _, err := h.Make(busy.mark, driver.Limits{}); !errors.Is(err, errInUse) {
			t.Errorf("make one that lives: got %v, want %v", err, errInUse)
		}
		if err := h.Kill(h.Path(busy.mark)); err != nil {
			t.Error(err)
		}
	})
}

// TestSupervisor starts a process in a group of its own, and makes a session's
// group where that process would.
func TestSupervisor(t *testing.T) {
	each(t, func(t *testing.T, h *Host) {
		cmd := exec.Command("sleep", "600")
		s, err := h.StartSupervisor(cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		own, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		visible := string(mounts)
		if !h.kill.unified() {
			visible = strings.ReplaceAll(visible, " cgroup2 ", " hidden ")
		}
		inner := detect(visible, string(own), delegated)
		if got, want := inner.Path("m"), s.Path()+"/m"; got != want || inner.Capabilities() != h.Capabilities() {
			t.Fatalf("sessions: got %q, %v, want %q, %v", got, inner.Capabilities(), want, h.Capabilities())
		}
		if here := h.MarkOf(os.Getpid()); here != "" {
			t.Errorf("this process: got group %q, want none", here)
		}
		var limits driver.Limits
		if inner.Capabilities().Has(driver.LimitProcesses) {
			limits.Processes = 50
		}
		session := makeGroup(t, inner, limits)
		agent := startIn(t, session, "echo up; sleep 600; :")
		if got := inner.MarkOf(agent.Process.Pid); got != session.mark {
			t.Errorf("process of a session: got %q, want %q", got, session.mark)
		}
		if got := inner.MarkOf(cmd.Process.Pid); got != "" {
			t.Errorf("supervisor: got %q, want no mark", got)
		}
		if n, err := h.Sweep(); err != nil {
			t.Errorf("swept %d, %v", n, err)
		}
		if alive, err := h.Alive(s.Path()); !alive || err != nil {
			t.Errorf("got alive %v, %v; want true", alive, err)
		}
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
		if err := h.Kill(s.Path()); err != nil {
			t.Error(err)
		}
		for _, c := range []*exec.Cmd{cmd, agent} {
			c.Wait() // the error is the kill
			if status := c.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
				t.Errorf("got %v, want it killed", c.ProcessState)
			}
		}
		for _, in := range h.all() {
			for _, name := range []string{s.name, session.mark} {
				if _, err := os.Stat(filepath.Join(in.folder, name)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("got %v, want %s removed", err, name)
				}
			}
		}
	})
}

// TestWithoutRights looks at this machine as a user to whom nothing was given.
func TestWithoutRights(t *testing.T) {
	if os.Getenv("CGROUP_TEST_REPORT") != "" {
		h := Detect()
		fmt.Println("available", h.Available(), h.Capabilities(), strings.Join(h.Problems(), "; "))
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	data, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cgroup")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "program")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, data, 0o755)); err != nil {
		t.Fatal(err)
	}
	hosts(t) // the folder is there, as after root used this machine
	cmd := exec.Command(program, "-test.run=^TestWithoutRights$")
	cmd.Env, cmd.Dir = []string{"CGROUP_TEST_REPORT=1"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "available false none") || !strings.Contains(string(out), "permission denied") {
		t.Errorf("got %v, %s; want nothing available, and why", err, out)
	}
}

func BenchmarkMakeRemove(b *testing.B) {
	h := Detect()
	if !h.Available() {
		b.Skip(h.Problems())
	}
	for name, l := range map[string]driver.Limits{"bare": {}, "limits": {Processes: 500, MilliCPUs: 1000}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				g, err := h.Make("bench", l)
				if err == nil {
					err = g.Remove()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
