package projections

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/pack"
	"github.com/hermesboard/hermes/projections/projectionstest"
)

func fold(v *View, log []events.Record) *View {
	for i := range log {
		v.Apply(&log[i])
	}
	return v
}

// same compares everything two views answer, not how they got there.
func same(t *testing.T, got, want *View, what string) {
	t.Helper()
	if a, b := got.AppendSnapshot(nil), want.AppendSnapshot(nil); !bytes.Equal(a, b) {
		t.Fatalf("%s: rows differ", what)
	}
	if a, b := derived(got), derived(want); !reflect.DeepEqual(a, b) {
		t.Fatalf("%s: got %+v, want %+v", what, a, b)
	}
}

// derived lists what is kept up beside the rows.
func derived(v *View) map[string]any {
	list := func(x *index) []item {
		var items []item
		for _, chunk := range x.chunks {
			items = append(items, chunk...)
		}
		if len(items) != x.n {
			panic(fmt.Sprintf("index counts %d of %d", x.n, len(items)))
		}
		return items
	}
	m := map[string]any{
		"starts": list(&v.starts), "retries": list(&v.retries), "waiting": list(&v.waiting),
		"asking": list(&v.asking), "open": list(&v.open), "agents": v.agents, "tenants": v.tenants, "folders": v.folders,
	}
	for s := range v.columns {
		m[fmt.Sprint("column ", s)] = list(&v.columns[s])
	}
	for lane, x := range v.queue {
		m[fmt.Sprint("lane ", lane)] = list(x)
	}
	for name, c := range v.people {
		if (*c != NameCount{Name: name}) {
			m["person "+name] = *c
		}
	}
	var finished []minuteCount
	for _, c := range v.finished {
		if c.n != 0 {
			finished = append(finished, c)
		}
	}
	m["finished"] = finished
	return m
}

func TestSnapshotAndRestIsWhole(t *testing.T) {
	for seed := range uint64(8) {
		log := projectionstest.Log(seed, 400)
		whole := fold(NewView(), log)
		step := NewView()
		for cut := range log {
			loaded, err := LoadSnapshot(step.AppendSnapshot(nil))
			if err != nil {
				t.Fatal(err)
			}
			same(t, loaded, step, fmt.Sprintf("seed %d, loaded at %d", seed, cut))
			if cut%7 == 0 {
				same(t, fold(loaded, log[cut:]), whole, fmt.Sprintf("seed %d, split at %d", seed, cut))
			}
			step.Apply(&log[cut])
		}
	}
}

func TestApplyTakesAnything(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		v := NewView()
		log := projectionstest.Log(seed, 60)
		for i := range 400 {
			r := projectionstest.Wild(rnd)
			if i%3 == 0 && len(log) > 0 {
				r, log = log[0], log[1:]
			}
			v.Apply(&r)
		}
		loaded, err := LoadSnapshot(v.AppendSnapshot(nil))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		same(t, loaded, v, fmt.Sprint("seed ", seed))
		ask(v)
	}
}

// ask puts every query to a view.
func ask(v *View) {
	now := projectionstest.Start
	for _, sort := range []string{"", "created", "created-desc", "priority", "priority-desc", "status", "assignee", "title", "updated"} {
		cards := v.List(ListQuery{Sort: sort, Archived: true, Holds: true}, func(events.TaskID) Hold { return Hold{} })
		FillCards(cards, ListQuery{Sort: sort, Limit: 3}, Texts{})
		for _, c := range cards {
			d, _ := v.Detail(c.ID)
			FillDetail(&d, nil, nil)
			v.Open(v.Task(c.ID))
		}
	}
	items := v.Inbox(now)
	FillInbox(items, Texts{})
	v.Stats(now)
	v.OpenRunRows()
	v.NextTimer(now)
	v.Due(now, 10)
}

