//go:build amd64 || arm64

package ocibox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// folder is where one session's bundle and the runtime's own files are. While
// the session lives its supervisor holds a lock on it, which tells it from those
// that a dead one left.
type folder struct {
	path string
	lock *os.File
}

func (f folder) root() string   { return filepath.Join(f.path, "rootfs") }
func (f folder) config() string { return filepath.Join(f.path, "config.json") }
func (f folder) state() string  { return filepath.Join(f.path, "state") }
func (f folder) log() string    { return filepath.Join(f.path, "log") }

// folders is where those of all sessions are: in memory where the system has a
// place for that, because a bundle holds the program's environment.
func folders() (string, error) {
	places := []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm"}
	if os.Geteuid() == 0 {
		places[0] = "/run"
	}
	parent := os.TempDir()
	if i := slices.IndexFunc(places, inMemory); i >= 0 {
		parent = places[i]
	}
	dir := filepath.Join(parent, "hermes-oci-"+strconv.Itoa(os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	var stat unix.Stat_t
	if err := unix.Lstat(dir, &stat); err != nil {
		return "", &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || int(stat.Uid) != os.Geteuid() || stat.Mode&0o077 != 0 {
		return "", fmt.Errorf("%s is not a folder of this user alone", dir)
	}
	return dir, nil
}

func inMemory(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Type == unix.TMPFS_MAGIC
}

// swept is done once in a process: what the dead left does no harm meanwhile.
var swept sync.Once

// makeFolder makes the folder of a session, locked.
func makeFolder(mark string) (folder, error) {
	dir, err := folders()
	if err != nil {
		return folder{}, err
	}
	swept.Do(func() { err = sweep(dir) })
	if err != nil {
		return folder{}, fmt.Errorf("remove what dead sessions left: %w", err)
	}
	all, err := lockFolder(dir, unix.LOCK_SH) // no sweep between making and locking
	if err != nil {
		return folder{}, err
	}
	defer all.Close()
	var f folder
	if f.path, err = os.MkdirTemp(dir, mark+"-"); err != nil {
		return folder{}, err
	}
	f.lock, err = lockFolder(f.path, unix.LOCK_EX)
	return f, err
}

func lockFolder(dir string, how int) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: dir, Err: err}
	}
	return f, nil
}

// sweep removes the folders that nobody has a lock on.
func sweep(dir string) error {
	all, err := lockFolder(dir, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer all.Close()
	names, err := all.Readdirnames(-1)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		f := folder{path: filepath.Join(dir, name)}
		if f.lock, err = lockFolder(f.path, unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err == nil {
			err = f.remove()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// remove removes the folder and the control groups that the runtime made. Nobody
// may be left of the session. It may be called again.
func (f *folder) remove() error {
	if f.lock == nil {
		return nil
	}
	if err := f.removeGroups(); err != nil {
		return err
	}
	if err := os.RemoveAll(f.path); err != nil {
		return err
	}
	err := f.lock.Close()
	f.lock = nil
	return err
}

// removeGroups removes the control groups that runc's own record names. runc
// does so itself, unless it was killed.
func (f *folder) removeGroups() error {
	records, err := filepath.Glob(filepath.Join(f.state(), "*", "state.json"))
	if err != nil {
		return err
	}
	for _, record := range records {
		data, err := os.ReadFile(record)
		if err != nil {
			return err
		}
		var state struct {
			Paths map[string]string `json:"cgroup_paths"`
		}
		if json.Unmarshal(data, &state) != nil {
			continue // killed while it wrote, before it made any
		}
		for _, path := range state.Paths {
			if !strings.HasPrefix(path, "/sys/fs/cgroup/") {
				continue
			}
			err := unix.Rmdir(path) // only ever removes one without processes
			if err != nil && err != unix.ENOENT {
				return &fs.PathError{Op: "remove", Path: path, Err: err}
			}
		}
	}
	return nil
}

// failure is the last error that the runtime logged.
func (f folder) failure() string {
	log, err := os.Open(f.log())
	if err != nil {
		return ""
	}
	defer log.Close()
	var last string
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && (entry.Level == "error" || entry.Level == "fatal" || entry.Level == "warning" && strings.HasPrefix(entry.Msg, "FATAL ERROR")) {
			last = entry.Msg
		}
	}
	return last
}
