package chat

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/hermesboard/hermes/events"
)

// Platform is a driver. Its methods are safe for concurrent use.
//
// Send, Edit and Toast return nil only if the platform took what was handed
// over. Their errors match those of package notify: PermanentError where it will
// never be taken, RetryAfterError where the platform wants to be left alone,
// LostError where the request went out whole and no answer came, so that it may
// have been taken. Any other error may be tried again.
//
// No error, log line or message of a driver contains its credential.
type Platform interface {
	// Name is what destinations and principals call it: "telegram".
	Name() string
	// Limits says what a message may be. It does not change.
	Limits() Limits
	// Run receives updates until ctx ends, which is no error. It reconnects by
	// itself. handle may be called concurrently for different chats, never for
	// one; an update counts as received when handle has returned, and one whose
	// handling was cut short comes again. It ends with [ErrRevoked] or
	// [ErrTwoPollers] where trying again cannot help, and returns when every call
	// of handle has.
	Run(ctx context.Context, handle func(context.Context, *Update)) error
	// Send returns what the platform calls the message, at most 200 bytes.
	Send(ctx context.Context, m *Message) (string, error)
	// Edit replaces a message's text and buttons. One that has them already is no
	// error; one that is gone is a PermanentError.
	Edit(ctx context.Context, message string, m *Message) error
	// Toast answers a tap with a few words, which only who tapped sees.
	Toast(ctx context.Context, tap, text string) error
	// Menu tells the platform which commands to offer.
	Menu(ctx context.Context, entries []Entry) error
}

// The ends of Run that need a person.
var (
	ErrRevoked    = errors.New("the bot's token is not valid, or was revoked")
	ErrTwoPollers = errors.New("another process receives this bot's updates")
)

// Limits are a platform's.
type Limits struct {
	Text    int              // of a message, as Measure counts
	Caption int              // of a file's text
	File    int64            // bytes
	Data    int              // bytes a button carries
	Measure func(string) int // length of a text; nil = bytes
}

// Length measures a text.
func (l Limits) Length(s string) int {
	if l.Measure == nil {
		return len(s)
	}
	return l.Measure(s)
}

// UpdateKind says what an update is.
type UpdateKind uint8

// The kinds. Drivers report what they cannot place as Other, which is ignored.
const (
	Other  UpdateKind = iota
	Said              // a new message
	Tapped            // a button
)

// Update is something that a person did in a chat.
type Update struct {
	ID      string // unique for the bot, and the same whenever it comes again
	Kind    UpdateKind
	Time    time.Time          // zero = not said
	Chat    events.Destination // platform, chat, thread
	Private bool               // a chat of the person alone
	From    Sender
	Foreign bool   // forwarded, or said in the name of a chat: not From's own words
	Message string // what the platform calls the message, or the one that has the button
	ReplyTo string // the message it replies to, if that is the bot's; empty = none
	Text    string // a command that is for another bot is Other; the bot's own name is left out of one
	Tap     string // name of the tap, for Toast
	Data    string // what the button carries
}

// Sender is who an update comes from, as the platform has established.
type Sender struct {
	ID   string // that never changes; not a name that can be chosen
	Name string // to be shown only
	Bot  bool
}

// Message is something to send.
type Message struct {
	To      events.Destination
	Text    Text
	Buttons [][]Button // in rows
	ReplyTo string     // the message it answers; empty = none. One that is gone is no error
	Ask     bool       // have the person's client open a reply to it
	File    *File      // sent with Text as its caption
}

// Button is below a message.
type Button struct{ Label, Data string }

// File is to be uploaded. Open is called once for each try.
type File struct {
	Name string // without a folder
	Size int64
	Open func() (io.ReadCloser, error)
}

// Entry is a command of the menu.
type Entry struct{ Command, About string }
