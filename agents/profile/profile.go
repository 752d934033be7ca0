package profile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/boards"
)

// Default is the name of the profile that is the home itself.
const Default = "default"

// ConfigFile is the name of a profile's configuration in its folder.
const ConfigFile = "config.yaml"

const maxConfig = 1 << 20

// ValidName reports whether s can name a profile: as a board is named.
func ValidName(s string) bool { return boards.Slug(s) }

// ErrUnknown is matched by the error of Load for a profile that is not there.
var ErrUnknown = errors.New("there is no such profile")

// Profile is one that was loaded.
type Profile struct {
	Name   string
	Home   string // the folder of all boards and profiles
	Dir    string // its folder
	Config Config
}

// Dir is the folder of a profile in a home. The name is to be valid.
func Dir(home, name string) string {
	if name == Default || name == "" {
		return home
	}
	return filepath.Join(home, "profiles", name)
}

// List returns the names of the profiles of a home, default first, the others sorted.
func List(home string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(home, "profiles"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := []string{Default}
	for _, e := range entries {
		if e.IsDir() && ValidName(e.Name()) && e.Name() != Default {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names[1:])
	return names, nil
}

// Load reads a profile of a home. The error matches [ErrUnknown] if there is
// none of that name; one about the configuration names line and column. A
// profile without a config.yaml has every default.
func Load(home, name string) (*Profile, error) {
	if name == "" {
		name = Default
	}
	if !ValidName(name) {
		return nil, fmt.Errorf("%w: %q (want lower-case letters, digits, - and _)", ErrUnknown, name)
	}
	p := &Profile{Name: name, Home: home, Dir: Dir(home, name)}
	if info, err := os.Lstat(p.Dir); name != Default && (err != nil || !info.IsDir()) {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	b, err := readConfig(filepath.Join(p.Dir, ConfigFile))
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	if err := ParseConfig(b, &p.Config); err != nil {
		return nil, fmt.Errorf("profile %s: %s: %w", name, filepath.Join(p.Dir, ConfigFile), err)
	}
	return p, nil
}

// ParseConfig reads a config.yaml strictly. An error says where it stands; one
// about an unknown key also names the nearest that there is.
func ParseConfig(b []byte, c *Config) error {
	if len(b) == 0 {
		return nil
	}
	err := decode(b, c)
	if errors.Is(err, io.EOF) { // nothing but comments
		return nil
	}
	if err != nil {
		return plainError(err)
	}
	return c.Validate()
}

// readConfig reads a regular file; one that is not there is empty.
func readConfig(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(b) > maxConfig {
		err = fmt.Errorf("%s has more than %d bytes", path, maxConfig)
	}
	return b, err
}

// MayOpen reports whether the profile may open a board. The default profile
// without a list may open every board.
func (p *Profile) MayOpen(slug string) bool {
	if len(p.Config.Boards) == 0 {
		return p.Name == Default
	}
	return slices.Contains(p.Config.Boards, "*") || slices.Contains(p.Config.Boards, slug)
}

// MayOpenAll reports whether the profile may open every board, so that it may
// also be told which there are.
func (p *Profile) MayOpenAll() bool {
	return len(p.Config.Boards) == 0 && p.Name == Default || slices.Contains(p.Config.Boards, "*")
}

// Of is the name of the profile that a board is named by, whose gateway holds
// it; the name otherwise given if none names it, or if several do and that is
// one of them.
func Of(home, board, otherwise string) string {
	found := ""
	names, _ := List(home)
	for _, name := range names {
		if !slices.Contains(named(home, name), board) {
			continue
		}
		if name == otherwise {
			return name
		}
		if found == "" {
			found = name
		}
	}
	if found == "" {
		return otherwise
	}
	return found
}

// Holds tells which boards the gateway of a profile is to hold: those that the
// profile names, and, if it may open every board, those that no other names.
func (p *Profile) Holds(home string) func(board string) bool {
	if !p.MayOpenAll() {
		return p.MayOpen
	}
	taken := make(map[string]bool)
	names, _ := List(home)
	for _, name := range names {
		if name == p.Name {
			continue
		}
		for _, b := range named(home, name) {
			taken[b] = true
		}
	}
	return func(board string) bool { return slices.Contains(p.Config.Boards, board) || !taken[board] }
}

// named are the boards that a profile names. A mistake in its configuration
// must not give its boards away: what can be read of it counts, and if nothing
// can, the board of its own name.
func named(home, name string) []string {
	p, err := Load(home, name)
	if err == nil {
		return p.Config.Boards
	}
	var rest struct {
		Boards []string `yaml:"boards"`
	}
	b, err := readConfig(filepath.Join(Dir(home, name), ConfigFile))
	if err != nil || agents.Decode(b, &rest) != nil || len(rest.Boards) == 0 {
		return []string{name}
	}
	return rest.Boards
}
