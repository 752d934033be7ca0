package telegram_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hermesboard/hermes/agents/chat"
	"github.com/hermesboard/hermes/agents/chat/chattest"
	"github.com/hermesboard/hermes/agents/chat/telegram"
	"github.com/hermesboard/hermes/events"
)

func TestConformance(t *testing.T) {
	chattest.TestPlatform(t, func(t *testing.T) *chattest.Fixture {
		s := chattest.NewTelegram(t)
		home := chattest.Private(kai)
		s.Message(kai, home, "the chat is there", nil)
		find := func(id string) (m chattest.Posted) {
			for _, m = range s.Sent() {
				if strconv.Itoa(m.ID) == id {
					return m
				}
			}
			t.Fatalf("there is no message %s", id)
			return m
		}
		return &chattest.Fixture{
			Open: func() chat.Platform {
				d, err := telegram.New(telegram.Options{Token: s.Token, Server: s.URL, Warn: func(err error) {
					if strings.Contains(err.Error(), s.Token) {
						t.Errorf("the token stands in %q", err)
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				return d
			},
			Credential: s.Token, Chat: events.Destination{Platform: "telegram", Chat: fmt.Sprint(kai.ID)}, Person: fmt.Sprint(kai.ID),
			Say:   func(text string) { s.Say(kai, home, text) },
			Reply: func(message, text string) { s.Reply(kai, home, find(message), text) },
			Tap:   func(message, data string) { s.Tap(kai, home, find(message), data) },
			Texts: func() (texts []string) {
				for _, m := range s.Sent() {
					texts = append(texts, m.Text)
				}
				return texts
			},
			Toasts: s.Toasts, Drop: func() { s.Drop(1) }, Revoke: s.Revoke,
			TooMany: func(after time.Duration) { s.TooMany(1, int(after.Seconds())) },
			Await:   func(what string, ok func() bool) { s.Await(t, what, ok) },
		}
	})
}

// grammy is a bot of another maker that says every text back, with a button,
// and answers the tap by an edit.
const grammy = `
const { Bot } = require("grammy");
const bot = new Bot(process.env.TOKEN, { client: { apiRoot: process.env.ROOT } });
bot.on("message:text", (c) => c.reply("you said " + c.message.text, {
  entities: [{ type: "bold", offset: 0, length: 8 }],
  reply_markup: { inline_keyboard: [[{ text: "OK", callback_data: "ok" }]] } }));
bot.on("callback_query:data", async (c) => { await c.answerCallbackQuery({ text: "thanks" }); await c.editMessageText("tapped " + c.callbackQuery.data); });
bot.catch((e) => { console.error(String(e.error)); process.exit(1); });
bot.api.setMyCommands([{ command: "start", description: "begin" }]).then(() => bot.start());
`

// TestServerWithAnotherClient: the local server behaves as a client of another
// maker expects.
func TestServerWithAnotherClient(t *testing.T) {
	if os.Getenv("HERMES_TEST_NPM") != "1" {
		t.Skip("HERMES_TEST_NPM is not 1")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := inDir(exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "grammy@1"), dir).CombinedOutput(); err != nil {
		t.Fatalf("npm: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "bot.js"), []byte(grammy), 0o600); err != nil {
		t.Fatal(err)
	}
	s := chattest.NewTelegram(t)
	bot := inDir(exec.CommandContext(ctx, "node", "bot.js"), dir)
	bot.Env = append(os.Environ(), "TOKEN="+s.Token, "ROOT="+s.URL)
	var said strings.Builder
	bot.Stdout, bot.Stderr = &said, &said
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = bot.Wait() // killed
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	home := chattest.Private(kai)
	for i := range 50 {
		s.Say(kai, home, fmt.Sprintf("%d é😀", i))
	}
	s.Await(t, "all answers", func() bool { return len(s.Sent()) == 50 })
	m := s.Sent()[49]
	if m.Text != "you said 49 é😀" || len(m.Buttons) != 1 {
		t.Errorf("got %+v", m)
	}
	s.Tap(kai, home, m, "ok")
	s.Await(t, "the edit", func() bool { return s.Sent()[49].Text == "tapped ok" })
	s.Await(t, "all updates to be confirmed", func() bool { return s.Waiting() == 0 })
	if wrong := s.Wrong(); len(wrong) > 0 {
		t.Errorf("refused %q", wrong)
	}
}

func inDir(c *exec.Cmd, dir string) *exec.Cmd { c.Dir = dir; return c }
