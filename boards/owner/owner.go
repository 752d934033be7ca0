package owner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/boards/api"
	"github.com/hermesboard/hermes/boards/registry"
	"github.com/hermesboard/hermes/events"
	"github.com/hermesboard/hermes/events/boltlog"
	"github.com/hermesboard/hermes/projections"
)

// Options says what an owner needs from outside. The zero value is usable.
// The functions must not block and must be safe for concurrent use.
type Options struct {
	Version string // of this program, for Info
	Socket  string // where the board is served, for Info
	// Explain says why a task does not go on; it is called under the view's
	// read lock. Nil = the status is all there is to say.
	Explain func(v *projections.View, task events.TaskID, now events.Time) projections.Why
	// Renewed is called when a run renewed its term through its door. May be nil.
	Renewed func(events.RunID)
	// Committed is called by the writer after each commit: how long the log took,
	// and how many commands it was for; 0 = for offsets only. May be nil.
	Committed func(took time.Duration, commands int)
	// Warn is told of trouble that nobody asked about. Nil = dropped.
	Warn func(error)
}

// Owner holds a board. Its methods are safe for concurrent use.
type Owner struct {
	store   store
	opts    Options
	started time.Time
	decide  func(*boards.State, boards.Command, boards.Env) ([]events.Draft, error)

	queue   *queue
	errands chan func(context.Context, *writer) error
	stop    context.CancelFunc // ends Run
	stopped context.Context    // ended by stop: no new commands
	gone    chan struct{}      // closed when the writer has ended, or Close finds none
	goneOne sync.Once

	seq    atomic.Uint64 // head.Seq, for those who do not need the lock
	frozen atomic.Bool
	wakes  wakes
	space  space
	offsets
	dispatcher atomic.Pointer[func() *api.DispatchInfo]

	shown

	life    sync.Mutex // guards what follows
	writer  *writer    // handed to Run
	running chan struct{}
	closed  bool
	failed  error // why the board is lost
	saved   uint64
}

var _ api.Board = (*Owner)(nil)

// New brings a held board up to its head and takes it over: Close lets go of
// it. After an error it is still the caller's. New leaves no goroutine behind;
// nothing is carried out before Run.
func New(h *registry.Held, opts Options) (*Owner, error) {
	return newOwner(held{h}, opts)
}

func newOwner(s store, opts Options) (*Owner, error) {
	stopped, stop := context.WithCancel(context.Background())
	f, err := load(stopped, s)
	if err != nil {
		stop()
		return nil, err
	}
	o := &Owner{
		store: s, opts: opts, started: time.Now(), decide: boards.Decide,
		queue: newQueue(), errands: make(chan func(context.Context, *writer) error),
		stop: stop, stopped: stopped, gone: make(chan struct{}),
		shown: shown{view: f.view, head: f.head}, saved: f.head.Seq - f.tail,
	}
	o.seq.Store(f.head.Seq)
	o.space.usage = s.Usage
	o.offsets.log = s.Log
	o.writer = &writer{
		o: o, rules: f.rules, head: f.head, stamp: newStamper(f.last),
		priorFrom: f.head.Seq,
	}
	o.limit()
	return o, nil
}

// limit gives the log the quota of the policy in force.
func (o *Owner) limit() {
	o.View(func(v *projections.View) {
		policy, _ := v.Policy()
		o.store.SetQuota(policy.MaxBytes)
	})
}

// Run carries out commands, signs the head and saves snapshots, until ctx ends
// or Close is called; what was accepted by then is carried out. It returns nil
// then, and otherwise why the board is lost. It may be called once, and
// returns when all it started has ended.
func (o *Owner) Run(ctx context.Context) error {
	done := make(chan struct{})
	defer close(done)
	w, err := o.begin(done)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, o.stop)()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.stopped, cancel)()

	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := o.keep(ctx); err != nil {
			o.fail(err)
			cancel()
		}
	})
	err = w.run(ctx)
	cancel()
	if err != nil && !errors.Is(err, errStopped) {
		o.fail(err)
	}
	o.leave()
	keeping.Wait()
	return o.failure()
}

