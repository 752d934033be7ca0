package chat

import (
	"cmp"
	"slices"
	"time"
)

// Paired is somebody who was let in by a code, on any platform.
type Paired struct {
	Platform string    `json:"platform"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
}

// Waiting is somebody who was given a code.
type Waiting struct {
	Platform string    `json:"platform"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Until    time.Time `json:"until"` // the code holds
}

// ListPairs returns who was let in by a code and who waits for it, by a
// profile's folder. Codes themselves are not kept, and cannot be shown.
func ListPairs(dir string, now time.Time) (in []Paired, waiting []Waiting, err error) {
	f, err := OpenPairs(dir, "").load()
	if err != nil {
		return nil, nil, err
	}
	in, waiting = []Paired{}, []Waiting{}
	for _, q := range f.People {
		in = append(in, Paired(q))
	}
	for _, q := range f.Pending {
		if now.Before(q.Until) {
			waiting = append(waiting, Waiting{q.Platform, q.ID, q.Name, q.Until})
		}
	}
	slices.SortStableFunc(in, func(a, b Paired) int { return cmp.Compare(a.Platform, b.Platform) })
	return in, waiting, nil
}

// Revoke shuts out somebody who was let in by a code; [ErrNotPaired] if nobody
// has that id. A gateway that runs hears them no more from its next update on.
func (p *Pairs) Revoke(id string) (Person, error) {
	f, done, err := p.open()
	if err != nil {
		return Person{}, err
	}
	defer done()
	i := slices.IndexFunc(f.People, func(q paired) bool { return q.ID == id && q.Platform == p.platform })
	if i < 0 {
		return Person{}, ErrNotPaired
	}
	q := f.People[i]
	f.People = slices.Delete(f.People, i, i+1)
	role, _ := ParseRole(q.Role) // one that is none is revoked all the same
	return Person{ID: q.ID, Name: q.Name, Role: role}, p.save(f)
}

// Forget drops the codes that were given out on all platforms, and returns how
// many there were.
func (p *Pairs) Forget() (n int, err error) {
	f, done, err := p.open()
	if err != nil {
		return 0, err
	}
	defer done()
	n, f.Pending = len(f.Pending), nil
	return n, p.save(f)
}
