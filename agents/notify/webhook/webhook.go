package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/events"
)

// Headers of a delivery, as in Standard Webhooks 1.0.
const (
	HeaderID        = "Webhook-Id"
	HeaderTime      = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	sendWithin = 30 * time.Second // a delivery, answer included
	maxAnswer  = 4 << 10          // bytes of an answer that are looked at
)

// Target is where events go.
type Target struct {
	Name   string // webhook:NAME on the command line
	URL    string // https, or http to a loopback address
	Secret profile.Secret
}

// Sink delivers to targets by name. It is a [notify.Sender], to be used with
// Each. Safe for concurrent use.
type Sink struct {
	targets map[string]target
	client  *http.Client
}

type target struct {
	url string
	key []byte
}

var _ notify.Sender = (*Sink)(nil)

// New checks the targets. Redirects are not followed, and no proxy is asked:
// what goes out is for that URL alone.
func New(targets []Target) (*Sink, error) {
	s := &Sink{targets: make(map[string]target), client: &http.Client{
		Timeout:       sendWithin,
		Transport:     &http.Transport{MaxIdleConns: 16, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, t := range targets {
		if err := CheckURL(t.URL); err != nil {
			return nil, fmt.Errorf("webhook %s: %w", t.Name, err)
		}
		key, err := Key(t.Secret)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", t.Name, err)
		}
		if _, twice := s.targets[t.Name]; twice || t.Name == "" {
			return nil, fmt.Errorf("webhook %q: each has a name of its own", t.Name)
		}
		s.targets[t.Name] = target{t.URL, key}
	}
	return s, nil
}

// CheckURL says what is wrong with a URL to deliver to.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("its URL cannot be read") // it may hold a password
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return errors.New("its URL wants a host, and neither user nor fragment")
	case u.Scheme == "https", u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()):
		return nil
	}
	return errors.New("its URL wants https, or http to a loopback address")
}

// minKey is the shortest secret that is taken, in bytes.
const minKey = 16

// Key returns the bytes of a secret: behind whsec_ they are base64, otherwise
// they are as they stand.
func Key(s profile.Secret) ([]byte, error) {
	key := []byte(s.Reveal())
	if coded, ok := strings.CutPrefix(s.Reveal(), "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(coded); err != nil {
			return nil, errors.New("its secret begins with whsec_ and is not base64")
		}
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("its secret is shorter than %d bytes", minKey)
	}
	return key, nil
}

// Sign returns the signature header of a delivery.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Send implements [notify.Sender]. What it returns as the message's name is the
// delivery's id.
func (s *Sink) Send(ctx context.Context, to events.Destination, n *notify.Notice) (string, error) {
	t, ok := s.targets[to.Chat]
	if !ok || n.Event == nil {
		return "", &notify.PermanentError{Err: fmt.Errorf("there is no webhook %s for this", to.Chat)}
	}
	var wrote atomic.Bool // the request has gone out in full
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) { wrote.Store(i.Err == nil) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(n.Event))
	if err != nil {
		return "", &notify.PermanentError{Err: err}
	}
	now := time.Now()
	r.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	r.Header.Set("User-Agent", "hermes")
	r.Header.Set(HeaderID, n.Token)
	r.Header.Set(HeaderTime, strconv.FormatInt(now.Unix(), 10))
	r.Header.Set(HeaderSignature, Sign(t.key, n.Token, now, n.Event))
	answer, err := s.client.Do(r)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // its text holds the URL, which may be a secret
		}
		if wrote.Load() {
			err = &notify.LostError{Err: err}
		}
		return "", err
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, maxAnswer) // so that the connection may be used again
	return n.Token, judge(answer, now)
}

// judge says what an answer means.
func judge(a *http.Response, now time.Time) error {
	err := fmt.Errorf("it answered %d", a.StatusCode)
	switch {
	case a.StatusCode >= 200 && a.StatusCode < 300:
		return nil
	case a.StatusCode == http.StatusGone:
		return &notify.PermanentError{Err: err}
	case a.StatusCode == http.StatusTooManyRequests, a.StatusCode == http.StatusServiceUnavailable:
		return &notify.RetryAfterError{After: retryAfter(a.Header.Get("Retry-After"), now), Err: err}
	}
	return err
}

// retryAfter reads seconds or a date; 0 = it does not say.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
