package boards

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/pack"
)

// snapshotVersion changes with every change of the form.
const snapshotVersion = 3

// AppendSnapshot appends the state in a compact private form that
// [LoadSnapshot] of the same version reads. Equal states give equal bytes.
func (s *State) AppendSnapshot(b []byte) []byte {
	b = slices.Grow(b, 64*s.tasks.n+1024)
	b = pack.Uint(b, uint64(snapshotVersion))
	b = pack.Uint(b, s.head)
	b = append(b, s.board[:]...)
	b = pack.String(b, s.slug)
	policy, err := json.Marshal(s.policy, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("a policy is numbers and names: %v", err))
	}
	b = pack.Bytes(b, policy)
	b = pack.Uint(b, s.policySeq)
	b = pack.Uint(b, bits(s.paused, s.drain))
	b = pack.Len(b, len(s.names.list)-1)
	for _, n := range s.names.list[1:] {
		b = pack.String(b, n)
	}
	b = pack.Len(b, s.tasks.n)
	for _, t := range s.tasks.all() {
		b = t.append(b)
	}
	b = pack.Len(b, len(s.held))
	for _, n := range slices.Sorted(maps.Keys(s.held)) {
		b = pack.Uint(b, n)
		b = pack.Uint(b, s.held[n].cause)
		b = pack.Int(b, s.held[n].until)
	}
	b = pack.Len(b, len(s.attachments))
	for _, seq := range slices.Sorted(maps.Keys(s.attachments)) {
		b = pack.Uint(b, seq)
		b = pack.Uint(b, s.attachments[seq])
	}
	b = pack.Len(b, len(s.subs))
	for _, sub := range slices.SortedFunc(maps.Keys(s.subs), compareSubscriptions) {
		b = pack.Uint(b, sub.task)
		b = pack.String(b, sub.tenant)
		b = pack.String(b, sub.agent)
		b = appendDestination(b, sub.to)
	}
	b = pack.Len(b, len(s.dead))
	for _, l := range slices.SortedFunc(maps.Keys(s.dead), compareLetters) {
		b = pack.Uint(b, l.of)
		b = appendDestination(b, l.to)
	}
	return s.appendBudgets(b)
}

func appendDestination(b []byte, to events.Destination) []byte {
	for _, s := range [...]string{to.Platform, to.Chat, to.Thread} {
		b = pack.String(b, s)
	}
	return b
}

// bits packs up to eight flags, the first lowest.
func bits(flags ...bool) uint8 {
	var v uint8
	for i, f := range flags {
		if f {
			v |= 1 << i
		}
	}
	return v
}

func (t *task) append(b []byte) []byte {
	b = append(b, byte(t.status), byte(t.phase), byte(t.verdict), byte(t.block), byte(t.blockSaid), t.options, byte(t.cause),
		bits(t.rough, t.decomposed, t.fresh, t.run != nil))
	b = pack.Int(b, t.startAt)
	b = pack.Int(b, t.retryAt)
	b = pack.Int(b, t.rateSince)
	b = pack.Uint(b, t.maker)
	for _, v := range [...]uint32{t.runs, t.failures, t.noVerdicts, t.losses, t.maxRetries, t.blockStreak, t.plans, t.paid} {
		b = pack.Uint(b, v)
	}
	for _, n := range [...]name{t.assignee, t.reviewer, t.implementer, t.tenant, t.place, t.folder} {
		b = pack.Uint(b, n)
	}
	for _, l := range t.last {
		b = pack.Uint(b, l.n)
		b = pack.Uint(b, l.agent)
		b = pack.Bool(b, l.goesOn)
	}
	b = pack.Len(b, len(t.parents))
	for _, e := range t.parents {
		b = pack.Uint(b, e.parent)
		b = append(b, byte(e.needs), bits(e.waived))
	}
	if t.run != nil {
		b = t.run.append(b)
	}
	return b
}

