package telegram

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-telegram/bot"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/notify"
)

// plain returns an error that does not name the token, whatever it wraps.
func (d *Driver) plain(err error) error {
	if err == nil || !strings.Contains(err.Error(), d.opts.Token) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), d.opts.Token, "***"))
}

// failed gives an error of a request its meaning. out says that the request had
// gone out whole.
func (d *Driver) failed(err error, out bool) error {
	var many *bot.TooManyRequestsError
	var moved *bot.MigrateError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &many):
		return &notify.RetryAfterError{After: time.Duration(many.RetryAfter) * time.Second, Err: errors.New("telegram: too many requests")}
	case errors.As(err, &moved):
		return &notify.PermanentError{Err: fmt.Errorf("telegram: the group became the supergroup %d", moved.MigrateToChatID)}
	case errors.Is(err, bot.ErrorUnauthorized), errors.Is(err, bot.ErrorNotFound): // a token of the wrong form is not found
		return d.refused()
	case errors.Is(err, bot.ErrorConflict):
		return fmt.Errorf("telegram: %w", chat.ErrTwoPollers)
	case errors.Is(err, bot.ErrorForbidden), errors.Is(err, bot.ErrorBadRequest):
		return &notify.PermanentError{Err: fmt.Errorf("telegram: %w", d.plain(err))}
	case out && !strings.Contains(err.Error(), "error response from telegram"):
		return &notify.LostError{Err: fmt.Errorf("telegram: %w", d.plain(err))}
	}
	return fmt.Errorf("telegram: %w", d.plain(err))
}

// refused notes that Telegram does not take the token.
func (d *Driver) refused() error {
	now := time.Now()
	d.revoked.CompareAndSwap(nil, &now)
	return fmt.Errorf("telegram: %w", chat.ErrRevoked)
}

// retryAfter is how long Telegram wants to be left alone; 0 = it did not say.
func retryAfter(err error) time.Duration {
	var later *notify.RetryAfterError
	if errors.As(err, &later) {
		return later.After
	}
	return 0
}
