package chattest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// refusal is an answer that is not ok.
type refusal struct {
	code        int
	description string
	retryAfter  int
}

func bad(format string, a ...any) *refusal {
	return &refusal{code: 400, description: "Bad Request: " + fmt.Sprintf(format, a...)}
}

// request is a call of a method with its parameters.
type request struct {
	values url.Values
	file   string
	data   []byte
}

func (s *Telegram) serve(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/bot")
	token, method, ok2 := strings.Cut(path, "/")
	s.mu.Lock()
	revoked, delay := s.revoked || token != s.Token, s.delay
	if s.cuts > 0 {
		s.cuts--
		s.mu.Unlock()
		cut(w)
		return
	}
	s.mu.Unlock()
	switch {
	case !ok || !ok2 || !strings.Contains(token, ":"):
		answer(w, nil, &refusal{code: 404, description: "Not Found"})
		return
	case revoked:
		answer(w, nil, &refusal{code: 401, description: "Unauthorized"})
		return
	}
	q, err := read(r, method)
	if err != nil { // it ended on its way
		cut(w)
		return
	}
	if delay > 0 {
		time.Sleep(delay)
	}
	if method == "getUpdates" || method == "getupdates" {
		s.getUpdates(w, r, q)
		return
	}
	result, no, dropped := s.call(method, q)
	if dropped {
		cut(w)
		return
	}
	answer(w, result, no)
}

func answer(w http.ResponseWriter, result any, no *refusal) {
	w.Header().Set("Content-Type", "application/json")
	if no == nil {
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "result": result})
		return
	}
	a := map[string]any{"ok": false, "error_code": no.code, "description": no.description}
	if no.retryAfter > 0 {
		a["parameters"] = map[string]any{"retry_after": no.retryAfter}
	}
	w.WriteHeader(no.code)
	_ = json.NewEncoder(w).Encode(a)
}

// read takes the parameters of a request: of the URL, a form or JSON.
func read(r *http.Request, method string) (*request, error) {
	q := &request{values: r.URL.Query()}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		var m map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil && err != io.EOF {
			return nil, err
		}
		for k, v := range m {
			var text string
			if json.Unmarshal(v, &text) != nil {
				text = string(v)
			}
			q.values.Set(k, text)
		}
	case "multipart/form-data":
		mr, err := r.MultipartReader()
		if err != nil {
			return nil, err
		}
		for {
			part, err := mr.NextPart()
			if err == io.EOF {
				break
			} else if err != nil {
				if method == "getMe" { // has no parameters, and some clients send no form then
					return q, nil
				}
				return nil, err
			}
			b, err := io.ReadAll(part)
			if err != nil {
				return nil, err
			}
			if part.FileName() != "" {
				q.file, q.data = part.FileName(), b
			} else {
				q.values.Set(part.FormName(), string(b))
			}
		}
	default:
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		q.values = r.Form
	}
	return q, nil
}

func (q *request) int(name string) int64 {
	n, _ := strconv.ParseInt(q.values.Get(name), 10, 64)
	return n
}

func (q *request) json(name string, v any) error {
	text := q.values.Get(name)
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), v)
}

