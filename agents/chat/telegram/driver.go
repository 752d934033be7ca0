package telegram

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-telegram/bot"

	"github.com/hermesboard/hermes/agents/chat"
)

// Server is where bots are served, unless said otherwise.
const Server = "https://api.telegram.org"

// maxWait is how long a request other than for updates may take.
const maxWait = 5 * time.Minute // files of 50 MB on a slow line

// Options say which bot it is.
type Options struct {
	Token   string
	Server  string // empty = [Server]
	Webhook *Webhook
	Mine    func() bool // asked before each request for updates: whether they are for this process; nil = always
	Warn    func(error) // is told of trouble that goes on by itself; nil = dropped
}

// Webhook has Telegram call us instead of being asked.
type Webhook struct {
	URL    string // as Telegram reaches it
	Listen string // our address
	Secret string // what Telegram proves itself with: 1 to 256 of A-Z a-z 0-9 _ -
}

// Driver is one bot. It is a chat.Platform.
type Driver struct {
	opts   Options
	id     int64
	bot    *bot.Bot
	client *http.Client
	name   atomic.Pointer[string] // the bot's, without @; nil = not known yet

	revoked atomic.Pointer[time.Time] // since when the token is refused; nil = it is not
}

var _ chat.Platform = (*Driver)(nil)

// New returns the driver of a bot. It talks to nobody yet.
func New(o Options) (*Driver, error) {
	if o.Server == "" {
		o.Server = Server
	}
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	if o.Mine == nil {
		o.Mine = func() bool { return true }
	}
	id, _, ok := strings.Cut(o.Token, ":")
	n, err := strconv.ParseInt(id, 10, 64)
	if !ok || err != nil || strings.ContainsAny(o.Token, "/?#% \n") {
		return nil, errors.New("that is no token of a Telegram bot (want 123456:ABC…, from @BotFather)")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	transport.ForceAttemptHTTP2 = false
	d := &Driver{opts: o, id: n, client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	d.bot, err = bot.New(o.Token, bot.WithSkipGetMe(), bot.WithServerURL(o.Server), bot.WithHTTPClient(time.Minute, d.client),
		bot.WithErrorsHandler(func(err error) { o.Warn(d.plain(err)) }))
	if err != nil {
		return nil, d.plain(err)
	}
	return d, nil
}

// Name implements chat.Platform.
func (d *Driver) Name() string { return "telegram" }

// Revoked returns since when Telegram has refused the bot's token. Zero = it
// took it the last time, or was not asked yet.
func (d *Driver) Revoked() time.Time {
	if t := d.revoked.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// Limits implements chat.Platform.
func (d *Driver) Limits() chat.Limits {
	return chat.Limits{Text: 4096, Caption: 1024, File: 50 << 20, Data: 64, Measure: units}
}

// units is the length of a text as Telegram counts: in UTF-16.
func units(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xffff {
			n++
		}
	}
	return n
}

// Run implements chat.Platform.
func (d *Driver) Run(ctx context.Context, handle func(context.Context, *chat.Update)) error {
	if err := d.hello(ctx); err != nil {
		return ended(ctx, err)
	}
	if d.opts.Webhook != nil {
		return ended(ctx, d.listen(ctx, handle))
	}
	return ended(ctx, d.poll(ctx, handle))
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// hello learns the bot's name and says how updates are received. It goes on
// trying while the network is at fault.
func (d *Driver) hello(ctx context.Context) error {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, maxBackoff) {
		err := d.greet(ctx)
		if err == nil || errors.Is(err, chat.ErrRevoked) || ctx.Err() != nil {
			return err
		}
		d.opts.Warn(fmt.Errorf("telegram: %w", err))
		if !sleep(ctx, max(wait, retryAfter(err))) {
			return ctx.Err()
		}
	}
}

func (d *Driver) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	me, err := d.bot.GetMe(ctx)
	if err != nil {
		return d.failed(err, false)
	}
	d.name.Store(&me.Username)
	d.revoked.Store(nil)
	if w := d.opts.Webhook; w != nil {
		_, err = d.bot.SetWebhook(ctx, &bot.SetWebhookParams{URL: w.URL, SecretToken: w.Secret, AllowedUpdates: allowed})
	} else {
		_, err = d.bot.DeleteWebhook(ctx, &bot.DeleteWebhookParams{})
	}
	return d.failed(err, false)
}

// allowed are the updates that mean anything to us.
var allowed = []string{"message", "callback_query"}

func sleep(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
