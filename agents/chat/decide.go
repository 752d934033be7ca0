package chat

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/events"
)

// MaxText is how much of a message is looked at, in bytes.
const MaxText = 32 << 10

// Route leads a prefix to a board.
type Route struct {
	Prefix   string // as typed, with its slash; empty = text without one
	Board    string
	Tenant   string
	Assignee string
	ReadOnly bool
	Tasks    bool // free text becomes a task
}

// Rules say what words mean in a chat.
type Rules struct {
	Home   Route   // of /kanban
	Routes []Route // the others
}

// route finds a route by its prefix.
func (r *Rules) route(prefix string) (Route, bool) {
	for _, route := range r.Routes {
		if strings.EqualFold(route.Prefix, prefix) {
			return route, true
		}
	}
	return Route{}, false
}

// Kind is what is to be done about an update.
type Kind uint8

// The kinds.
const (
	Ignore   Kind = iota
	Stranger      // somebody unknown writes in private
	Refuse        // say why not: Intent.Why
	Help          // say what there is
	Confirm       // take in whoever has the pairing code Argv[0], as Argv[1]
	Run           // a verb of kanban with its arguments: Argv
	Idea          // make a task of Text
	Reply         // Text is said about the message that was replied to
	Press         // the button Action of the message with Token
)

// Intent is what an update means.
type Intent struct {
	Kind   Kind
	Route  Route
	Argv   []string
	Text   string
	Token  string
	Action string
	Why    string
}

// Decide says what an update of somebody with a role means. It is pure.
func Decide(u *Update, role Role, rules *Rules) Intent {
	if u.Kind == Other || u.Foreign || u.From.Bot || u.From.ID == "" || u.ID == "" {
		return Intent{}
	}
	if role == Nobody {
		switch {
		case u.Kind == Tapped:
			return Intent{Kind: Refuse, Why: "You may not answer here."}
		case u.Private && u.ReplyTo == "":
			return Intent{Kind: Stranger}
		}
		return Intent{}
	}
	if u.Kind == Tapped {
		token, action, ok := strings.Cut(u.Data, ":")
		if !ok || token == "" || len(u.Data) > 64 {
			return Intent{Kind: Refuse, Why: "This button is not one of mine."}
		}
		return Intent{Kind: Press, Token: token, Action: action}
	}
	if len(u.Text) > MaxText {
		return Intent{Kind: Refuse, Why: "That message is too long: 32 KiB is the most. Nothing was done."}
	}
	text := strings.TrimSpace(agents.Plain(strings.ToValidUTF8(u.Text, "")))
	switch {
	case strings.HasPrefix(text, "/"):
		return command(text, u, rules)
	case text == "":
		return Intent{}
	case u.ReplyTo != "":
		return Intent{Kind: Reply, Text: text}
	}
	if route, ok := rules.route(""); ok && route.Tasks {
		return Intent{Kind: Idea, Route: route, Text: text}
	}
	return Intent{}
}

// command reads a message that begins with a slash.
func command(text string, u *Update, rules *Rules) Intent {
	end := strings.IndexFunc(text, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' })
	if end < 0 {
		end = len(text)
	}
	name, rest := text[:end], strings.TrimSpace(text[end:])
	switch strings.ToLower(name) {
	case "/start", "/help":
		return Intent{Kind: Help, Route: rules.Home}
	case "/pair":
		return Intent{Kind: Confirm, Argv: strings.Fields(rest)}
	case "/kanban", "/task":
		return line(rest, rules.Home)
	}
	if route, ok := rules.route(name); ok {
		if route.Tasks && !isCommand(rest) && rest != "" {
			return Intent{Kind: Idea, Route: route, Text: rest}
		}
		return line(rest, route)
	}
	if !u.Private { // of another bot, perhaps
		return Intent{}
	}
	return Intent{Kind: Refuse, Why: clean(name, 60) + " is not known here. /help lists what there is."}
}

// line reads what follows the prefix of a route.
func line(rest string, route Route) Intent {
	argv, err := Split(rest)
	switch {
	case errors.Is(err, ErrQuote):
		return Intent{Kind: Refuse, Why: "A quotation mark has no partner. Nothing was done."}
	case err != nil:
		return Intent{Kind: Refuse, Why: "That is too much for one command: " + err.Error() + "."}
	case len(argv) == 0 || argv[0] == "help":
		return Intent{Kind: Help, Route: route}
	}
	return Intent{Kind: Run, Route: route, Argv: argv}
}

// isCommand tells a command from free text behind a prefix that takes both: a
// verb alone, or one that a task, a flag or, for create, a title in quotes follows.
func isCommand(rest string) bool {
	argv, err := Split(rest)
	if err != nil || len(argv) == 0 {
		return false
	}
	if _, ok := Table[argv[0]]; !ok && !own[argv[0]] && argv[0] != "help" {
		return false
	}
	if len(argv) == 1 || strings.HasPrefix(argv[1], "-") {
		return true
	}
	if _, err := events.ParseTaskID(argv[1]); err == nil {
		return true
	}
	after, _ := utf8.DecodeRuneInString(strings.TrimSpace(strings.TrimPrefix(rest, argv[0])))
	return argv[0] == "create" && closing[after] != ""
}

// own are verbs that exist in chat only.
var own = map[string]bool{"subscribe": true, "unsubscribe": true, "get": true}