// getUpdates confirms what stands before the offset and waits for more. A
// second poller ends the first.
func (s *Telegram) getUpdates(w http.ResponseWriter, r *http.Request, q *request) {
	s.mu.Lock()
	s.polls++
	if s.webhook.url != "" {
		s.conflicts++
		s.mu.Unlock()
		answer(w, nil, &refusal{code: 409, description: "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"})
		return
	}
	if s.poller != nil {
		s.conflicts++
		close(s.poller)
	}
	me := make(chan struct{})
	s.poller = me
	if q.values.Has("allowed_updates") {
		s.allowed = nil
		_ = q.json("allowed_updates", &s.allowed)
	}
	offset := q.int("offset")
	limit := int(q.int("limit"))
	if limit <= 0 || limit > 100 {
		limit = 100
	}
	if offset > 0 {
		s.updates = slices.DeleteFunc(s.updates, func(u update) bool { return u.id < offset })
		s.change()
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		if s.poller == me {
			s.poller = nil
		}
		s.mu.Unlock()
	}()
	late := time.After(time.Duration(q.int("timeout")) * time.Second)
	for {
		s.mu.Lock()
		changed, revoked := s.changed, s.revoked
		var found []json.RawMessage
		for _, u := range s.updates {
			if len(found) < limit && s.delivers(u.kind) {
				found = append(found, u.raw)
			}
		}
		s.mu.Unlock()
		if revoked {
			answer(w, nil, &refusal{code: 401, description: "Unauthorized"})
			return
		}
		if len(found) > 0 {
			answer(w, found, nil)
			return
		}
		select {
		case <-changed:
		case <-late:
			answer(w, []json.RawMessage{}, nil)
			return
		case <-me:
			answer(w, nil, &refusal{code: 409, description: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"})
			return
		case <-r.Context().Done():
			return
		}
	}
}

// delivers reports whether updates of a kind are delivered.
func (s *Telegram) delivers(kind string) bool {
	if len(s.allowed) == 0 {
		return kind != "chat_member" && kind != "message_reaction" && kind != "message_reaction_count"
	}
	return slices.Contains(s.allowed, kind)
}

// call carries out a method. dropped says that its answer is lost.
func (s *Telegram) call(method string, q *request) (result any, no *refusal, dropped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.change()
	sends := strings.HasPrefix(method, "send") || strings.HasPrefix(method, "edit")
	if sends && s.refusals > 0 {
		s.refusals--
		return nil, &refusal{429, fmt.Sprintf("Too Many Requests: retry after %d", s.wait), s.wait}, false
	}
	switch method {
	case "getMe":
		result = Bot
	case "setWebhook":
		result, no = s.setWebhook(q)
	case "deleteWebhook":
		s.stopWebhook()
		result = true
	case "getWebhookInfo":
		result = map[string]any{"url": s.webhook.url, "has_custom_certificate": false, "pending_update_count": len(s.updates)}
	case "sendMessage":
		result, no = s.send(q, "text", 4096)
	case "sendDocument":
		result, no = s.send(q, "caption", 1024)
	case "editMessageText":
		result, no = s.edit(q)
	case "answerCallbackQuery":
		if id := q.values.Get("callback_query_id"); !s.taps[id] {
			no = bad("query is too old and response timeout expired or query ID is invalid")
		} else if length(q.values.Get("text")) > 200 {
			no = bad("MESSAGE_TOO_LONG")
		} else {
			delete(s.taps, id)
			s.toasts = append(s.toasts, q.values.Get("text"))
			result = true
		}
	case "setMyCommands":
		result, no = s.setCommands(q)
	default:
		no = &refusal{code: 404, description: "Not Found: method not found"}
	}
	if no != nil {
		s.wrong = append(s.wrong, method+": "+no.description)
		return nil, no, false
	}
	if sends && s.drops > 0 {
		s.drops--
		return nil, nil, true
	}
	return result, nil, false
}

var commandName = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

func (s *Telegram) setCommands(q *request) (any, *refusal) {
	var list []struct{ Command, Description string }
	if err := q.json("commands", &list); err != nil {
		return nil, bad("can't parse commands: %v", err)
	}
	s.menu = nil
	for _, c := range list {
		if !commandName.MatchString(c.Command) || c.Description == "" || len(c.Description) > 256 {
			return nil, bad("BOT_COMMAND_INVALID")
		}
		s.menu = append(s.menu, c.Command)
	}
	return true, nil
}

func length(text string) int { return len(utf16.Encode([]rune(text))) }

// fill reads what a message says into p.
func (s *Telegram) fill(q *request, field string, most int, p *Posted) *refusal {
	entities := "entities"
	if field == "caption" {
		entities = "caption_entities"
	}
	p.Text = q.values.Get(field)
	if q.values.Get("parse_mode") != "" {
		return bad("this server wants entities")
	}
	switch {
	case strings.TrimSpace(p.Text) == "" && field == "text":
		return bad("message text is empty")
	case length(p.Text) > most && field == "text":
		return bad("message is too long")
	case length(p.Text) > most:
		return bad("message caption is too long")
	}
	p.Entities = nil
	if err := q.json(entities, &p.Entities); err != nil {
		return bad("can't parse entities: %v", err)
	}
	for _, e := range p.Entities {
		if e.Offset < 0 || e.Length <= 0 || e.Offset+e.Length > length(p.Text) || !slices.Contains([]string{"bold", "italic", "code", "pre"}, e.Type) {
			return bad("entity beginning at UTF-16 offset %d ends after the end of the text at UTF-16 offset %d", e.Offset, e.Offset+e.Length)
		}
	}
	var markup struct {
		Rows  [][]Key `json:"inline_keyboard"`
		Force bool    `json:"force_reply"`
	}
	if err := q.json("reply_markup", &markup); err != nil {
		return bad("can't parse reply keyboard markup JSON object")
	}
	for _, row := range markup.Rows {
		for _, k := range row {
			if k.Text == "" || k.Data == "" || len(k.Data) > 64 {
				return bad("BUTTON_DATA_INVALID")
			}
		}
	}
	p.Buttons, p.Force = markup.Rows, markup.Force
	return nil
}

func (s *Telegram) send(q *request, field string, most int) (any, *refusal) {
	p := Posted{ID: s.nextMsg, Chat: q.int("chat_id"), Thread: int(q.int("message_thread_id")), At: time.Now(), File: q.file, Data: q.data}
	switch {
	case !s.chats[p.Chat]:
		return nil, bad("chat not found")
	case p.Thread != 0 && !s.topics[[2]int64{p.Chat, int64(p.Thread)}]:
		return nil, bad("message thread not found")
	case field == "caption" && p.File == "":
		return nil, bad("there is no document in the request")
	case field == "caption" && len(p.Data) == 0:
		return nil, bad("file must be non-empty")
	case len(p.Data) > 50<<20:
		return nil, &refusal{code: 413, description: "Request Entity Too Large"}
	}
	if no := s.fill(q, field, most, &p); no != nil {
		return nil, no
	}
	var reply struct {
		ID      int  `json:"message_id"`
		Without bool `json:"allow_sending_without_reply"`
	}
	if err := q.json("reply_parameters", &reply); err != nil {
		return nil, bad("can't parse reply parameters")
	}
	if reply.ID >= s.nextMsg && !reply.Without {
		return nil, bad("message to be replied not found")
	}
	p.ReplyTo = reply.ID
	s.nextMsg++
	s.messages = append(s.messages, p)
	return s.wire(&p), nil
}

func (s *Telegram) wire(p *Posted) map[string]any {
	return map[string]any{"message_id": p.ID, "from": Bot, "chat": Chat{ID: p.Chat, Type: "private"}, "date": p.At.Unix(), "text": p.Text}
}

func (s *Telegram) edit(q *request) (any, *refusal) {
	i := slices.IndexFunc(s.messages, func(p Posted) bool { return int64(p.ID) == q.int("message_id") && p.Chat == q.int("chat_id") })
	if i < 0 {
		return nil, bad("message to edit not found")
	}
	p := s.messages[i]
	if no := s.fill(q, "text", 4096, &p); no != nil {
		return nil, no
	}
	if old := s.messages[i]; old.Text == p.Text && reflect.DeepEqual(old.Buttons, p.Buttons) && reflect.DeepEqual(old.Entities, p.Entities) {
		return nil, bad("message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
	}
	p.Edits++
	s.messages[i] = p
	return s.wire(&p), nil
}

var secretForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// setWebhook has updates delivered instead of fetched.
func (s *Telegram) setWebhook(q *request) (any, *refusal) {
	to, secret := q.values.Get("url"), q.values.Get("secret_token")
	if secret != "" && !secretForm.MatchString(secret) {
		return nil, bad("secret token contains illegal characters")
	}
	if q.values.Has("allowed_updates") {
		s.allowed = nil
		_ = q.json("allowed_updates", &s.allowed)
	}
	s.stopWebhook()
	if to == "" {
		return true, nil
	}
	s.webhook = hook{to, secret, make(chan struct{})}
	go s.deliver(s.webhook)
	return true, nil
}

func (s *Telegram) stopWebhook() {
	if s.webhook.stop != nil {
		close(s.webhook.stop)
	}
	s.webhook = hook{}
}

// deliver calls a webhook with one update after the other. One that is not
// answered with 200 is delivered again.
func (s *Telegram) deliver(h hook) {
	for {
		s.mu.Lock()
		changed := s.changed
		var next update
		for _, u := range s.updates {
			if next.id == 0 && s.delivers(u.kind) {
				next = u
			}
		}
		s.mu.Unlock()
		if next.id == 0 {
			select {
			case <-changed:
				continue
			case <-h.stop:
				return
			}
		}
		req, err := http.NewRequest(http.MethodPost, h.url, bytes.NewReader(next.raw))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Telegram-Bot-Api-Secret-Token", h.secret)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
		}
		if err == nil && res.StatusCode == http.StatusOK {
			s.mu.Lock()
			i := slices.IndexFunc(s.updates, func(u update) bool { return u.id == next.id })
			if i >= 0 {
				s.updates = slices.Delete(s.updates, i, i+1)
			}
			s.change()
			s.mu.Unlock()
			continue
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-h.stop:
			return
		}
	}
}
