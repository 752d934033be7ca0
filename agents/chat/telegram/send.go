package telegram

import (
	"context"
	"errors"
	"io"
	"net/http/httptrace"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/notify"
	"github.com/hermesboard/hermes/events"
)

// Send implements chat.Platform.
func (d *Driver) Send(ctx context.Context, m *chat.Message) (string, error) {
	id, thread, err := address(m.To)
	if err != nil {
		return "", err
	}
	ctx, out, cancel := traced(ctx)
	defer cancel()
	text, entities := render(m.Text)
	var sent *models.Message
	if m.File != nil {
		r, err := m.File.Open()
		if err != nil {
			return "", err
		}
		defer r.Close()
		sent, err = d.bot.SendDocument(ctx, &bot.SendDocumentParams{ChatID: id, MessageThreadID: thread, Caption: text, CaptionEntities: entities,
			Document: &models.InputFileUpload{Filename: m.File.Name, Data: &upload{r}}, ReplyParameters: replyTo(m.ReplyTo), ReplyMarkup: markup(m)})
		if err != nil {
			return "", d.failed(err, out.Load())
		}
		return strconv.Itoa(sent.ID), nil
	}
	sent, err = d.bot.SendMessage(ctx, &bot.SendMessageParams{ChatID: id, MessageThreadID: thread, Text: text, Entities: entities,
		ReplyParameters: replyTo(m.ReplyTo), ReplyMarkup: markup(m), LinkPreviewOptions: &models.LinkPreviewOptions{IsDisabled: bot.True()}})
	if err != nil {
		return "", d.failed(err, out.Load())
	}
	return strconv.Itoa(sent.ID), nil
}

// upload is a file's content behind a pointer: the library asks whether it is
// nil, and panics in a goroutine of its own where that cannot be asked.
type upload struct{ io.Reader }

// Edit implements chat.Platform.
func (d *Driver) Edit(ctx context.Context, message string, m *chat.Message) error {
	id, _, err := address(m.To)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(message)
	if err != nil {
		return &notify.PermanentError{Err: err}
	}
	ctx, out, cancel := traced(ctx)
	defer cancel()
	text, entities := render(m.Text)
	_, err = d.bot.EditMessageText(ctx, &bot.EditMessageTextParams{ChatID: id, MessageID: number, Text: text, Entities: entities, ReplyMarkup: markup(m),
		LinkPreviewOptions: &models.LinkPreviewOptions{IsDisabled: bot.True()}})
	if err != nil && strings.Contains(err.Error(), "message is not modified") {
		return nil
	}
	return d.failed(err, out.Load())
}

// Toast implements chat.Platform. A tap that is too old to be answered is no error.
func (d *Driver) Toast(ctx context.Context, tap, text string) error {
	ctx, out, cancel := traced(ctx)
	defer cancel()
	_, err := d.bot.AnswerCallbackQuery(ctx, &bot.AnswerCallbackQueryParams{CallbackQueryID: tap, Text: text})
	if errors.Is(err, bot.ErrorBadRequest) {
		return nil
	}
	return d.failed(err, out.Load())
}

var commandName = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

// Menu implements chat.Platform. What Telegram cannot offer is left out; it may
// be typed all the same.
func (d *Driver) Menu(ctx context.Context, entries []chat.Entry) error {
	ctx, out, cancel := traced(ctx)
	defer cancel()
	var list []models.BotCommand
	for _, e := range entries {
		if commandName.MatchString(e.Command) {
			list = append(list, models.BotCommand{Command: e.Command, Description: e.About})
		}
	}
	_, err := d.bot.SetMyCommands(ctx, &bot.SetMyCommandsParams{Commands: list})
	return d.failed(err, out.Load())
}

// traced bounds a request and learns whether it went out whole.
func traced(ctx context.Context) (context.Context, *atomic.Bool, context.CancelFunc) {
	var out atomic.Bool
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { out.Store(info.Err == nil) },
	}), &out, cancel
}

// address reads a destination.
func address(to events.Destination) (id int64, thread int, err error) {
	id, err = strconv.ParseInt(to.Chat, 10, 64)
	if err == nil && to.Thread != "" {
		thread, err = strconv.Atoi(to.Thread)
	}
	if err != nil {
		return 0, 0, &notify.PermanentError{Err: err}
	}
	return id, thread, nil
}

// render turns a text into words and entities, which are counted in UTF-16.
// Telegram cuts blanks off both ends of a message, so they are cut here first.
func render(t chat.Text) (string, []models.MessageEntity) {
	var b strings.Builder
	var entities []models.MessageEntity
	at := 0
	for i, s := range t {
		w := s.Words
		if i == 0 {
			w = strings.TrimLeft(w, " \n\t")
		}
		if i == len(t)-1 {
			w = strings.TrimRight(w, " \n\t")
		}
		n := units(w)
		if kind := kinds[s.Style]; kind != "" && n > 0 {
			entities = append(entities, models.MessageEntity{Type: kind, Offset: at, Length: n})
		}
		b.WriteString(w)
		at += n
	}
	return b.String(), entities
}

var kinds = map[chat.Style]models.MessageEntityType{
	chat.Bold: models.MessageEntityTypeBold, chat.Code: models.MessageEntityTypeCode, chat.Pre: models.MessageEntityTypePre,
}

func replyTo(message string) *models.ReplyParameters {
	id, err := strconv.Atoi(message)
	if err != nil {
		return nil
	}
	return &models.ReplyParameters{MessageID: id, AllowSendingWithoutReply: true}
}

// keyboard is what is below a message, with no more than we use.
type keyboard struct {
	Rows [][]key `json:"inline_keyboard"`
}

type key struct {
	Text string `json:"text"`
	Data string `json:"callback_data"`
}

func markup(m *chat.Message) models.ReplyMarkup {
	if m.Ask {
		return &models.ForceReply{ForceReply: true, Selective: true}
	}
	if len(m.Buttons) == 0 {
		return nil
	}
	var k keyboard
	for _, row := range m.Buttons {
		var keys []key
		for _, b := range row {
			keys = append(keys, key{b.Label, b.Data})
		}
		k.Rows = append(k.Rows, keys)
	}
	return &k
}