func (o *Owner) begin(done chan struct{}) (*writer, error) {
	o.life.Lock()
	defer o.life.Unlock()
	if o.closed || o.running != nil {
		return nil, errors.New("an owner runs once")
	}
	o.running = done
	return o.writer, nil
}

// leave tells those who wait that no command will be carried out any more.
func (o *Owner) leave() {
	o.goneOne.Do(func() { close(o.gone) })
	for _, p := range o.queue.close() {
		p.reply(boards.Result{}, o.goneError())
	}
}

// fail notes why the board is lost.
func (o *Owner) fail(err error) {
	o.life.Lock()
	defer o.life.Unlock()
	if o.failed == nil {
		o.failed = err
	}
}

func (o *Owner) failure() error {
	o.life.Lock()
	defer o.life.Unlock()
	return o.failed
}

// Close ends Run, waits for it, signs the head, saves the snapshots and lets
// go of the board. Calls after the first do nothing.
func (o *Owner) Close() error {
	o.life.Lock()
	if o.closed {
		o.life.Unlock()
		return nil
	}
	o.closed = true
	running := o.running
	o.life.Unlock()

	o.stop()
	if running != nil {
		<-running
	}
	o.leave()
	o.wakes.ring() // followers find it gone
	var err error
	if o.failure() == nil && !o.Frozen() {
		err = o.sign()
		o.saveAtClose()
	}
	return errors.Join(err, o.store.Release())
}

// Open is New, with Run in a goroutine of its own that Close ends, whatever
// becomes of ctx.
func Open(ctx context.Context, h *registry.Held, opts Options) (*Owner, error) {
	o, err := New(h, opts)
	if err != nil {
		return nil, err
	}
	o.start(ctx)
	return o, nil
}

// start runs the owner until Close.
func (o *Owner) start(ctx context.Context) {
	ready := make(chan struct{})
	go func() {
		close(ready)
		if err := o.Run(context.WithoutCancel(ctx)); err != nil {
			o.warn(err)
		}
	}()
	<-ready
}

// Create makes a board with its first policy, and opens it.
func Create(ctx context.Context, home *registry.Home, slug, title string, policy events.Policy, by boards.Principal, opts Options, hold *registry.HoldOptions) (*Owner, error) {
	slug, err := registry.ParseSlug(slug)
	if err != nil {
		return nil, err
	}
	h, err := home.Create(ctx, slug, func(log *boltlog.Log, id events.BoardID, key string) error {
		return Genesis(ctx, log, boards.CreateBoard{Board: id, Slug: slug, Key: key, Title: title, Policy: policy}, by)
	}, hold)
	if err != nil {
		return nil, err
	}
	o, err := Open(ctx, h, opts)
	if err != nil {
		return nil, errors.Join(err, h.Release())
	}
	return o, nil
}

// Genesis appends the first records of a board to its empty log.
func Genesis(ctx context.Context, log events.Log, c boards.CreateBoard, by boards.Principal) error {
	head := log.Head().Seq
	s := newStamper(0)
	env := boards.Env{Now: s.now(), By: by}
	drafts, err := boards.Decide(boards.NewState(), c, env)
	if err != nil {
		return err
	}
	check, err := checkOf(by, c)
	if err != nil {
		return err
	}
	id := NewCommandID()
	_, encoded, err := s.stamp(drafts, by.Actor, id, head, env.Now)
	if err != nil {
		return fmt.Errorf("create board %s: %w", c.Slug, err)
	}
	_, err = log.Append(ctx, head, []events.Commit{{ID: id, Check: check, Records: encoded}})
	return err
}

func (o *Owner) warn(err error) {
	if o.opts.Warn != nil && err != nil {
		o.opts.Warn(err)
	}
}

// Frozen reports whether an append of unknown outcome is being resolved.
func (o *Owner) Frozen() bool { return o.frozen.Load() }

// View calls f with the view under a read lock: f must be quick, must not
// change it and must not keep it. It shows committed events only.
func (o *Owner) View(f func(*projections.View)) {
	o.rlock()
	defer o.mu.RUnlock()
	f(o.view)
}

// SetDispatcher says who tells Info about the dispatcher; nil = there is none.
func (o *Owner) SetDispatcher(f func() *api.DispatchInfo) { o.dispatcher.Store(&f) }
