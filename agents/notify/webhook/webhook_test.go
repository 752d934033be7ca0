package webhook_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/agents/notify/webhook"
	"github.com/hermesboard/hermes/agents/profile"
	"github.com/hermesboard/hermes/events"
)

var to = events.Destination{Platform: "webhook", Chat: "ci"}

func secret() string {
	b := make([]byte, 24)
	rand.Read(b)
	return "whsec_" + base64.StdEncoding.EncodeToString(b)
}

func sink(t *testing.T, url, secret string) *webhook.Sink {
	t.Helper()
	s, err := webhook.New([]webhook.Target{{Name: "ci", URL: url, Secret: profile.NewSecret(secret)}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSignature has a delivery checked by the reference implementation.
func TestSignature(t *testing.T) {
	key := secret()
	ref, err := standardwebhooks.NewWebhook(key)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"specversion":"1.0","type":"board.hermes.task.completed"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || string(got) != body || r.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || r.Method != http.MethodPost {
			t.Errorf("got %s %q, %v, %v", r.Method, got, r.Header, err)
		}
		if err := ref.Verify(got, r.Header); err != nil {
			t.Errorf("the reference implementation refuses it: %v", err)
		}
		if err := ref.Verify(append(got, ' '), r.Header); err == nil {
			t.Error("a changed body was taken")
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	name, err := sink(t, server.URL, key).Send(t.Context(), to, &notify.Notice{Token: "01ABC", Event: []byte(body)})
	if err != nil || name != "01ABC" {
		t.Errorf("got %q, %v", name, err)
	}
}

func TestAnswers(t *testing.T) {
	status, header, elsewhere := 200, "", 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == 0 { // the answer is lost
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		if header != "" {
			w.Header().Set("Retry-After", header)
		}
		if status/100 == 3 {
			w.Header().Set("Location", other.URL)
		}
		w.WriteHeader(status)
		w.Write([]byte(strings.Repeat("x", 1<<20)))
	}))
	defer server.Close()
	s := sink(t, server.URL, secret())
	send := func() error {
		_, err := s.Send(t.Context(), to, &notify.Notice{Token: "1", Event: []byte("{}")})
		return err
	}
	var permanent *notify.PermanentError
	var later *notify.RetryAfterError
	var lost *notify.LostError
	for _, test := range []struct {
		status int
		header string
		check  func(error) bool
	}{
		{200, "", func(err error) bool { return err == nil }},
		{204, "", func(err error) bool { return err == nil }},
		{302, "", func(err error) bool { return err != nil && !errors.As(err, &permanent) }},
		{400, "", func(err error) bool { return err != nil && !errors.As(err, &permanent) && !errors.As(err, &lost) }},
		{410, "", func(err error) bool { return errors.As(err, &permanent) }},
		{429, "7", func(err error) bool { return errors.As(err, &later) && later.After == 7*time.Second }},
		{503, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), func(err error) bool { return errors.As(err, &later) && later.After > 50*time.Minute }},
		{503, "soon", func(err error) bool { return errors.As(err, &later) && later.After == 0 }},
		{0, "", func(err error) bool { return errors.As(err, &lost) }},
	} {
		status, header = test.status, test.header
		if err := send(); !test.check(err) {
			t.Errorf("%d %q: got %v", test.status, test.header, err)
		}
	}
	if elsewhere != 0 {
		t.Errorf("a redirect was followed %d times", elsewhere)
	}
	server.Close()
	err := send()
	var network net.Error
	if !errors.As(err, &network) || errors.As(err, &lost) {
		t.Errorf("got %v from a port where nobody listens", err)
	}
	if _, err := s.Send(t.Context(), events.Destination{Platform: "webhook", Chat: "nobody"}, &notify.Notice{Event: []byte("{}")}); !errors.As(err, &permanent) {
		t.Errorf("got %v for an unknown name", err)
	}
}

// TestNothingLeaks: neither the secret nor the URL, whose path may be one, shows.
func TestNothingLeaks(t *testing.T) {
	key := secret()
	s := sink(t, "http://127.0.0.1:1/canary-path", key)
	_, err := s.Send(t.Context(), to, &notify.Notice{Token: "1", Event: []byte("{}")})
	_, err2 := webhook.New([]webhook.Target{{Name: "ci", URL: "http://user:canary-path@example.com/", Secret: profile.NewSecret(key)}})
	_, err3 := webhook.New([]webhook.Target{{Name: "ci", URL: "https://example.com/canary-path", Secret: profile.NewSecret("whsec_canary-path!")}})
	for _, err := range []error{err, err2, err3} {
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary-path") || strings.Contains(err.Error(), key) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://example.com/hook": true, "http://127.0.0.1:8080/": true, "http://[::1]/": true, "http://localhost/x": true,
		"http://example.com/": false, "ftp://127.0.0.1/": false, "https:///x": false, "https://u@example.com/": false,
		"https://example.com/#f": false, "127.0.0.1": false, "http://127.0.0.1.example.com/": false, "": false,
	} {
		if err := webhook.CheckURL(url); (err == nil) != ok {
			t.Errorf("%q: got %v", url, err)
		}
	}
}
