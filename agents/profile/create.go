package profile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/goccy/go-yaml"
)

// ErrExists is matched by the error of Create, Rename and Import for a name
// that is taken.
var ErrExists = errors.New("there is such a profile already")

// The files of a profile besides its configuration and its secrets.
const (
	soulFile = "SOUL.md"
	freshEnv = "# The secrets of this profile, as NAME=value. hermes config set NAME - puts one here.\n"
)

// folders are those of a new profile.
var folders = []string{"skills", "cron", "agents", "logs"}

// Options say what a new profile is made of. The zero value makes a fresh one.
type Options struct {
	Config Config // written as it is, over what a clone brings

	// From is the profile that is cloned; empty = none. Secrets, boards, logs
	// and schedules are never copied.
	From     string
	All      bool // also its recipes and its planner
	Channels bool // also its bot, the people and chats that may use it, its webhooks, and their secrets

	Soul string // SOUL.md of a fresh profile; empty = a line to begin with
}

// Create makes a profile: built beside, and there at once with all its files,
// 0600 in folders of 0700. The error matches [ErrExists] if the name is taken.
func Create(home, name string, o Options) (*Profile, error) {
	if err := newName(name); err != nil {
		return nil, err
	}
	err := publish(home, name, func(dir string) error {
		if o.From != "" {
			return clone(home, dir, o)
		}
		soul := o.Soul
		if soul == "" {
			soul = "You work for " + name + ".\n"
		}
		return lay(dir, o.Config, soul)
	})
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return Load(home, name)
}

func newName(name string) error {
	switch {
	case !ValidName(name):
		return fmt.Errorf("%q is not a name for a profile (want lower-case letters, digits, - and _)", name)
	case name == Default:
		return fmt.Errorf("profile %s: %w: it is the home itself", name, ErrExists)
	}
	return nil
}

// publish has a profile built in a staging folder, and gives it its name.
func publish(home, name string, build func(dir string) error) (err error) {
	unlock, err := lockProfiles(home)
	if err != nil {
		return err
	}
	defer unlock()
	final := Dir(home, name)
	if _, err := os.Lstat(final); err == nil {
		return ErrExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := sweepStaged(filepath.Dir(final)); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(final), staging) // 0700
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := build(dir); err != nil {
		return err
	}
	return os.Rename(dir, final)
}

// staging begins the names of folders that are not profiles yet.
const staging = ".new-"

// sweepStaged removes what a process left that ended while it built.
func sweepStaged(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), staging) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// lockProfiles makes this process the only one that makes, renames or removes
// profiles of a home.
func lockProfiles(home string) (func(), error) {
	dir := filepath.Join(home, "profiles")
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return lockFile(filepath.Join(dir, ".lock"))
}

// lay writes the files of a fresh profile.
func lay(dir string, c Config, soul string) error {
	if err := c.Validate(); err != nil {
		return err
	}
	for _, f := range folders {
		if err := os.MkdirAll(filepath.Join(dir, f), 0o700); err != nil {
			return err
		}
	}
	b, err := yaml.MarshalWithOptions(&c, yaml.Indent(2), yaml.IndentSequence(true))
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(b)) == "{}" {
		b = nil
	}
	head := "# What this profile is and may do: hermes config schema lists the keys.\n"
	return errors.Join(replaceFile(filepath.Join(dir, ConfigFile), append([]byte(head), b...)),
		replaceFile(filepath.Join(dir, SecretsFile), []byte(freshEnv)),
		replaceFile(filepath.Join(dir, soulFile), []byte(soul)))
}

// cloned are the parts of a profile that a clone copies, and those that it
// copies if all is wanted. What is not named here stays where it is.
var (
	cloned    = []string{soulFile, "skills", "agents"}
	clonedAll = []string{"recipes", "planner.yaml"}
)

// channelKeys are the keys that lead to people and chats.
var channelKeys = []string{"telegram", "webhooks", "chat.routes", "gateway"}

