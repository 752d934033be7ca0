package projections

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/pack"
)

// SnapshotName and SnapshotVersion stamp a stored [View]. The version changes
// whenever the form or the meaning of what is folded does.
const (
	SnapshotName    = "view"
	SnapshotVersion = 5
)

// writer appends to a snapshot. A string is written out the first time and
// named by number after that.
type writer struct {
	b     []byte
	names map[string]int
}

func (w *writer) uint(v uint64)                { w.b = pack.Uint(w.b, v) }
func (w *writer) int(v int64)                  { w.b = pack.Int(w.b, v) }
func (w *writer) flag(v bool)                  { w.b = pack.Bool(w.b, v) }
func (w *writer) len(n int)                    { w.b = pack.Len(w.b, n) }
func (w *writer) time(t events.Time)           { w.b = pack.Int(w.b, t) }
func (w *writer) digest(d events.Digest)       { w.b = append(w.b, d[:]...) }
func (w *writer) run(r events.RunID)           { w.uint(uint64(r.Task)); w.uint(uint64(r.N)) }
func (w *writer) small(words ...uint8)         { w.b = append(w.b, words...) }
func (w *writer) after(t, earlier events.Time) { w.time(t - earlier) }
func (w *writer) actor(a events.Actor)         { w.small(uint8(a.Kind)); w.name(a.Name); w.name(a.Via) }
func (w *writer) workspace(s events.Workspace) {
	w.small(uint8(s.Kind))
	w.name(s.Path)
	w.name(s.Base)
	w.name(s.Branch)
}

// text writes a string that does not come again.
func (w *writer) text(s string) { w.b = pack.String(w.b, s) }

func (w *writer) name(s string) {
	if n, ok := w.names[s]; ok {
		w.len(n)
		return
	}
	n := len(w.names)
	w.names[s] = n
	w.len(n)
	w.b = pack.String(w.b, s)
}

// reader reads a snapshot.
type reader struct {
	*pack.Reader
	names []string
}

func (r *reader) time() events.Time                     { return events.Time(r.Int64()) }
func (r *reader) after(earlier events.Time) events.Time { return earlier + r.time() }
func (r *reader) task() events.TaskID                   { return events.TaskID(r.Uint32()) }
func (r *reader) run() events.RunID                     { return events.RunID{Task: r.task(), N: r.Uint32()} }
func (r *reader) digest() (d events.Digest)             { copy(d[:], r.Raw(len(d))); return d }
func (r *reader) small() uint8 {
	if b := r.Raw(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) actor() events.Actor {
	return events.Actor{Kind: events.ActorKind(r.small()), Name: r.name(), Via: r.name()}
}

func (r *reader) workspace() events.Workspace {
	return events.Workspace{Kind: events.WorkspaceKind(r.small()), Path: r.name(), Base: r.name(), Branch: r.name()}
}

func (r *reader) name() string {
	n := r.Uint64()
	switch {
	case n < uint64(len(r.names)):
		return r.names[n]
	case n == uint64(len(r.names)) && r.Err() == nil:
		r.names = append(r.names, r.String())
		return r.names[n]
	}
	r.Fail(malformed("name", n))
	return ""
}

// AppendSnapshot appends the View to b. Equal views give equal bytes.
func (v *View) AppendSnapshot(b []byte) []byte {
	w := &writer{b: slices.Grow(b, 96*int(v.last)+1024), names: map[string]int{"": 0}}
	w.uint(v.head)
	w.board(v.board)
	w.uint(v.policyAt)
	w.policy(v.policy)
	held := v.Agents()
	w.len(len(held))
	for _, h := range held {
		w.name(h.Agent)
		w.small(uint8(h.Cause))
		w.time(h.Since)
		w.time(h.Until)
		w.uint(h.Seq)
	}
	w.spent(&v.spent)
	w.notices(&v.notices)
	w.uint(uint64(v.last))
	for id := events.TaskID(1); id <= v.last; id++ {
		w.row(&v.pages[(id-1)/pageLen][(id-1)%pageLen])
	}
	w.ahead(v)
	return w.b
}

// LoadSnapshot reads what AppendSnapshot wrote. Its error matches
// [pack.ErrMalformed]; the log is then to be folded anew.
func LoadSnapshot(b []byte) (*View, error) {
	r := &reader{Reader: pack.NewReader(b), names: []string{""}}
	v := NewView()
	v.head = r.Uint64()
	v.board = r.board()
	v.policyAt = r.Uint64()
	v.policy = r.policy()
	for range r.Len(5) {
		h := AgentHold{Agent: r.name(), Cause: events.Outcome(r.small()), Since: r.time(), Until: r.time(), Seq: r.Uint64()}
		v.held[h.Agent] = h
	}
	r.spent(&v.spent)
	r.notices(&v.notices)
	last := events.TaskID(r.Len(1))
	v.pages = make([]*[pageLen]Task, 0, last/pageLen+2)
	for id := events.TaskID(1); id <= last && r.Err() == nil; id++ {
		r.row(id, v.row(id))
		v.last = id
	}
	r.ahead(v)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("snapshot of a view: %w", err)
	}
	for _, s := range r.names[1:] {
		v.names[s] = s
	}
	v.index()
	return v, nil
}

