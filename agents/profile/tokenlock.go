package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TokenClaim is a wish to be the only process of this host that uses a token.
type TokenClaim struct {
	Dir      string   // this user's folder of locks, the same for all homes; it exists
	Others   []string // those of other users of this host, which are read only
	Foreign  string   // folder of the public Python system's locks, which is read only; empty = none
	Profile  string   // who wants it
	Platform string   // as people read it: Telegram
	Token    Secret
}

// TokenTakenError says who uses a token.
type TokenTakenError struct {
	Platform, Profile string
	PID               int
}

// Error names the holder as operators know it.
func (e *TokenTakenError) Error() string {
	return fmt.Sprintf("[%s] Bot token already in use by profile %s (PID %d).", e.Platform, e.Profile, e.PID)
}

// TokenLock is a token that this process uses. Safe for concurrent use.
type TokenLock struct {
	path  string
	turn  string
	holds tokenHolder
}

// tokenHolder is what a lock's file says. The token itself is nowhere in it.
type tokenHolder struct {
	PID     int       `json:"pid"`
	Start   uint64    `json:"start"` // of the process, in ticks since boot
	Boot    string    `json:"boot"`
	Profile string    `json:"profile"`
	Since   time.Time `json:"since"`
}

// LockToken takes a token for this process. The error is a [*TokenTakenError]
// if another uses it. A lock whose process has ended, was stopped by a signal,
// or is another by now is taken over, by one process only however many try.
func LockToken(c TokenClaim) (*TokenLock, error) {
	hash := tokenHash(c.Token)
	name := strings.ToLower(c.Platform) + "-" + hash
	l := &TokenLock{path: filepath.Join(c.Dir, name), turn: filepath.Join(c.Dir, "lock")}
	var err error
	if l.holds, err = thisProcess(); err != nil {
		return nil, err
	}
	l.holds.Profile, l.holds.Since = c.Profile, time.Now().UTC()
	unlock, err := lockFile(l.turn)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if h, ok := readHolder(l.path); ok && h.PID != l.holds.PID && h.uses() {
		return nil, &TokenTakenError{c.Platform, h.Profile, h.PID}
	}
	if h, ok := foreignHolder(c.Foreign, hash); ok && h.PID != l.holds.PID {
		return nil, &TokenTakenError{c.Platform, h.Profile, h.PID}
	}
	b, err := json.Marshal(l.holds)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(l.path, b); err != nil {
		return nil, err
	}
	// Nobody takes turns with other users. So the lock is put there first and
	// theirs are looked at then: of two at once at most one goes on.
	if err := os.Chmod(l.path, 0o644); err != nil {
		return nil, errors.Join(err, os.Remove(l.path))
	}
	if h, ok := otherHolder(c.Others, name); ok {
		return nil, errors.Join(&TokenTakenError{c.Platform, h.Profile, h.PID}, os.Remove(l.path))
	}
	return l, nil
}

// otherHolder finds which other user of this host uses a token.
func otherHolder(dirs []string, name string) (h tokenHolder, ok bool) {
	for _, dir := range dirs {
		h, ok := readHolder(filepath.Join(dir, name))
		if ok && h.uses() {
			if !ValidName(h.Profile) { // somebody else wrote it
				h.Profile = "?"
			}
			return h, true
		}
	}
	return h, false
}

// Held reports whether the lock is still this process's: one that was stopped
// by a signal and goes on may have lost it.
func (l *TokenLock) Held() bool {
	h, ok := readHolder(l.path)
	return ok && h.PID == l.holds.PID && h.Start == l.holds.Start && h.Boot == l.holds.Boot
}

// Release lets the token go. A lock that another has by now stays.
func (l *TokenLock) Release() error {
	unlock, err := lockFile(l.turn)
	if err != nil {
		return err
	}
	defer unlock()
	if !l.Held() {
		return nil
	}
	return os.Remove(l.path)
}

// tokenHash is what a lock is named by, here and in the Python system.
func tokenHash(token Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// readHolder reads a lock; one that cannot be read holds nothing.
func readHolder(path string) (h tokenHolder, ok bool) {
	b, err := readConfig(path)
	return h, err == nil && json.Unmarshal(b, &h) == nil && h.PID > 0
}

// uses reports whether the process that took the lock goes on using the token.
func (h tokenHolder) uses() bool {
	now, state, err := processAt(h.PID)
	return err == nil && now.Start == h.Start && now.Boot == h.Boot && !strings.ContainsAny(state, "TtZX")
}

// ForeignLocks is the folder of the Python system's token locks.
func ForeignLocks(getenv func(string) string) string {
	if dir := getenv("HERMES_GATEWAY_LOCK_DIR"); dir != "" {
		return dir
	}
	state := getenv("XDG_STATE_HOME")
	if state == "" && getenv("HOME") != "" {
		state = filepath.Join(getenv("HOME"), ".local", "state")
	}
	if state == "" {
		return ""
	}
	return filepath.Join(state, "hermes", "gateway-locks")
}

// foreignRecord is what the Python system's lock files say.
type foreignRecord struct {
	PID     int      `json:"pid"`
	Start   *float64 `json:"start_time"` // ticks since boot, or seconds since 1970
	Profile string   `json:"profile"`
	Home    string   `json:"hermes_home"`
}

// foreignHolder finds who of the Python system uses a token.
func foreignHolder(dir, hash string) (h tokenHolder, ok bool) {
	if dir == "" {
		return h, false
	}
	found, err := filepath.Glob(filepath.Join(dir, "*"+hash+"*"))
	if err != nil {
		return h, false
	}
	for _, path := range found {
		b, err := readConfig(path)
		var r foreignRecord
		if err != nil || json.Unmarshal(b, &r) != nil || r.PID <= 0 || !r.uses() {
			continue
		}
		switch {
		case r.Profile != "":
		case r.Home != "" && filepath.Base(filepath.Dir(r.Home)) == "profiles":
			r.Profile = filepath.Base(r.Home)
		default:
			r.Profile = Default
		}
		return tokenHolder{PID: r.PID, Profile: r.Profile}, true
	}
	return h, false
}

// uses judges a lock as the system that wrote it does.
func (r foreignRecord) uses() bool {
	now, state, err := processAt(r.PID)
	if err != nil || strings.ContainsAny(state, "TtZX") {
		return false
	}
	if r.Start == nil {
		return true
	}
	began := float64(now.Start)
	if *r.Start > 1e9 { // seconds since 1970
		began = bootTime() + began/ticksPerSecond
		return *r.Start > began-3 && *r.Start < began+3
	}
	return *r.Start == began
}

var errNoProcess = errors.New("there is no such process")

func thisProcess() (tokenHolder, error) {
	h, _, err := processAt(os.Getpid())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	return h, nil
}
