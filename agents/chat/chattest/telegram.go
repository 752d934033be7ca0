package chattest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Telegram is a local Bot API server with one bot. It is closed with the test.
// Methods are safe for concurrent use.
type Telegram struct {
	Token string
	URL   string

	server *httptest.Server

	mu        sync.Mutex
	changed   chan struct{} // closed with each change
	updates   []update      // not confirmed, by id
	nextID    int64
	nextMsg   int
	allowed   []string // kinds that are delivered; nil = all but a few
	poller    chan struct{}
	polls     int
	webhook   hook
	chats     map[int64]bool
	topics    map[[2]int64]bool
	messages  []Posted
	taps      map[string]bool
	toasts    []string
	menu      []string
	revoked   bool
	drops     int // requests that send: carried out, and then the connection is cut
	refusals  int // requests that are answered 429
	wait      int // with this retry_after
	cuts      int // connections that are cut before anything is done
	conflicts int
	wrong     []string // what a bot may not do
	delay     time.Duration
}

type update struct {
	id   int64
	kind string
	raw  json.RawMessage
}

type hook struct {
	url, secret string
	stop        chan struct{}
}

// Posted is a message of the bot, as it stands now.
type Posted struct {
	ID       int
	Chat     int64
	Thread   int
	Text     string // or the caption
	Entities []Entity
	Buttons  [][]Key
	ReplyTo  int
	Force    bool
	File     string // name
	Data     []byte
	Edits    int
	At       time.Time
}

