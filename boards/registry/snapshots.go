package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hermesboard/hermes/events"
)

// Snapshots are states of projections, kept to save folding the log from the
// start. They are a cache: losing one costs time, and one that does not fit
// what is asked for is dropped. Methods are safe for concurrent use.
type Snapshots struct{ dir string }

// snapshotHeader is the first line of a snapshot; the body follows.
type snapshotHeader struct {
	Name    string        `json:"name"`
	Version int           `json:"version"`
	Head    events.Head   `json:"head"`
	Body    events.Digest `json:"body"`
}

// Save keeps the state that a projection had at head. Version is that of the
// projection's own form.
func (s *Snapshots) Save(name string, version int, head events.Head, body []byte) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	header, err := json.Marshal(snapshotHeader{name, version, head, events.DigestOf(body)})
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", name, err)
	}
	f, err := os.CreateTemp(s.dir, ".save-*")
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", name, err)
	}
	_, err = f.Write(append(header, '\n'))
	if err == nil {
		_, err = f.Write(body)
	}
	// Not synced: what a power cut leaves does not match the header.
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("snapshot %s: %w", name, err)
	}
	return nil
}

// Load returns a saved state and the head it was taken at, if it is whole, of
// the version asked for, and of this log: rootAt says which root the log has
// at a position. A snapshot that is not is removed.
func (s *Snapshots) Load(name string, version int, rootAt func(uint64) (events.Digest, error)) (head events.Head, body []byte, ok bool) {
	path, err := s.path(name)
	if err != nil {
		return head, nil, false
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return head, nil, false
	}
	first, body, _ := bytes.Cut(b, []byte{'\n'})
	var h snapshotHeader
	err = json.Unmarshal(first, &h)
	if err == nil && h == (snapshotHeader{name, version, h.Head, events.DigestOf(body)}) {
		root, err := rootAt(h.Head.Seq)
		if err == nil && root == h.Head.Root {
			return h.Head, body, true
		}
	}
	os.Remove(path)
	return events.Head{}, nil, false
}

func (s *Snapshots) path(name string) (string, error) {
	if slug, err := ParseSlug(name); err != nil || slug != name {
		return "", fmt.Errorf("%q cannot be the name of a snapshot", name)
	}
	return filepath.Join(s.dir, name), nil
}