// index makes all that is made from the rows.
func (v *View) index() {
	var columns [len(v.columns)][]item
	var starts, retries, waiting, asking []item
	lanes := map[Lane][]item{}
	for id := events.TaskID(1); id <= v.last; id++ {
		t := v.Task(id)
		if t == nil {
			continue
		}
		p := t.place()
		it := byPriority(id, p.priority)
		columns[p.status] = append(columns[p.status], it)
		if p.queued {
			lanes[p.lane] = append(lanes[p.lane], inQueue(id, p.priority, v.policy.Order))
		}
		since := byTime(id, p.since)
		keep(&waiting, p.status == events.Ready, since)
		keep(&asking, p.asks, since)
		keep(&starts, p.start != 0, byTime(id, p.start))
		keep(&retries, p.retry != 0, byTime(id, p.retry))
		v.count(p, +1)
		v.finished.add(p.ended, +1)
		if t.Run != nil {
			v.opened(t)
		}
	}
	for s := range columns {
		v.columns[s].fill(columns[s])
	}
	for lane, items := range lanes {
		x := new(index)
		x.fill(items)
		v.queue[lane] = x
	}
	v.starts.fill(starts)
	v.retries.fill(retries)
	v.waiting.fill(waiting)
	v.asking.fill(asking)
}

func keep(list *[]item, wanted bool, it item) {
	if wanted {
		*list = append(*list, it)
	}
}

func (w *writer) board(b Board) {
	w.b = append(w.b, b.ID[:]...)
	w.name(b.Slug)
	w.time(b.Created)
	w.uint(b.TitleAt)
	w.time(b.PausedAt)
	w.actor(b.PausedBy)
	w.uint(b.PausedSeq)
	w.flag(b.Drain)
}

func (r *reader) board() (b Board) {
	copy(b.ID[:], r.Raw(len(b.ID)))
	b.Slug, b.Created, b.TitleAt = r.name(), r.time(), r.Uint64()
	b.PausedAt, b.PausedBy, b.PausedSeq, b.Drain = r.time(), r.actor(), r.Uint64(), r.Bool()
	return b
}

func (w *writer) policy(p events.Policy) {
	b, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("a policy is numbers and names: %v", err))
	}
	w.b = pack.Bytes(w.b, b)
}

func (r *reader) policy() (p events.Policy) {
	if b := r.Bytes(); r.Err() == nil {
		if err := json.Unmarshal(b, &p, json.RejectUnknownMembers(true)); err != nil {
			r.Fail(malformed("policy", err))
		}
	}
	return p
}

func malformed(what string, value any) error {
	return fmt.Errorf("%w: %s %v", pack.ErrMalformed, what, value)
}