// clone builds a copy of a profile without what is only its own.
func clone(home, dir string, o Options) error {
	from, err := Load(home, o.From)
	if err != nil {
		return err
	}
	if err := lay(dir, Config{}, ""); err != nil {
		return err
	}
	parts := cloned
	if o.All {
		parts = slices.Concat(cloned, clonedAll)
	}
	for _, part := range parts {
		if err := copyTree(filepath.Join(from.Dir, part), filepath.Join(dir, part)); err != nil {
			return err
		}
	}
	b, err := readConfig(filepath.Join(from.Dir, ConfigFile))
	if err != nil {
		return err
	}
	own := []string{"boards", "board", "tenant", "terminal.cwd"}
	if !o.Channels {
		own = append(own, channelKeys...)
	}
	for _, key := range own {
		if b, err = Unset(b, key); err != nil {
			return err
		}
	}
	if b, err = overlay(b, o.Config); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, ConfigFile), b); err != nil {
		return err
	}
	if o.Channels {
		return copySecrets(from, dir)
	}
	return nil
}

// overlay writes every key that c has.
func overlay(file []byte, c Config) ([]byte, error) {
	for _, k := range Keys() {
		v, ok, err := c.Get(k.Path)
		if err != nil {
			return nil, err
		}
		if ok {
			if file, err = SetValue(file, k.Path, v); err != nil {
				return nil, err
			}
		}
	}
	return file, nil
}

// copySecrets copies the secrets of the channels, and no others.
func copySecrets(from *Profile, dir string) error {
	old, err := LoadSecrets(from.Dir)
	if err != nil {
		return err
	}
	s, err := LoadSecrets(dir)
	if err != nil {
		return err
	}
	for _, name := range from.Config.ChannelSecrets() {
		if v, ok := old.Get(name); ok {
			if err := s.Set(name, v); err != nil {
				return err
			}
		}
	}
	return s.Save(dir)
}

// TokenName is the name of the secret with the bot's token.
func (t *Telegram) TokenName() string {
	if t.Token != "" {
		return t.Token
	}
	return "TELEGRAM_BOT_TOKEN"
}

// ChannelSecrets are the names of the secrets that its channels use.
func (c *Config) ChannelSecrets() []string {
	names := []string{c.Telegram.TokenName()}
	if w := c.Telegram.Webhook; w != nil {
		names = append(names, w.Secret)
	}
	for _, w := range c.Webhooks {
		names = append(names, w.Secret)
	}
	return names
}

// copyTree copies a file, or a folder with all that is in it. Links and
// whatever else is no file are left out; what is not there is no error.
func copyTree(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return copyFile(from, to)
	case !info.IsDir():
		return nil
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	mode := 0o600 | info.Mode()&0o100 // a skill may bring programs
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Rename gives a profile another name. The caller makes sure that no gateway
// of it runs.
func Rename(home, from, to string) error {
	if from == Default {
		return errors.New("the default profile is the home itself; it keeps its name")
	}
	if err := newName(to); err != nil {
		return err
	}
	unlock, err := lockProfiles(home)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := Load(home, from); errors.Is(err, ErrUnknown) {
		return err
	}
	if _, err := os.Lstat(Dir(home, to)); err == nil {
		return fmt.Errorf("profile %s: %w", to, ErrExists)
	}
	if err := os.Rename(Dir(home, from), Dir(home, to)); err != nil {
		return err
	}
	if Sticky(home) == from {
		return Use(home, to)
	}
	return nil
}

// Delete removes a profile with its secrets. Boards stay. The caller makes
// sure that no gateway of it runs.
func Delete(home, name string) error {
	if name == Default {
		return errors.New("the default profile is the home itself; it cannot be deleted")
	}
	if !ValidName(name) {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	unlock, err := lockProfiles(home)
	if err != nil {
		return err
	}
	defer unlock()
	dir := Dir(home, name)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	gone := filepath.Join(filepath.Dir(dir), staging+"gone-"+name)
	if err := errors.Join(os.RemoveAll(gone), os.Rename(dir, gone)); err != nil {
		return err
	}
	if Sticky(home) == name {
		if err := Use(home, Default); err != nil {
			return err
		}
	}
	return os.RemoveAll(gone)
}

// stickyFile holds the name of the profile that is meant where none is named.
const stickyFile = ".current"

// Use makes a profile the one that is meant where none is named.
func Use(home, name string) error {
	dir := filepath.Join(home, "profiles")
	if name == Default || name == "" {
		err := os.Remove(filepath.Join(dir, stickyFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if !ValidName(name) {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if info, err := os.Lstat(Dir(home, name)); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	return replaceFile(filepath.Join(dir, stickyFile), []byte(name+"\n"))
}

// Sticky is the profile that is meant where none is named.
func Sticky(home string) string {
	b, err := readConfig(filepath.Join(home, "profiles", stickyFile))
	if name := strings.TrimSpace(string(b)); err == nil && ValidName(name) {
		return name
	}
	return Default
}
