package owner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/events/logtest"
	"github.com/hermesboard/hermes/projections"
)

// testStore is a board in a folder of its own, whose log can be made to fail.
type testStore struct {
	t    testing.TB
	dir  string
	id   events.BoardID
	opts boltlog.Options
	wrap func(events.Log) events.Log // around the log as it is opened next; nil = none

	mu       sync.Mutex // guards what follows
	bolt     *boltlog.Log
	log      events.Log
	anchored events.Head
	reopens  int
	refuse   func() error // of Reopen
	snaps    map[string]testSnapshot
	missing  error // of HasArtifact
	moved    error
	ballast  bool
	usage    boltlog.Usage
}

type testSnapshot struct {
	version int
	body    []byte
}

func newTestStore(t testing.TB, opts boltlog.Options) *testStore {
	t.Helper()
	s := &testStore{t: t, dir: t.TempDir(), id: NewCommandID(), opts: opts, snaps: map[string]testSnapshot{}}
	opts.LongLived = true
	s.opts = opts
	log, err := boltlog.Create(s.path(), boltlog.Meta{Board: s.id, Slug: "acme", Created: now()}, &s.opts)
	if err != nil {
		t.Fatal(err)
	}
	err = Genesis(t.Context(), log, boards.CreateBoard{Board: s.id, Slug: "acme", Title: "Acme", Policy: events.DefaultPolicy(4)}, kai)
	if err != nil {
		t.Fatal(err)
	}
	s.bolt = log
	s.log = log
	return s
}

func (s *testStore) path() string { return filepath.Join(s.dir, "board.db") }

// withFaults makes the open log fail.
func (s *testStore) withFaults(faults ...logtest.Fault) *testStore {
	s.log = logtest.Faulty(s.bolt, faults...)
	return s
}

func (s *testStore) open() error {
	log, err := boltlog.Open(s.path(), &s.opts)
	if err != nil {
		return err
	}
	s.bolt, s.log = log, log
	if s.wrap != nil {
		s.log = s.wrap(log)
	}
	return nil
}

func (s *testStore) Board() events.BoardID { return s.id }
func (s *testStore) Slug() string          { return "acme" }

func (s *testStore) Log() events.Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log
}

func (s *testStore) Reopen(ctx context.Context, _ bool) (events.Log, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reopens++
	if s.refuse != nil {
		if err := s.refuse(); err != nil {
			return nil, err
		}
	}
	if err := s.log.Close(); err != nil && !errors.Is(err, events.ErrClosed) {
		return nil, err
	}
	return s.log, s.open()
}

func (s *testStore) Anchor(h events.Head) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anchored = h
	return nil
}

func (s *testStore) Anchored() events.Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.anchored
}

func (s *testStore) Moved() error { return s.moved }

func (s *testStore) HasArtifact(events.Artifact) error { return s.missing }

func (s *testStore) LoadSnapshot(name string, version int) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, ok := s.snaps[name]
	return snap.body, ok && snap.version == version
}

func (s *testStore) SaveSnapshot(name string, version int, _ events.Head, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snaps[name] = testSnapshot{version, body}
	return nil
}

func (s *testStore) SetQuota(int64) {}

func (s *testStore) Usage() (boltlog.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.usage != (boltlog.Usage{}) {
		return s.usage, nil
	}
	return boltlog.Usage{FileBytes: 1 << 20, DiskFree: 90, DiskTotal: 100}, nil
}

func (s *testStore) MakeBallast() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ballast = true
	return nil
}

func (s *testStore) DropBallast() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.ballast
	s.ballast = false
	return had, nil
}

func (s *testStore) Release() error { return s.Log().Close() }

