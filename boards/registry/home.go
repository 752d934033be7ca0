package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hermesboard/hermes/events"
)

// MaxSocketBytes is the longest path a socket gets. The system's limit is 104
// bytes or more.
const MaxSocketBytes = 100

const (
	currentFile = "current"
	archivedDir = "_archived"
)

// HomeOptions say what the surroundings are. nil means all defaults.
type HomeOptions struct {
	RuntimeDir string // the user's folder for sockets ($XDG_RUNTIME_DIR), where a home's own path is too long; empty = none
	TempDir    string // used where RuntimeDir is too; empty = the system's
	Version    string // of this program, told to those who find a board held
}

// Home is the folder that holds everything. Methods are safe for concurrent
// use, by several processes too. Whoever opened it closes it.
type Home struct {
	dir    string
	opts   HomeOptions
	root   *os.Root // of the home
	boards *os.Root // of boards/

	fault func(step string) error // tests: called between the steps of Create and of moves
}

// OpenHome opens the home at dir and makes the folders that are missing, for
// this user only. It returns a [*PythonHomeError], without having written
// anything, if the Python system lives there, and a [*HomeError] if the folder
// is not ours.
func OpenHome(dir string, o *HomeOptions) (*Home, error) {
	h := &Home{}
	if o != nil {
		h.opts = *o
	}
	var err error
	if h.dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("home %s: %w", dir, err)
	}
	if err := h.open(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Home) open() error {
	for _, sign := range []string{"kanban.db", "hermes_cli", "hermes-agent/hermes_cli"} {
		if _, err := os.Lstat(filepath.Join(h.dir, sign)); err == nil {
			return &PythonHomeError{h.dir, sign}
		}
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return &HomeError{h.dir, err.Error()}
	}
	info, err := os.Stat(h.dir)
	if err != nil {
		return &HomeError{h.dir, err.Error()}
	}
	if err := ours(info, 0o022); err != nil {
		return &HomeError{h.dir, err.Error()}
	}
	if h.root, err = os.OpenRoot(h.dir); err != nil {
		return &HomeError{h.dir, err.Error()}
	}
	for _, name := range []string{"boards", "anchors", "run"} {
		if err := privateDir(h.root, name); err != nil {
			return &HomeError{h.dir, fmt.Sprintf("folder %s: %v", name, err)}
		}
	}
	if h.boards, err = h.root.OpenRoot("boards"); err != nil {
		return &HomeError{h.dir, err.Error()}
	}
	return nil
}

// privateDir makes a folder for this user only, or checks that it is one.
func privateDir(root *os.Root, name string) error {
	err := root.Mkdir(name, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	return ours(info, 0o077)
}

// ours checks that info is a folder of this user without the permissions in deny.
func ours(info fs.FileInfo, deny fs.FileMode) error {
	st, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("is a symbolic link")
	case !info.IsDir():
		return errors.New("is not a folder")
	case st == nil || int(st.Uid) != os.Geteuid():
		return fmt.Errorf("belongs to another user, we are user %d", os.Geteuid())
	case info.Mode().Perm()&deny != 0:
		return fmt.Errorf("has mode %#o, others must not have %#o", info.Mode().Perm(), deny)
	}
	return nil
}

// Close lets go of the folder. Boards held stay held.
func (h *Home) Close() error {
	var errs []error
	for _, r := range []*os.Root{h.boards, h.root} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(errs...)
}

// Dir returns the absolute path of the home.
func (h *Home) Dir() string { return h.dir }

// RunDir returns the folder of sockets, pid files and token locks.
func (h *Home) RunDir() string { return filepath.Join(h.dir, "run") }

// SlotsDir returns the folder that counts running agents over all boards. It
// is not made here.
func (h *Home) SlotsDir() string { return filepath.Join(h.dir, "run", "slots") }

// Paths are where the parts of a board lie.
type Paths struct {
	Dir       string
	DB        string // the log
	Lock      string // its flock is the board's ownership
	Snap      string // snapshots of projections: a cache
	Artifacts string // files by their SHA-256
	Runs      string // a folder per run
	State     string // what agents keep between the runs of a task
}

// Paths returns where the parts of a board lie or would lie.
func (h *Home) Paths(slug string) Paths { return pathsIn(filepath.Join(h.dir, "boards", slug)) }

func pathsIn(dir string) Paths {
	return Paths{
		Dir:       dir,
		DB:        filepath.Join(dir, "board.db"),
		Lock:      filepath.Join(dir, lockFile),
		Snap:      filepath.Join(dir, "snap"),
		Artifacts: filepath.Join(dir, "artifacts"),
		Runs:      filepath.Join(dir, "runs"),
		State:     filepath.Join(dir, "state"),
	}
}

// SocketPath returns where the owner of a board listens: in the home, or where
// that path would be too long for a socket, in a folder of this user's in the
// runtime or temp folder. The socket's folder exists on return.
func (h *Home) SocketPath(id events.BoardID) (string, error) {
	text := id.String() // its end is random, its beginning the time
	name := strings.ToLower(text[len(text)-12:]) + ".sock"
	if p := filepath.Join(h.RunDir(), name); len(p) <= MaxSocketBytes {
		return p, nil
	}
	if h.opts.RuntimeDir != "" {
		if _, err := os.Stat(h.opts.RuntimeDir); err == nil {
			if p := filepath.Join(h.opts.RuntimeDir, "hermes", name); len(p) <= MaxSocketBytes {
				return p, socketDir(h.opts.RuntimeDir, "hermes")
			}
		}
	}
	temp := h.opts.TempDir
	if temp == "" {
		temp = os.TempDir()
	}
	sub := "hermes-" + strconv.Itoa(os.Geteuid())
	p := filepath.Join(temp, sub, name)
	if len(p) > MaxSocketBytes {
		return "", &HomeError{h.dir, fmt.Sprintf("no place for a socket: %s is longer than %d bytes", p, MaxSocketBytes)}
	}
	return p, socketDir(temp, sub)
}

func socketDir(parent, name string) error {
	root, err := os.OpenRoot(parent)
	if err != nil {
		return fmt.Errorf("folder for sockets: %w", err)
	}
	defer root.Close()
	if err := privateDir(root, name); err != nil {
		return fmt.Errorf("folder for sockets %s: %w", filepath.Join(parent, name), err)
	}
	return nil
}

// Current returns the board that is meant where none is named; "" if none was
// set.
func (h *Home) Current() (string, error) {
	b, err := h.boards.ReadFile(currentFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("current board: %w", err)
	}
	slug, err := ParseSlug(strings.TrimSpace(string(b)))
	if err != nil {
		return "", fmt.Errorf("current board: %w", err)
	}
	return slug, nil
}

// SetCurrent sets what Current returns. The board must exist.
func (h *Home) SetCurrent(slug string) error {
	slug, err := ParseSlug(slug)
	if err != nil {
		return err
	}
	if !exists(h.boards, slug) {
		return &NoBoardError{slug}
	}
	if err := replaceFile(h.boards, currentFile, []byte(slug+"\n")); err != nil {
		return fmt.Errorf("set current board: %w", err)
	}
	return nil
}

// crashPoint lets tests stop between two steps.
func (h *Home) crashPoint(step string) error {
	if h.fault == nil {
		return nil
	}
	return h.fault(step)
}
