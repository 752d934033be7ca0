package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hermesboard/hermes/sandbox/driver"
)

// folderName is the folder of all groups.
const folderName = "hermes"

// Host is what this machine offers. It does not change and is safe for
// concurrent use. Nil offers nothing.
type Host struct {
	kill     hierarchy   // where groups are killed
	limits   []hierarchy // version 1 hierarchies that only limit
	caps     driver.Capabilities
	problems []string
}

// hierarchy is one mounted tree of cgroups.
type hierarchy struct {
	controllers []string // of version 1, as /proc/PID/cgroup names them; nil is the unified one
	own         string   // host folder of this process's cgroup
	base        string   // host folder of the cgroup that may be divided
	folder      string   // base/hermes
	path        string   // folder as /proc/PID/cgroup shows it
}

func (h *hierarchy) unified() bool { return h.controllers == nil }

// controllers are those that limit something, in the order they are named in.
var controllers = []struct {
	name  string
	limit driver.Capabilities
	file  string // that version 1 has where the limit can be set
}{
	{"memory", driver.LimitMemory, "memory.limit_in_bytes"},
	{"cpu", driver.LimitCPU, "cpu.cfs_quota_us"},
	{"pids", driver.LimitProcesses, "pids.max"},
}

// Detect looks at this machine, and makes the folder for groups where it may.
func Detect() *Host {
	mounts, err1 := os.ReadFile("/proc/self/mountinfo")
	own, err2 := os.ReadFile("/proc/self/cgroup")
	if err := errors.Join(err1, err2); err != nil {
		return &Host{problems: []string{err.Error()}}
	}
	return detect(string(mounts), string(own), delegated)
}

