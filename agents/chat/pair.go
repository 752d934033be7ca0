package chat

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What holds for pairing codes.
const (
	codeLen    = 8
	alphabet   = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // 32: no I, O, 0, 1
	codeLife   = time.Hour
	maxPending = 3
	maxWrong   = 5         // codes, before nothing is tried any more
	lockedFor  = time.Hour // after that
)

// PairingFile is the name of the file in a profile's folder.
const PairingFile = "pairing.json"

// The answers of Pairs.
var (
	ErrTooManyCodes = errors.New("too many people wait to be let in")
	ErrWrongCode    = errors.New("there is no such pairing code, or it is too old")
	ErrLocked       = errors.New("too many wrong codes; try again in an hour")
	ErrNotPaired    = errors.New("nobody of that name was let in by a code")
)

// Pairs lets new people in. A person gets a code in the chat, and an owner
// confirms it, in the chat or from a command line. Of a code only a salted hash
// is kept. Safe for concurrent use, by several processes too.
type Pairs struct {
	dir      string
	platform string

	mu     sync.Mutex
	people []Person    // as they were read last; guarded by mu
	read   fs.FileInfo // of the file they were read from; nil = none; guarded by mu
}

// OpenPairs returns the pairing of a platform in a profile's folder.
func OpenPairs(dir, platform string) *Pairs { return &Pairs{dir: dir, platform: platform} }

// pairing is the file.
type pairing struct {
	People  []paired  `json:"people,omitzero"`
	Pending []pending `json:"pending,omitzero"`
	Wrong   int       `json:"wrong,omitzero"`
	Locked  time.Time `json:"locked_until,omitzero"`
}

type paired struct {
	Platform string    `json:"platform"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
}

type pending struct {
	Platform string    `json:"platform"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Salt     string    `json:"salt"`
	Hash     string    `json:"hash"`
	Until    time.Time `json:"until"`
}

// People returns those who were let in, as it stands now. It reads the file only
// if that is another than before.
func (p *Pairs) People() ([]Person, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := os.Stat(filepath.Join(p.dir, PairingFile))
	if errors.Is(err, fs.ErrNotExist) {
		p.people, p.read = nil, nil
		return nil, nil
	}
	if err == nil && p.read != nil && os.SameFile(info, p.read) && info.ModTime().Equal(p.read.ModTime()) && info.Size() == p.read.Size() {
		return p.people, nil
	}
	f, err := p.load()
	if err != nil {
		return p.people, err
	}
	p.people, p.read = nil, info
	for _, q := range f.People {
		if role, err := ParseRole(q.Role); err == nil && q.Platform == p.platform {
			p.people = append(p.people, Person{ID: q.ID, Name: q.Name, Role: role})
		}
	}
	return p.people, nil
}

// Code makes a code for somebody. Whoever has one that still holds gets none.
func (p *Pairs) Code(id, name string, now time.Time) (code string, err error) {
	f, done, err := p.open()
	if err != nil {
		return "", err
	}
	defer done()
	f.Pending = slices.DeleteFunc(f.Pending, func(q pending) bool { return !now.Before(q.Until) })
	if len(f.Pending) >= maxPending || slices.ContainsFunc(f.Pending, func(q pending) bool { return q.ID == id && q.Platform == p.platform }) {
		return "", ErrTooManyCodes
	}
	var random [codeLen + 16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	for _, b := range random[:codeLen] {
		code += string(alphabet[int(b)%len(alphabet)])
	}
	salt := hex.EncodeToString(random[codeLen:])
	f.Pending = append(f.Pending, pending{p.platform, id, clean(name, 60), salt, hashCode(salt, code), now.Add(codeLife)})
	return code, p.save(f)
}

// Confirm lets in whoever has a code, which holds no longer after it.
func (p *Pairs) Confirm(code string, role Role, by string, now time.Time) (Person, error) {
	f, done, err := p.open()
	if err != nil {
		return Person{}, err
	}
	defer done()
	if now.Before(f.Locked) {
		return Person{}, ErrLocked
	}
	code = strings.ToUpper(strings.TrimSpace(code))
	found := -1
	for i, q := range f.Pending {
		same := subtle.ConstantTimeCompare([]byte(hashCode(q.Salt, code)), []byte(q.Hash)) == 1
		if same && now.Before(q.Until) && q.Platform == p.platform {
			found = i
		}
	}
	if found < 0 {
		if f.Wrong++; f.Wrong >= maxWrong {
			f.Wrong, f.Locked, f.Pending = 0, now.Add(lockedFor), nil
		}
		return Person{}, errors.Join(ErrWrongCode, p.save(f))
	}
	q := f.Pending[found]
	f.Pending, f.Wrong = slices.Delete(f.Pending, found, found+1), 0
	f.People = slices.DeleteFunc(f.People, func(o paired) bool { return o.ID == q.ID && o.Platform == q.Platform })
	f.People = append(f.People, paired{q.Platform, q.ID, q.Name, role.String(), by, now})
	return Person{ID: q.ID, Name: q.Name, Role: role}, p.save(f)
}

func hashCode(salt, code string) string {
	sum := sha256.Sum256([]byte(salt + " " + code))
	return hex.EncodeToString(sum[:])
}

// open reads the file for a change; done ends the turn to do so.
func (p *Pairs) open() (f pairing, done func(), err error) {
	p.mu.Lock()
	turn, err := os.Open(p.dir) // the folder stays when the file is replaced
	if err != nil {
		p.mu.Unlock()
		return f, nil, fmt.Errorf("pairing: %w", err)
	}
	done = func() { turn.Close(); p.mu.Unlock() }
	for {
		if err = syscall.Flock(int(turn.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err == nil {
		f, err = p.load()
	}
	if err != nil {
		done()
		return f, nil, err
	}
	return f, done, nil
}

func (p *Pairs) load() (f pairing, err error) {
	b, err := os.ReadFile(filepath.Join(p.dir, PairingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return f, fmt.Errorf("pairing: %w", err)
	}
	return f, nil
}

// save replaces the file as a whole, for its owner only.
func (p *Pairs) save(f pairing) error {
	b, err := json.Marshal(f, jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("pairing: %w", err)
	}
	tmp, err := os.CreateTemp(p.dir, ".pairing-*") // 0600
	if err != nil {
		return fmt.Errorf("pairing: %w", err)
	}
	_, err = tmp.Write(append(b, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(p.dir, PairingFile))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("pairing: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}
