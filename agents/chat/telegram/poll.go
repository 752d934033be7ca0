package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/notify"
)

const (
	pollFor    = 50 * time.Second       // Telegram holds a request for updates
	patience   = 250 * time.Millisecond // for updates that are being handled, before others are asked for
	maxBackoff = 30 * time.Second
	maxFight   = 6 // conflicts in a row before the bot is left to the other
	maxAnswer  = 64 << 20
)

// errNotOurs says that another process is to ask.
var errNotOurs = fmt.Errorf("telegram: %w", chat.ErrTwoPollers)

// poll asks for updates until ctx ends. The library confirms updates when it has
// them; we do when they were handled: what is asked for is always the oldest
// that was not.
func (d *Driver) poll(ctx context.Context, handle func(context.Context, *chat.Update)) error {
	q := newQueue(handle)
	var last int64 // newest that was received
	defer func() { q.wg.Wait(); d.confirm(ctx, q, last) }()
	wait, fights := 100*time.Millisecond, 0
	for ctx.Err() == nil {
		from, hold := q.oldest(), time.Duration(0)
		if from == 0 {
			from, hold = last+1, pollFor
		}
		updates, err := d.updates(ctx, from, 100, hold)
		if err != nil {
			if fights++; !errors.Is(err, chat.ErrTwoPollers) {
				fights = 0
			} else if !d.opts.Mine() { // that is whom we are fighting
				return errNotOurs
			}
			if ctx.Err() != nil || errors.Is(err, chat.ErrRevoked) || fights >= maxFight {
				return err
			}
			d.opts.Warn(err)
			sleep(ctx, max(wait, retryAfter(err)))
			wait = min(2*wait, maxBackoff)
			continue
		}
		wait, fights = 100*time.Millisecond, 0
		fresh := last + 1
		for i := range updates {
			if u := &updates[i]; u.ID > last {
				last = u.ID
				q.put(ctx, u.ID, d.convert(u), nil)
			}
		}
		if last < fresh {
			fresh = from // only those that are being handled: wait for one of them
		}
		q.settle(ctx, fresh, patience)
	}
	return nil
}

// confirm tells Telegram at the end what was handled.
func (d *Driver) confirm(ctx context.Context, q *queue, last int64) {
	from := q.oldest()
	if from == 0 {
		from = last + 1
	}
	if from <= 1 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := d.updates(ctx, from, 1, 0); err != nil && !errors.Is(err, errNotOurs) {
		d.opts.Warn(err)
	}
}

// updates asks for updates from one on.
func (d *Driver) updates(ctx context.Context, from int64, limit int, hold time.Duration) ([]models.Update, error) {
	if !d.opts.Mine() {
		return nil, errNotOurs
	}
	ask, err := json.Marshal(map[string]any{"offset": from, "limit": limit, "timeout": int(hold.Seconds()), "allowed_updates": allowed})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, hold+20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.opts.Server+"/bot"+d.opts.Token+"/getUpdates", bytes.NewReader(ask))
	if err != nil {
		return nil, d.plain(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("telegram: %w", d.plain(err))
	}
	defer res.Body.Close()
	var a struct {
		OK          bool            `json:"ok"`
		Code        int             `json:"error_code"`
		Description string          `json:"description"`
		Result      []models.Update `json:"result"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("telegram: updates: %d: %w", res.StatusCode, d.plain(err))
	case a.OK:
		d.revoked.Store(nil)
		return a.Result, nil
	case a.Code == http.StatusUnauthorized, a.Code == http.StatusNotFound:
		return nil, d.refused()
	case a.Code == http.StatusConflict:
		return nil, fmt.Errorf("telegram: %w", chat.ErrTwoPollers)
	case a.Code == http.StatusTooManyRequests:
		return nil, &notify.RetryAfterError{After: time.Duration(a.Parameters.RetryAfter) * time.Second, Err: errors.New("telegram: too many requests")}
	}
	return nil, d.plain(fmt.Errorf("telegram: updates: %d %s", a.Code, a.Description))
}