// Entity is a styled part of a text, counted in UTF-16.
type Entity struct {
	Type   string `json:"type"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
}

// Key is an inline button.
type Key struct {
	Text string `json:"text"`
	Data string `json:"callback_data"`
}

// User is a person; Bot is the server's own bot.
type User struct {
	ID    int64  `json:"id"`
	Bot   bool   `json:"is_bot"`
	First string `json:"first_name"`
	Name  string `json:"username,omitempty"`
}

// Bot is the bot.
var Bot = User{ID: 4242, Bot: true, First: "Hermes", Name: "hermes_test_bot"}

// Chat is a private chat, a group or a channel.
type Chat struct {
	ID    int64  `json:"id"`
	Type  string `json:"type"`
	Title string `json:"title,omitempty"`
	Forum bool   `json:"is_forum,omitempty"`
}

// Private is the chat of a person with the bot.
func Private(u User) Chat { return Chat{ID: u.ID, Type: "private"} }

// NewTelegram starts a server.
func NewTelegram(tb testing.TB) *Telegram {
	s := &Telegram{Token: fmt.Sprintf("%d:TEST-0123456789abcdefghijklmnopqrstu", Bot.ID), changed: make(chan struct{}), nextID: 100, nextMsg: 1,
		chats: map[int64]bool{}, topics: map[[2]int64]bool{}, taps: map[string]bool{}}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.server.Config.ErrorLog = nil
	s.server.Start()
	s.URL = s.server.URL
	tb.Cleanup(func() {
		s.mu.Lock()
		if s.webhook.stop != nil {
			close(s.webhook.stop)
			s.webhook.stop = nil
		}
		if s.poller != nil {
			close(s.poller)
			s.poller = nil
		}
		s.mu.Unlock()
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

// change says that something changed. The lock is held.
func (s *Telegram) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Await waits until ok, which may call the server's methods, or the test fails.
func (s *Telegram) Await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	late := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond): // what is waited for may lie outside
		case <-late:
			tb.Fatalf("waited in vain for %s; the bot has sent:\n%s", what, s.Transcript())
		}
	}
}

// Push delivers an update of any kind; it returns its id.
func (s *Telegram) Push(kind string, what map[string]any) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.push(kind, what)
}

func (s *Telegram) push(kind string, what map[string]any) int64 {
	s.nextID++
	s.offer(s.nextID, kind, what)
	return s.nextID
}

// Again delivers an update under an id that was used before.
func (s *Telegram) Again(id int64, kind string, what map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offer(id, kind, what)
}

func (s *Telegram) offer(id int64, kind string, what map[string]any) {
	raw, err := json.Marshal(map[string]any{"update_id": id, kind: what})
	if err != nil {
		panic(err)
	}
	s.updates = append(s.updates, update{id, kind, raw})
	slices.SortStableFunc(s.updates, func(a, b update) int { return int(a.id - b.id) })
	s.change()
}

// Message makes a message of a person, with its id.
func (s *Telegram) Message(from User, c Chat, text string, more map[string]any) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[c.ID] = true
	m := map[string]any{"message_id": s.nextMsg, "from": from, "chat": c, "date": time.Now().Unix(), "text": text}
	s.nextMsg++
	for k, v := range more {
		m[k] = v
	}
	return m
}

// Say has a person write a message.
func (s *Telegram) Say(from User, c Chat, text string) int64 {
	return s.Push("message", s.Message(from, c, text, nil))
}

// Reply has a person reply to a message of the bot.
func (s *Telegram) Reply(from User, c Chat, to Posted, text string) int64 {
	return s.Push("message", s.Message(from, c, text, map[string]any{"reply_to_message": s.posted(to, c)}))
}

func (s *Telegram) posted(p Posted, c Chat) map[string]any {
	return map[string]any{"message_id": p.ID, "from": Bot, "chat": c, "date": p.At.Unix(), "text": p.Text}
}

// Tap has a person tap a button of a message of the bot.
func (s *Telegram) Tap(from User, c Chat, on Posted, data string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("tap%d", s.nextID+1)
	s.taps[id] = true
	return s.push("callback_query", map[string]any{"id": id, "from": from, "message": s.posted(on, c), "chat_instance": "1", "data": data})
}

// Topic makes a topic of a forum.
func (s *Telegram) Topic(c Chat, thread int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[c.ID], s.topics[[2]int64{c.ID, int64(thread)}] = true, true
}

// Drop has the next n messages taken and the answers lost.
func (s *Telegram) Drop(n int) { s.mu.Lock(); s.drops = n; s.mu.Unlock() }

// Cut has the next n connections cut before anything is done.
func (s *Telegram) Cut(n int) { s.mu.Lock(); s.cuts = n; s.mu.Unlock() }

// TooMany has the next n messages refused with retry_after, in seconds.
func (s *Telegram) TooMany(n, after int) { s.mu.Lock(); s.refusals, s.wait = n, after; s.mu.Unlock() }

// Revoke makes the token invalid.
func (s *Telegram) Revoke() { s.mu.Lock(); s.revoked = true; s.change(); s.mu.Unlock() }

// Renew gives the bot another token, which is taken from now on.
func (s *Telegram) Renew(token string) {
	s.mu.Lock()
	s.Token, s.revoked = token, false
	s.change()
	s.mu.Unlock()
}

// Delay has every answer take so long.
func (s *Telegram) Delay(d time.Duration) { s.mu.Lock(); s.delay = d; s.mu.Unlock() }

// Sent returns the bot's messages, as they stand now.
func (s *Telegram) Sent() []Posted {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Toasts returns the answers to taps.
func (s *Telegram) Toasts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.toasts)
}

// Menu returns the commands that are offered.
func (s *Telegram) Menu() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.menu)
}

// Waiting returns how many updates are not confirmed.
func (s *Telegram) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.updates)
}

// Polls returns how many requests for updates there were, and how many conflicts.
func (s *Telegram) Polls() (n, conflicts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polls, s.conflicts
}

// Wrong returns what the bot did that a real server would refuse.
func (s *Telegram) Wrong() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.wrong)
}

// Transcript is what the bot has sent, to be read.
func (s *Telegram) Transcript() string {
	var b strings.Builder
	for _, p := range s.Sent() {
		fmt.Fprintf(&b, "--- %d to %d (%d edits) %v %s\n%s\n", p.ID, p.Chat, p.Edits, p.Buttons, p.File, p.Text)
	}
	fmt.Fprintf(&b, "--- toasts %q\n--- refused %q\n", s.Toasts(), s.Wrong())
	return b.String()
}

// cut ends a connection without an answer.
func cut(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

// Count returns how many messages the bot has sent.
func (s *Telegram) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages)
}