func TestLoadRefusesDamage(t *testing.T) {
	whole := fold(NewView(), projectionstest.Log(3, 300)).AppendSnapshot(nil)
	for cut := range len(whole) {
		if _, err := LoadSnapshot(whole[:cut]); !errors.Is(err, pack.ErrMalformed) {
			t.Fatalf("cut to %d of %d: got %v, want ErrMalformed", cut, len(whole), err)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3000 { // a flipped bit is found, or gives another view, but never a panic
		b := slices.Clone(whole)
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		if v, err := LoadSnapshot(b); err == nil {
			ask(v)
		}
	}
}

func TestIndexIsASortedSet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	var x index
	var want []item
	for range 20_000 {
		it := item{uint64(rnd.IntN(300)), events.TaskID(rnd.IntN(20))}
		at, have := slices.BinarySearchFunc(want, it, func(a, b item) int {
			if a == b {
				return 0
			} else if a.less(b) {
				return -1
			}
			return 1
		})
		if have && rnd.IntN(3) > 0 {
			x.remove(it)
			want = slices.Delete(want, at, at+1)
		} else if !have {
			x.insert(it)
			want = slices.Insert(want, at, it)
		}
		x.remove(item{1000, 1})
	}
	if got := slices.Concat(x.chunks...); !slices.Equal(got, want) || x.len() != len(want) {
		t.Fatalf("got %d items, want %d in order", len(got), len(want))
	}
	for key := range uint64(310) {
		i := slices.IndexFunc(want, func(it item) bool { return it.key > key })
		got, ok := x.after(key)
		if ok != (i >= 0) || ok && got != want[i] {
			t.Fatalf("after %d: got %v %v, want place %d", key, got, ok, i)
		}
	}
}

func TestQueueOrder(t *testing.T) {
	for seed := range uint64(20) {
		v := fold(NewView(), projectionstest.Log(seed, 900))
		var want []*Task
		for id := events.TaskID(1); id <= v.last; id++ {
			if task := v.Task(id); task != nil && (task.Status == events.Ready || task.Status == events.Review && task.Reviewer != "") {
				want = append(want, task)
			}
		}
		slices.SortFunc(want, order("priority"))
		if v.policy.Order == events.ByAge {
			slices.SortFunc(want, func(a, b *Task) int { return int(a.ID) - int(b.ID) })
		}
		i := 0
		q := v.Queue(func(Lane) bool { return true })
		for task := q.Next(); task != nil; task = q.Next() {
			if i >= len(want) || task != want[i] {
				t.Fatalf("seed %d: place %d has %s", seed, i, task.ID)
			}
			i++
		}
		if i != len(want) || v.Queued() != i {
			t.Fatalf("seed %d: got %d tasks (%d queued), want %d", seed, i, v.Queued(), len(want))
		}
		shut := Lane{Agent: "agent-1"}
		q = v.Queue(func(Lane) bool { return true })
		for task := q.Next(); task != nil; {
			lane := Lane{task.Who(), task.Tenant}
			if lane == shut {
				task = q.Skip()
				shut.Tenant = "none shall follow"
				continue
			}
			if lane == (Lane{Agent: "agent-1"}) {
				t.Fatalf("seed %d: %s of a lane that was skipped", seed, task.ID)
			}
			task = q.Next()
		}
	}
}

func TestListOrders(t *testing.T) {
	v := fold(NewView(), projectionstest.Log(11, 1500))
	for _, sort := range []string{"", "created", "created-desc", "priority", "status", "assignee", "updated"} {
		all := v.List(ListQuery{Sort: sort}, nil)
		for i := 1; i < len(all); i++ {
			if a, b := v.Task(all[i-1].ID), v.Task(all[i].ID); order(sort)(a, b) >= 0 {
				t.Fatalf("sort %q: %s before %s", sort, a.ID, b.ID)
			}
		}
		if got := v.List(ListQuery{Sort: sort, Limit: 5}, nil); len(got) != 5 || got[4].ID != all[4].ID {
			t.Errorf("sort %q: limit cuts elsewhere", sort)
		}
	}
	tenant := "tenant-1"
	q := ListQuery{Statuses: []events.Status{events.Ready, events.Done}, Assignees: []string{"agent-2"}, Tenant: &tenant}
	got := v.List(q, nil)
	for _, c := range got {
		if c.Assignee != "agent-2" || c.Tenant != tenant || c.Status != events.Ready && c.Status != events.Done {
			t.Errorf("%s does not match", c.ID)
		}
	}
	if len(got) == 0 {
		t.Error("nothing matched")
	}
}

func TestStatsAgreeWithRows(t *testing.T) {
	g := projectionstest.New(9)
	v := NewView()
	for range 800 {
		fold(v, g.Next())
	}
	s := v.Stats(g.Now())
	by := map[events.Status]int{}
	done, oldest := 0, events.Time(0)
	for id := events.TaskID(1); id <= v.last; id++ {
		task := v.Task(id)
		by[task.Status]++
		if task.Ended/minute > (g.Now()-day)/minute {
			done++
		}
		if task.Status == events.Ready && (oldest == 0 || task.Since < oldest) {
			oldest = task.Since
		}
	}
	for _, c := range s.ByStatus {
		if c.Count != by[c.Status] {
			t.Errorf("%s: got %d, want %d", c.Status, c.Count, by[c.Status])
		}
	}
	if s.Tasks != int(v.last) || s.Done24h != done || s.OldestReady != oldest || s.NeedsYou != len(v.Inbox(g.Now())) {
		t.Errorf("got %+v, want %d tasks, %d done, oldest %v, %d in the inbox", s, v.last, done, oldest, len(v.Inbox(g.Now())))
	}
	if s.Runs == 0 || s.CostMicros == 0 || s.CostMicros < s.CostToday || len(s.ByAssignee) == 0 || len(s.ByOutcome) == 0 {
		t.Errorf("counts are missing: %+v", s)
	}
}

// TestSpent: what ended runs cost is booked for the board, the agent and the
// tenant, by the day and by the month, and begins anew with each.
func TestSpent(t *testing.T) {
	v := NewView()
	seq, task := uint64(0), events.TaskID(0)
	apply := func(at time.Time, id events.TaskID, n uint32, p events.Payload) {
		seq++
		r := events.Record{Seq: seq, Time: events.TimeOf(at), Task: id, Actor: events.Actor{Kind: events.System}, Tenant: "north", Data: p}
		if n > 0 {
			r.Run = events.RunID{Task: id, N: n}
		}
		v.Apply(&r)
	}
	apply(time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC), 0, 0, events.PolicyChanged{Policy: events.DefaultPolicy(4)})
	spend := func(at time.Time, agent, currency string, micros, tokens int64) {
		task++
		apply(at, task, 0, events.TaskCreated{Status: events.Ready, Assignee: agent})
		apply(at, task, 1, events.RunClaimed{Agent: agent, Phase: events.Ready})
		apply(at, task, 1, events.RunEnded{Outcome: events.OutcomeCrashed, To: events.Ready, Usage: events.Usage{Currency: currency, CostMicros: micros, TokensIn: tokens}})
	}
	day := func(month time.Month, d int) time.Time { return time.Date(2026, month, d, 23, 59, 0, 0, time.UTC) }
	spend(day(1, 30), "a", "USD", 100, 10)
	spend(day(1, 31), "a", "USD", 200, 20)
	spend(day(1, 31), "b", "EUR", 400, 40) // another currency: its tokens count
	for _, c := range []struct {
		period Period
		who    Spender
		at     time.Time
		want   Amount
	}{
		{Today, Spender{}, day(1, 31), Amount{200, 60}},
		{ThisMonth, Spender{}, day(1, 31), Amount{300, 70}},
		{Today, Spender{Agent: "a"}, day(1, 31), Amount{200, 20}},
		{ThisMonth, Spender{Agent: "b"}, day(1, 31), Amount{0, 40}},
		{ThisMonth, Spender{Tenant: "north"}, day(1, 31), Amount{300, 70}},
		{Today, Spender{}, day(2, 1), Amount{}},
		{ThisMonth, Spender{}, day(2, 1), Amount{}},
	} {
		if got := v.Spent(c.period, c.who, events.TimeOf(c.at)); got != c.want {
			t.Errorf("period %d, %+v at %v: got %+v, want %+v", c.period, c.who, c.at, got, c.want)
		}
	}
	if got, want := ThisMonth.End(events.TimeOf(day(12, 31))), events.TimeOf(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
