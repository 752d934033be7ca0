package telegram

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/hermesboard/hermes/agents/chat"
)

// secretHeader is what Telegram proves itself with.
const secretHeader = "X-Telegram-Bot-Api-Secret-Token"

// maxUpdate bounds an update, in bytes.
const maxUpdate = 1 << 20

// listen receives updates as Telegram delivers them until ctx ends. An update is
// acknowledged when it was handled; Telegram delivers it again otherwise.
func (d *Driver) listen(ctx context.Context, handle func(context.Context, *chat.Update)) error {
	if d.opts.Webhook.Secret == "" {
		return errors.New("telegram: a webhook wants a secret")
	}
	l, err := net.Listen("tcp", d.opts.Webhook.Listen)
	if err != nil {
		return fmt.Errorf("telegram: webhook: %w", err)
	}
	q := newQueue(handle)
	s := &http.Server{Handler: d.receiver(ctx, q), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = nil
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if s.Shutdown(grace) != nil {
			s.Close()
		}
		<-ended
	}
	q.wg.Wait()
	return err
}

// receiver takes updates from Telegram and from nobody else: whoever does not
// have the secret learns nothing, not even what was wrong.
func (d *Driver) receiver(ctx context.Context, q *queue) http.Handler {
	want := sha256.Sum256([]byte(d.opts.Webhook.Secret))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get(secretHeader)))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		var u models.Update
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpdate))
		if err == nil {
			err = json.Unmarshal(b, &u)
		}
		if err != nil || u.ID == 0 { // it will not be better the next time
			d.opts.Warn(errors.New("telegram: webhook: an update that cannot be read"))
			return
		}
		done := make(chan struct{})
		q.put(ctx, u.ID, d.convert(&u), func() { close(done) })
		select {
		case <-done:
		case <-ctx.Done():
			w.WriteHeader(http.StatusServiceUnavailable)
		case <-r.Context().Done():
		}
	})
}
