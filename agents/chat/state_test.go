package chat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestPairs(t *testing.T) {
	dir := t.TempDir()
	p := OpenPairs(dir, "telegram")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	code, err := p.Code("9", "Mia\u202e", now)
	if err != nil || len(code) != 8 || strings.Trim(code, alphabet) != "" {
		t.Fatalf("got %q, %v", code, err)
	}
	if _, err := p.Code("9", "Mia", now); !errors.Is(err, ErrTooManyCodes) {
		t.Errorf("a second code: got %v", err)
	}
	for _, id := range []string{"10", "11"} {
		if _, err := p.Code(id, "", now); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Code("12", "", now); !errors.Is(err, ErrTooManyCodes) {
		t.Errorf("a fourth: got %v", err)
	}
	path := filepath.Join(dir, PairingFile)
	info, err := os.Stat(path)
	b, _ := os.ReadFile(path)
	if err != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(b), code) {
		t.Errorf("got mode %v, %v; the code is in the file: %v", info.Mode(), err, strings.Contains(string(b), code))
	}
	if _, err := p.Confirm(code, Member, "Kai", now.Add(codeLife)); !errors.Is(err, ErrWrongCode) {
		t.Errorf("after an hour: got %v", err)
	}
	who, err := p.Confirm(" "+strings.ToLower(code), Viewer, "Kai", now.Add(time.Minute))
	if err != nil || who != (Person{ID: "9", Name: "Mia", Role: Viewer}) {
		t.Errorf("got %+v, %v", who, err)
	}
	if _, err := p.Confirm(code, Member, "Kai", now); !errors.Is(err, ErrWrongCode) {
		t.Errorf("a code that was used: got %v", err)
	}
	for range maxWrong {
		p.Confirm("AAAAAAAA", Member, "Kai", now)
	}
	if _, err := p.Confirm("AAAAAAAA", Member, "Kai", now); !errors.Is(err, ErrLocked) {
		t.Errorf("after %d wrong codes: got %v", maxWrong, err)
	}
	if people, err := OpenPairs(dir, "telegram").People(); err != nil || len(people) != 1 || people[0] != who {
		t.Errorf("got %+v, %v", people, err)
	}
	if people, _ := OpenPairs(dir, "other").People(); len(people) != 0 {
		t.Errorf("on another platform: got %+v", people)
	}
}

func TestRate(t *testing.T) {
	r := rate{perMinute: 3, buckets: map[string]*bucket{}}
	now := time.Now()
	var got []string
	for range 5 {
		ok, say := r.take("a", now)
		got = append(got, fmt.Sprint(ok, say))
	}
	if want := "true false|true false|true false|false true|false false"; strings.Join(got, "|") != want {
		t.Errorf("got %q", got)
	}
	if ok, _ := r.take("b", now); !ok {
		t.Error("another chat was held up")
	}
	if ok, _ := r.take("a", now.Add(20*time.Second)); !ok {
		t.Error("after a third of a minute one more may be asked")
	}
	if ok, _ := r.take("a", now.Add(-time.Hour)); ok {
		t.Error("a clock set back gave more")
	}
	for i := range 3 * maxBuckets {
		r.take(fmt.Sprint(i), now)
	}
	if len(r.buckets) > maxBuckets {
		t.Errorf("got %d chats remembered", len(r.buckets))
	}
}

func TestSeen(t *testing.T) {
	var s seen
	for i := range 3 * maxSeen {
		if id := fmt.Sprint(i); s.is(id) || !s.is(id) {
			t.Fatalf("update %s", id)
		}
	}
	if len(s.ids) > maxSeen+1 {
		t.Errorf("got %d remembered", len(s.ids))
	}
}

func TestShape(t *testing.T) {
	l := Limits{Text: 1000, Caption: 400, File: 1 << 20, Measure: utf8.RuneCountInString}
	text, file := shape("t1  ready\n", "acme 4", "create", false, l)
	if text.String() != "t1  ready\n\nacme 4" || file != nil {
		t.Errorf("got %q", text)
	}
	text, file = shape("\x1b[31ma\u202e  b\nc\n  hermes kanban unblock t1\n", "", "list", true, l)
	if text[0].Style != Pre || text.String() != "a  b\nc\n  /kanban unblock t1" || file != nil {
		t.Errorf("got %+v", text)
	}
	text, file = shape(strings.Repeat("é line\n", 500), "acme 4", "list", true, l)
	if file == nil || file.Name != "list.txt" || text.String() != "é line\n500 lines\n\nacme 4" {
		t.Errorf("got %q, %+v", text, file)
	}
	if got := Words("héllo").Cut(4, l).String(); got != "hél…" {
		t.Errorf("got %q", got)
	}
	if text, _ = shape("", "", "x", false, l); text.String() != "Done." {
		t.Errorf("got %q", text)
	}
}
