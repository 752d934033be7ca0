package telegram

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/events"
)

// convert turns an update into the chat's words. Whatever is neither a new
// message of a person nor a tap is Other: edited messages, channels, members.
func (d *Driver) convert(u *models.Update) *chat.Update {
	c := &chat.Update{ID: strconv.FormatInt(u.ID, 10)}
	switch {
	case u.Message != nil:
		d.said(c, u.Message)
	case u.CallbackQuery != nil:
		tapped(c, u.CallbackQuery)
	}
	return c
}

func (d *Driver) said(c *chat.Update, m *models.Message) {
	if m.From == nil || m.Chat.Type == models.ChatTypeChannel {
		return
	}
	c.Kind, c.Time = chat.Said, time.Unix(int64(m.Date), 0)
	c.Chat, c.Private = place(m), m.Chat.Type == models.ChatTypePrivate
	c.From = person(m.From)
	c.Foreign = m.ForwardOrigin != nil || m.SenderChat != nil || m.ViaBot != nil || m.IsAutomaticForward || m.BusinessConnectionID != ""
	c.Message = strconv.Itoa(m.ID)
	if r := m.ReplyToMessage; r != nil && r.From != nil && r.From.ID == d.id {
		c.ReplyTo = strconv.Itoa(r.ID)
	}
	var ours bool
	if c.Text, ours = d.addressed(m.Text); !ours {
		c.Kind = chat.Other
	}
}

// addressed takes the bot's name out of a command; false if it names another.
func (d *Driver) addressed(text string) (string, bool) {
	if !strings.HasPrefix(text, "/") {
		return text, true
	}
	end := strings.IndexAny(text, " \n\t")
	if end < 0 {
		end = len(text)
	}
	name, bot, named := strings.Cut(text[:end], "@")
	if !named {
		return text, true
	}
	if me := d.name.Load(); me != nil && !strings.EqualFold(bot, *me) {
		return "", false
	}
	return name + text[end:], true
}

func tapped(c *chat.Update, q *models.CallbackQuery) {
	switch m := q.Message; {
	case m.Message != nil:
		c.Chat, c.Private = place(m.Message), m.Message.Chat.Type == models.ChatTypePrivate
		c.Message = strconv.Itoa(m.Message.ID)
	case m.InaccessibleMessage != nil && m.InaccessibleMessage.MessageID != 0:
		c.Chat = events.Destination{Platform: "telegram", Chat: strconv.FormatInt(m.InaccessibleMessage.Chat.ID, 10)}
		c.Private = m.InaccessibleMessage.Chat.Type == models.ChatTypePrivate
		c.Message = strconv.Itoa(m.InaccessibleMessage.MessageID)
	default:
		return
	}
	c.Kind, c.From, c.Tap, c.Data = chat.Tapped, person(&q.From), q.ID, q.Data
}

func place(m *models.Message) events.Destination {
	to := events.Destination{Platform: "telegram", Chat: strconv.FormatInt(m.Chat.ID, 10)}
	if m.IsTopicMessage && m.MessageThreadID != 0 {
		to.Thread = strconv.Itoa(m.MessageThreadID)
	}
	return to
}

func person(u *models.User) chat.Sender {
	if u.ID == 0 {
		return chat.Sender{}
	}
	return chat.Sender{ID: strconv.FormatInt(u.ID, 10), Name: strings.TrimSpace(u.FirstName + " " + u.LastName), Bot: u.IsBot}
}