func (r *run) append(b []byte) []byte {
	b = pack.Uint(b, r.id.N)
	b = pack.Uint(b, r.fence)
	b = append(b, r.token[:]...)
	b = pack.Int(b, r.claimed)
	b = pack.Int(b, r.beat)
	b = pack.Int(b, r.expiresMS)
	for _, n := range [...]name{r.agent, r.owner, r.folder} {
		b = pack.Uint(b, n)
	}
	b = append(b, byte(r.role), byte(r.phase), bits(r.started), byte(r.verdict), byte(r.outcome), byte(r.then), byte(r.final))
	b = pack.Uint(b, r.verdictSeq)
	return pack.Uint(b, r.stop)
}

// LoadSnapshot reads what AppendSnapshot wrote. Any other bytes are an error:
// the caller folds the log anew.
func LoadSnapshot(b []byte) (*State, error) {
	l := loader{Reader: pack.NewReader(b), s: NewState()}
	l.load()
	if err := l.Done(); err != nil {
		return nil, fmt.Errorf("snapshot of the rule state: %w", err)
	}
	return l.s, nil
}

var errSnapshot = errors.New("values that no state has")

// loader reads a snapshot into a state.
type loader struct {
	*pack.Reader
	s     *State
	tasks int // how many there are; not all are read yet
}

func (l *loader) must(ok bool) {
	if !ok {
		l.Fail(errSnapshot)
	}
}

func (l *loader) load() {
	s := l.s
	l.must(l.Uint64() == snapshotVersion)
	s.head = l.Uint64()
	copy(s.board[:], l.Raw(len(s.board)))
	s.slug = l.String()
	policy := l.Bytes()
	if l.Err() == nil {
		if err := json.Unmarshal(policy, &s.policy, json.RejectUnknownMembers(true)); err != nil {
			l.Fail(err)
		}
	}
	again, err := json.Marshal(s.policy, json.Deterministic(true))
	l.must(err == nil && string(again) == string(policy))
	s.policySeq = l.Uint64()
	flags := l.flags(2)
	s.paused, s.drain = flags&1 != 0, flags&2 != 0
	for n := l.Len(1); n > 0 && l.Err() == nil; n-- {
		text := l.String()
		_, twice := s.names.index[text]
		l.must(!twice)
		s.names.intern(text)
	}
	l.tasks = l.Len(minTask)
	for id := events.TaskID(1); int(id) <= l.tasks; id++ {
		if l.Err() != nil {
			return
		}
		s.tasks.add(task{})
		l.task(id, s.tasks.at(id))
	}
	l.children()
	l.rest()
}

// rest reads what is not in the tasks.
func (l *loader) rest() {
	s := l.s
	last := name(0)
	for n := l.Len(3); n > 0 && l.Err() == nil; n-- {
		agent := l.name()
		l.must(agent > last || last == 0 && len(s.held) == 0)
		last = agent
		s.held[agent] = hold{events.Outcome(l.Uint8()), events.Time(l.Int64())}
	}
	var seq uint64
	for n := l.Len(2); n > 0 && l.Err() == nil; n-- {
		at := l.Uint64()
		l.must(at > seq)
		seq = at
		s.attachments[at] = events.TaskID(l.Uint32())
	}
	l.messages()
}

// messages reads who is told, and what was given up.
func (l *loader) messages() {
	var sub subscription
	for n := l.Len(6); n > 0 && l.Err() == nil; n-- {
		next := subscription{events.TaskID(l.Uint32()), l.String(), l.String(), l.destination()}
		l.must(len(l.s.subs) == 0 || compareSubscriptions(sub, next) < 0)
		sub = next
		l.s.subs[sub] = true
	}
	var dead letter
	for n := l.Len(4); n > 0 && l.Err() == nil; n-- {
		next := letter{l.Uint64(), l.destination()}
		l.must(len(l.s.dead) == 0 || compareLetters(dead, next) < 0)
		dead = next
		l.s.dead[dead] = true
	}
	l.budgets()
}

func (l *loader) destination() events.Destination {
	return events.Destination{Platform: l.String(), Chat: l.String(), Thread: l.String()}
}