// again opens the same board once more.
func (s *testStore) again() *testStore {
	s.t.Helper()
	if err := s.open(); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// run starts an owner and ends it with the test.
func run(t testing.TB, s *testStore, opts Options) *Owner {
	t.Helper()
	if opts.Warn == nil {
		opts.Warn = func(err error) { t.Log("warn:", err) }
	}
	o, err := newOwner(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	o.start(context.Background())
	t.Cleanup(func() { closeOwner(t, o) })
	return o
}

func closeOwner(t testing.TB, o *Owner) {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

var (
	kai        = boards.Principal{Actor: events.Actor{Kind: events.Human, Name: "kai"}}
	dispatcher = boards.Principal{Actor: events.Actor{Kind: events.Dispatcher, Name: "dispatcher"}}
)

func create(title string) boards.CreateTasks {
	return boards.CreateTasks{Tasks: []boards.NewTask{{Title: title, Assignee: "writer"}}}
}

func do(t testing.TB, o *Owner, by boards.Principal, c boards.Command) boards.Result {
	t.Helper()
	r, err := o.Do(t.Context(), by, NewCommandID(), c)
	if err != nil {
		t.Fatalf("%s: %v", c.CommandName(), err)
	}
	return r
}

func codeOf(err error) string {
	var rejection *boards.Rejection
	var coded *api.Error
	switch {
	case errors.As(err, &rejection):
		return string(rejection.Code)
	case errors.As(err, &coded):
		return coded.Code
	}
	return fmt.Sprintf("%v", err)
}

// checkFold closes the owner and compares what it held with a fold of its log.
func checkFold(t testing.TB, s *testStore, o *Owner) []events.Record {
	t.Helper()
	closeOwner(t, o)
	s.again()
	var records []events.Record
	rules, view := boards.NewState(), projections.NewView()
	err := fold(t.Context(), s.log, 1, s.log.Head().Seq, func(r *events.Record) {
		records = append(records, *r)
		rules.Evolve(r)
		view.Apply(r)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.writer.rules.AppendSnapshot(nil), rules.AppendSnapshot(nil); string(got) != string(want) {
		t.Errorf("the rule state is not what the log says (at %d, log at %d)", o.writer.rules.Head(), rules.Head())
	}
	if got, want := o.view.AppendSnapshot(nil), view.AppendSnapshot(nil); string(got) != string(want) {
		t.Errorf("the view is not what the log says (at %d, log at %d)", o.view.Head(), view.Head())
	}
	if err := s.log.Close(); err != nil {
		t.Error(err)
	}
	return records
}

// perCommand counts the records of each command.
func perCommand(records []events.Record) map[events.CommandID]int {
	n := map[events.CommandID]int{}
	for _, r := range records {
		n[r.Cmd]++
	}
	return n
}

func TestCommandsAndQueries(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{Version: "1.0", Socket: "sock"})
	ctx := t.Context()
	res := do(t, o, kai, create("Tides of the bay"))
	if len(res.Tasks) != 1 || res.Tasks[0] != 1 || res.First != 3 {
		t.Fatalf("got %+v, want t1 at 3", res)
	}
	do(t, o, kai, boards.CommentTask{Task: 1, Body: "look at the moon"})
	token := events.DigestOf([]byte("secret"))
	claim := do(t, o, dispatcher, boards.ClaimTask{Task: 1, Agent: "writer", Role: events.RoleWorker, Token: token})
	cards, err := o.List(ctx, projections.ListQuery{})
	if err != nil || len(cards) != 1 || cards[0].Title != "Tides of the bay" || cards[0].Status != events.Running {
		t.Errorf("got %+v, %v, want the running card", cards, err)
	}
	d, err := o.Show(ctx, 1)
	if err != nil || len(d.Comments) != 1 || d.Comments[0].Body != "look at the moon" || len(d.Runs) != 1 {
		t.Errorf("got %+v, %v, want one comment and one run", d, err)
	}
	if _, err := o.Show(ctx, 9); codeOf(err) != "not_found" {
		t.Errorf("got %v, want not_found", err)
	}
	if w, err := o.Why(ctx, 1); err != nil || w.Status != events.Running {
		t.Errorf("got %+v, %v, want running", w, err)
	}
	if st, err := o.Stats(ctx); err != nil || st.Tasks != 1 || st.OpenRuns != 1 {
		t.Errorf("got %+v, %v, want one task, one run", st, err)
	}
	if _, err := o.Inbox(ctx); err != nil {
		t.Error(err)
	}
	if p, seq, err := o.Policy(ctx); err != nil || seq != 2 || p.HostSlots != 4 {
		t.Errorf("got %+v, %d, %v, want the policy at 2", p, seq, err)
	}
	info, err := o.Info(ctx)
	if err != nil || info.Title != "Acme" || info.Owner.PID != os.Getpid() || info.OpenRuns != 1 || info.Head.Seq != claim.Last {
		t.Errorf("got %+v, %v", info, err)
	}
	a, err := o.Assignment(claim.Run)
	if err != nil || a.Fence != claim.Fence || a.Agent != "writer" || a.Board != s.id || a.Policy.TermMS == 0 {
		t.Errorf("got %+v, %v, want the assignment", a, err)
	}
	entries, err := o.ReadTask(ctx, 1, 1, 0)
	if err != nil || len(entries) != 3 {
		t.Errorf("got %d entries, %v, want 3", len(entries), err)
	}
	checkFold(t, s, o)
}

func TestRunDoor(t *testing.T) {
	renewed := make(chan events.RunID, 1)
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{Renewed: func(r events.RunID) { renewed <- r }})
	ctx := t.Context()
	do(t, o, kai, boards.CreateTasks{Tasks: []boards.NewTask{{Title: "a", Assignee: "writer", Tenant: "x"}, {Title: "b", Tenant: "y"}, {Title: "c", Tenant: "x"}}})
	claim := do(t, o, dispatcher, boards.ClaimTask{Task: 1, Agent: "writer", Role: events.RoleWorker, Token: events.DigestOf([]byte("secret"))})
	if _, err := o.Door("guess"); codeOf(err) != api.CodeForbidden {
		t.Errorf("got %v, want forbidden", err)
	}
	if _, err := o.Door(""); codeOf(err) != api.CodeForbidden {
		t.Errorf("got %v, want forbidden", err)
	}
	d, err := o.Door("secret")
	if err != nil {
		t.Fatal(err)
	}
	st, err := d.Renew(ctx)
	if err != nil || !st.Open || st.Verdict || st.Stopping || <-renewed != claim.Run {
		t.Errorf("got %+v, %v, want an open run", st, err)
	}
	cards, err := d.List(ctx, projections.ListQuery{})
	if err != nil || len(cards) != 2 {
		t.Errorf("got %d cards, %v, want the 2 of the tenant", len(cards), err)
	}
	if _, err := d.Show(ctx, 2); codeOf(err) != "not_found" {
		t.Errorf("another tenant's task: got %v, want not_found", err)
	}
	if _, err := d.Show(ctx, 3); err != nil {
		t.Errorf("got %v, want the tenant's task", err)
	}
	for _, c := range []boards.Command{boards.SetPolicy{}, boards.ClaimTask{Task: 3}, boards.StopRun{Task: 1}, boards.ArchiveTask{Task: 1}} {
		if _, err := d.Do(ctx, NewCommandID(), c); codeOf(err) != api.CodeForbidden {
			t.Errorf("%s: got %v, want forbidden", c.CommandName(), err)
		}
	}
	if _, err := d.Do(ctx, NewCommandID(), boards.CompleteTask{Task: 1, Summary: "done"}); err != nil {
		t.Fatal(err)
	}
	if st, err := d.Renew(ctx); err != nil || !st.Open || !st.Verdict {
		t.Errorf("got %+v, %v, want a verdict", st, err)
	}
	end, id := boards.EndRun{Run: claim.Run, Outcome: events.OutcomeCompleted}, NewCommandID()
	if _, err := d.Do(ctx, id, end); err != nil {
		t.Fatal(err)
	}
	if d, err = o.Door("secret"); err != nil {
		t.Fatalf("the door of an ended run: %v", err)
	}
	if res, err := d.Do(ctx, id, end); err != nil || !res.Repeat {
		t.Errorf("the end again: got %+v, %v, want a repeat", res, err)
	}
	if st, err := d.Renew(ctx); err != nil || st.Open {
		t.Errorf("got %+v, %v, want an ended run", st, err)
	}
	checkFold(t, s, o)
}

func TestSameCommandAtOnceHasOneEffect(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	id := NewCommandID()
	var wait sync.WaitGroup
	var mu sync.Mutex
	repeats, firsts := 0, map[uint64]int{}
	for range 100 {
		wait.Go(func() {
			r, err := o.Do(t.Context(), kai, id, create("one"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			firsts[r.First]++
			if r.Repeat {
				repeats++
			}
		})
	}
	wait.Wait()
	if repeats != 99 || len(firsts) != 1 || firsts[3] != 100 {
		t.Errorf("got %d repeats at %v, want 99 at 3", repeats, firsts)
	}
	via := kai
	via.Actor.Via = "telegram uid=1 pid=2"
	if r, err := o.Do(t.Context(), via, id, create("one")); err != nil || !r.Repeat {
		t.Errorf("by another way: got %+v, %v, want a repeat", r, err)
	}
	other := kai
	other.Actor.Name = "ann"
	if _, err := o.Do(t.Context(), other, id, create("one")); codeOf(err) != "idempotency_mismatch" {
		t.Errorf("another actor: got %v, want idempotency_mismatch", err)
	}
	if _, err := o.Do(t.Context(), kai, id, create("two")); codeOf(err) != "idempotency_mismatch" {
		t.Errorf("another content: got %v, want idempotency_mismatch", err)
	}
	if n := perCommand(checkFold(t, s, o)); n[id] != 1 {
		t.Errorf("got %d records, want 1", n[id])
	}
}

func TestMismatchWithinABatch(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o, err := newOwner(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	id := NewCommandID()
	answers := make(chan string, 2)
	for _, title := range []string{"one", "two"} {
		go func() {
			_, err := o.Do(t.Context(), kai, id, create(title))
			answers <- codeOf(err)
		}()
	}
	for o.queue.len() < 2 { // both wait before the writer starts
		runtime.Gosched()
	}
	o.start(t.Context())
	got := map[string]int{<-answers: 1}
	got[<-answers]++
	if got["<nil>"] != 1 || got["idempotency_mismatch"] != 1 {
		t.Errorf("got %v, want one of each", got)
	}
	checkFold(t, s, o)
}

func TestCommandsWithoutEventsAreNotRemembered(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	id := NewCommandID()
	if _, err := o.Do(t.Context(), kai, id, boards.CommentTask{Task: 1, Body: "x"}); codeOf(err) != "not_found" {
		t.Fatalf("got %v, want not_found", err)
	}
	do(t, o, kai, create("one"))
	if r, err := o.Do(t.Context(), kai, id, boards.CommentTask{Task: 1, Body: "x"}); err != nil || r.Repeat {
		t.Errorf("got %+v, %v, want it carried out", r, err)
	}
}

func TestMissingArtifact(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o := run(t, s, Options{})
	do(t, o, kai, create("one"))
	s.missing = errors.New("no such file")
	c := boards.AttachFile{Task: 1, Name: "a.txt", Artifact: events.Artifact{SHA256: events.DigestOf(nil), Size: 3}}
	if _, err := o.Do(t.Context(), kai, NewCommandID(), c); codeOf(err) != "artifact_missing" {
		t.Errorf("got %v, want artifact_missing", err)
	}
	s.missing = nil
	do(t, o, kai, c)
}

func TestPanickingRuleRefusesItsCommandAlone(t *testing.T) {
	s := newTestStore(t, boltlog.Options{})
	o, err := newOwner(s, Options{Warn: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	o.decide = func(st *boards.State, c boards.Command, e boards.Env) ([]events.Draft, error) {
		if c, ok := c.(boards.RenameBoard); ok && c.Title == "boom" {
			panic("boom")
		}
		return boards.Decide(st, c, e)
	}
	o.start(t.Context())
	var wait sync.WaitGroup
	for i := range 40 {
		wait.Go(func() {
			if i%10 == 0 {
				if _, err := o.Do(t.Context(), kai, NewCommandID(), boards.RenameBoard{Title: "boom"}); codeOf(err) != "internal" {
					t.Errorf("got %v, want internal", err)
				}
				return
			}
			if _, err := o.Do(t.Context(), kai, NewCommandID(), create(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	checkFold(t, s, o)
	if got := o.writer.rules.Tasks(); got != 36 {
		t.Errorf("got %d tasks, want 36", got)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	st := newStamper(now().Add(time.Hour))
	want := st.last
	if got := st.now(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