// delegated reports whether a service manager gave the cgroup away.
func delegated(dir string) bool {
	value := make([]byte, 8)
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(dir, name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

func detect(mountinfo, cgroups string, delegated func(dir string) bool) *Host {
	h := &Host{}
	mounted, own := parseMounts(mountinfo), parseCgroups(cgroups)
	missing := make(map[string]error) // why a controller is not used, by name
	for _, c := range controllers {
		missing[c.name] = errors.New("not mounted")
	}
	h.findKiller(mounted, own, delegated)
	if !h.Available() {
		return h
	}
	if h.kill.unified() {
		for _, c := range controllers {
			if err := h.kill.enable(c.name); err == nil {
				h.caps |= c.limit
			} else {
				missing[c.name] = err
			}
		}
	}
	for _, c := range controllers {
		m, ok := mounted[c.name]
		if h.caps.Has(c.limit) {
			continue
		}
		if ok {
			v1, err := m.place(own[c.name], nil)
			if err == nil {
				_, err = os.Stat(filepath.Join(v1.folder, c.file))
			}
			if missing[c.name] = err; err == nil {
				h.caps |= c.limit
				h.addLimiter(v1)
				continue
			}
		}
		h.problems = append(h.problems, fmt.Sprintf("no limit of %s: %v", c.name, missing[c.name]))
	}
	return h
}

// findKiller chooses the hierarchy that groups are killed in.
func (h *Host) findKiller(mounted map[string]mount, own map[string]string, delegated func(string) bool) {
	for _, choice := range []struct{ name, file string }{{"", "cgroup.kill"}, {"freezer", "freezer.state"}} {
		title := "unified cgroups"
		if choice.name != "" {
			title = choice.name + " cgroups"
		}
		m, ok := mounted[choice.name]
		if !ok {
			h.problems = append(h.problems, title+": not mounted")
			continue
		}
		found, err := m.place(own[choice.name], delegated)
		if err == nil {
			_, err = os.Stat(filepath.Join(found.folder, choice.file))
		}
		if err != nil {
			h.problems = append(h.problems, fmt.Sprintf("%s: %v", title, err))
			continue
		}
		h.kill, h.problems = found, nil
		return
	}
}

// addLimiter adds a version 1 hierarchy once, which may have two controllers
// and may be the one that groups are killed in.
func (h *Host) addLimiter(v1 hierarchy) {
	if v1.folder != h.kill.folder && !slices.ContainsFunc(h.limits, func(o hierarchy) bool { return o.folder == v1.folder }) {
		h.limits = append(h.limits, v1)
	}
}

// all are the hierarchies in use; the one for killing comes last.
func (h *Host) all() []hierarchy { return append(slices.Clone(h.limits), h.kill) }

// Available reports whether sessions can have groups here.
func (h *Host) Available() bool { return h != nil && h.kill.folder != "" }

// Capabilities are the limits that groups enforce here.
func (h *Host) Capabilities() driver.Capabilities {
	if h == nil {
		return 0
	}
	return h.caps
}

// Problems says in plain words what is not available and why.
func (h *Host) Problems() []string {
	if h == nil {
		return nil
	}
	return slices.Clone(h.problems)
}

// Path is where the group of a session with that mark is, as /proc/PID/cgroup
// shows it; empty where there are no groups.
func (h *Host) Path(mark string) string {
	if !h.Available() {
		return ""
	}
	return path.Join(h.kill.path, mark)
}

// MarkOf returns the mark of the group that a process is in, empty for none.
func (h *Host) MarkOf(pid int) string {
	if !h.Available() {
		return ""
	}
	below, ok := h.kill.below(fmt.Sprintf("/proc/%d/cgroup", pid))
	if !ok {
		return ""
	}
	mark, _, _ := strings.Cut(below, "/")
	if mark == leaf { // or it gave itself away as somebody's helper
		return ""
	}
	return mark
}

// below returns the rest of the path of the cgroup that a file of /proc names,
// if it is one of ours.
func (h *hierarchy) below(file string) (string, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	name := ""
	if !h.unified() {
		name = h.controllers[0]
	}
	at, ok := parseCgroups(string(data))[name]
	if !ok {
		return "", false
	}
	return strings.CutPrefix(strings.TrimSuffix(at, " (deleted)"), h.path+"/")
}

// mount is where a hierarchy is seen.
type mount struct {
	point, root string
	controllers []string // nil for the unified one
}

// parseMounts reads a mountinfo file. The unified hierarchy has the key "".
func parseMounts(mountinfo string) map[string]mount {
	found := make(map[string]mount)
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(line, " - ")
		from, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(from) < 6 || len(kind) < 3 || strings.Contains(from[4], `\`) {
			continue
		}
		m := mount{point: from[4], root: from[3]}
		keys := []string{""}
		switch kind[0] {
		case "cgroup2":
		case "cgroup":
			keys = strings.Split(kind[2], ",")
			m.controllers = slices.DeleteFunc(slices.Clone(keys), func(o string) bool { return o == "rw" || o == "ro" })
		default:
			continue
		}
		for _, key := range keys {
			if _, ok := found[key]; !ok {
				found[key] = m
			}
		}
	}
	return found
}

// parseCgroups reads a file /proc/PID/cgroup: the path for each controller, and
// for "" that of the unified hierarchy.
func parseCgroups(cgroups string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for name := range strings.SplitSeq(fields[1], ",") {
			found[name] = fields[2]
		}
	}
	return found
}

// place makes the folder for groups in the cgroup that may be divided: the
// root if this process is there, else the nearest one that was delegated.
func (m *mount) place(own string, delegated func(dir string) bool) (hierarchy, error) {
	rest, ok := strings.CutPrefix(own, m.root)
	if !ok || own == "" || strings.Contains(own, "..") {
		return hierarchy{}, fmt.Errorf("cgroup %q of this process is not visible", own)
	}
	h := hierarchy{controllers: m.controllers, own: filepath.Join(m.point, rest)}
	at, supervisor := own, ""
	if base, name, ok := supervised(own); ok {
		at, supervisor = base, name // whose sessions are beside it
	}
	for at != "/" && !(delegated != nil && delegated(filepath.Join(m.point, strings.TrimPrefix(at, m.root)))) {
		if at == m.root || delegated == nil || path.Dir(at) == "/" {
			return hierarchy{}, fmt.Errorf("cgroup %s was not delegated to this process", own)
		}
		at = path.Dir(at)
	}
	h.base = filepath.Join(m.point, strings.TrimPrefix(at, m.root))
	h.folder, h.path = filepath.Join(h.base, folderName, supervisor), path.Join(at, folderName, supervisor)
	err := os.Mkdir(h.folder, 0o755)
	if errors.Is(err, fs.ErrExist) {
		err = wrapPath("write to", h.folder, unix.Access(h.folder, unix.W_OK))
	}
	if err != nil {
		return hierarchy{}, err
	}
	return h, nil
}

var errNoController = errors.New("the kernel does not offer it")

// enable makes a controller of the unified hierarchy available to groups.
func (h *hierarchy) enable(controller string) error {
	offered, err := os.ReadFile(filepath.Join(h.base, "cgroup.controllers"))
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(offered)), controller) {
		return errNoController
	}
	for _, dir := range slices.Compact([]string{h.base, filepath.Join(h.base, folderName), h.folder}) {
		file := filepath.Join(dir, "cgroup.subtree_control")
		on, err := os.ReadFile(file)
		if err == nil && !slices.Contains(strings.Fields(string(on)), controller) {
			err = put(file, "+"+controller)
		}
		if errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("%w: processes are in it, this one perhaps; a supervisor belongs into a cgroup below", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes to a file of the kernel, which is never made.
func put(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}