const minTask = 32 // bytes of the smallest task

func (l *loader) byte() byte {
	if p := l.Raw(1); p != nil {
		return p[0]
	}
	return 0
}

// flags reads n flags and refuses more.
func (l *loader) flags(n int) uint8 {
	v := l.byte()
	l.must(v < 1<<n)
	return v
}

func (l *loader) name() name {
	n := name(l.Uint32())
	if int(n) >= len(l.s.names.list) {
		l.Fail(errSnapshot)
		return 0
	}
	return n
}

func (l *loader) task(id events.TaskID, t *task) {
	head := l.Raw(7)
	if head == nil {
		return
	}
	t.status, t.phase, t.verdict = events.Status(head[0]), events.Status(head[1]), events.Verdict(head[2])
	t.block, t.blockSaid, t.options = events.BlockKind(head[3]), events.BlockKind(head[4]), head[5]
	t.cause = events.Outcome(head[6])
	l.must(t.status >= events.Triage && t.status <= events.Archived)
	flags := l.flags(4)
	t.rough, t.decomposed, t.fresh = flags&1 != 0, flags&2 != 0, flags&4 != 0
	t.startAt, t.retryAt, t.rateSince = events.Time(l.Int64()), events.Time(l.Int64()), events.Time(l.Int64())
	t.maker = l.Uint64()
	for _, v := range [...]*uint32{&t.runs, &t.failures, &t.noVerdicts, &t.losses, &t.maxRetries, &t.blockStreak, &t.plans, &t.paid} {
		*v = l.Uint32()
	}
	for _, v := range [...]*name{&t.assignee, &t.reviewer, &t.implementer, &t.tenant, &t.place, &t.folder} {
		*v = l.name()
	}
	for i := range t.last {
		t.last[i] = lane{l.Uint32(), l.name(), l.Bool()}
	}
	if n := l.Len(3); n > 0 {
		t.parents = make([]edge, n)
		for i := range t.parents {
			t.parents[i] = edge{events.TaskID(l.Uint32()), events.Needs(l.byte()), l.flags(1) != 0}
			l.must(t.parents[i].parent != 0 && int64(t.parents[i].parent) <= int64(l.tasks))
		}
	}
	if flags&8 != 0 {
		t.run = l.run(id)
	}
}

func (l *loader) run(id events.TaskID) *run {
	r := &run{id: events.RunID{Task: id, N: l.Uint32()}, fence: l.Uint64()}
	copy(r.token[:], l.Raw(len(r.token)))
	r.claimed, r.beat, r.expiresMS = events.Time(l.Int64()), events.Time(l.Int64()), l.Int64()
	r.agent, r.owner, r.folder = l.name(), l.name(), l.name()
	r.role, r.phase, r.started = events.Role(l.byte()), events.Status(l.byte()), l.flags(1) != 0
	r.verdict, r.outcome, r.then, r.final = events.Outcome(l.byte()), events.Outcome(l.byte()), events.Then(l.byte()), events.Verdict(l.byte())
	r.verdictSeq, r.stop = l.Uint64(), l.Uint64()
	l.s.running++
	if !r.personal() {
		l.s.tokens[r.token] = id
	}
	if r.folder != 0 {
		l.s.folders[r.folder] = id
	}
	return r
}

// children derives the edges downwards. Ids ascend, and so do the lists.
func (l *loader) children() {
	if l.Err() != nil {
		return
	}
	tasks := &l.s.tasks
	counts := make([]uint32, tasks.n)
	total := 0
	for _, t := range tasks.all() {
		for _, e := range t.parents {
			counts[e.parent-1]++
			total++
		}
	}
	room := make([]events.TaskID, total)
	for id, t := range tasks.all() {
		n := counts[id-1]
		t.children, room = room[:0:n], room[n:]
	}
	for id, t := range tasks.all() {
		for _, e := range t.parents {
			p := tasks.at(e.parent)
			p.children = append(p.children, id)
		}
	}
}
