package profile

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/worker"
)

// Roles are what a person in a chat may be: an owner may do everything, a
// member all but what cannot be undone, a viewer may look.
var Roles = []string{"owner", "member", "viewer"}

var (
	timeRule     = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d$`)
	quietRule    = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$`)
	prefixRule   = regexp.MustCompile(`^/[a-z][a-z0-9_]{0,31}$`)
	operatorRule = regexp.MustCompile(`^(uid:\d{1,10}|group:[A-Za-z_][A-Za-z0-9_.-]{0,63})$`)
	digitsRule   = regexp.MustCompile(`^-?\d{1,20}$`)
)

// plainError puts what is wrong with YAML into one line, without the source
// around it: that may hold what nobody should read.
func plainError(err error) error {
	var at *token.Token
	what := ""
	var y yaml.Error
	if !errors.As(err, &y) {
		return err
	}
	at, what = y.GetToken(), y.GetMessage()
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) && at != nil {
		what = fmt.Sprintf("unknown key %q", at.Value)
		if near := worker.Nearest(at.Value, lastNames()); near != "" {
			what += "; did you mean " + near + "?"
		}
	}
	if at == nil || at.Position == nil {
		return errors.New(what)
	}
	return fmt.Errorf("line %d, column %d: %s", at.Position.Line, at.Position.Column, what)
}

// lastNames are the last parts of all keys.
func lastNames() (names []string) {
	for _, k := range Keys() {
		names = append(names, k.Path[strings.LastIndexByte(k.Path, '.')+1:])
		if top, _, ok := strings.Cut(k.Path, "."); ok {
			names = append(names, top)
		}
	}
	return append(names, "id", "name", "role", "chat", "prefix", "assignee", "read_only", "text", "url", "secret")
}

// Validate reports everything that is wrong with a configuration, joined. It
// looks at the words alone, not at the host.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	for _, b := range c.Boards {
		if b != "*" && !ValidName(b) {
			bad("boards: %q is not the name of a board", b)
		}
	}
	if c.Board != "" && !ValidName(c.Board) {
		bad("board: %q is not the name of a board", c.Board)
	}
	if cwd := c.Terminal.Cwd; cwd != "" && (!filepath.IsAbs(cwd) || filepath.Clean(cwd) != cwd || strings.ContainsAny(cwd, "\x00\n")) {
		bad("terminal.cwd: %q is not a clean absolute path", cwd)
	}
	probe := agents.Agent{Runtime: agents.Runtime{Kind: "command", Command: agents.Argv{"true"}}, Terminal: c.Terminal.Terminal}
	if err := probe.Validate(); err != nil {
		errs = append(errs, err)
	}
	if o := c.Gateway.Operator; o != "" && !operatorRule.MatchString(o) {
		bad("gateway.operator: %q is neither uid:N nor group:NAME", o)
	}
	if l := c.Gateway.Listen; l != "" && !loopback(l) {
		bad("gateway.listen: %q is not an address of this host such as 127.0.0.1:9464", l)
	}
	c.Chat.validate(bad)
	c.Telegram.validate(bad)
	c.validateWebhooks(bad)
	return errors.Join(errs...)
}

func (c *Chat) validate(bad func(string, ...any)) {
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		bad("chat.time_zone: %q is not a time zone such as Europe/Berlin", c.TimeZone)
	}
	if c.QuietHours != "" && !quietRule.MatchString(c.QuietHours) {
		bad("chat.quiet_hours: %q is not of the form 22:00-07:30", c.QuietHours)
	}
	if c.Digest != "" && !timeRule.MatchString(c.Digest) {
		bad("chat.digest: %q is not a time of day such as 07:30", c.Digest)
	}
	if d, err := time.ParseDuration(c.Reminder); c.Reminder != "" && (err != nil || d < time.Minute) {
		bad("chat.reminder: %q is not a time of a minute or more such as 7h", c.Reminder)
	}
	if c.RatePerMin < 0 {
		bad("chat.rate_per_minute is negative")
	}
	seen := map[string]bool{}
	for i, r := range c.Routes {
		at := fmt.Sprintf("chat.routes[%d]", i)
		switch {
		case !prefixRule.MatchString(r.Prefix):
			bad("%s.prefix: %q is not of the form /support", at, r.Prefix)
		case r.Prefix == "/kanban":
			bad("%s.prefix: /kanban is the command itself", at)
		case seen[r.Prefix]:
			bad("%s.prefix: %s is given twice", at, r.Prefix)
		}
		seen[r.Prefix] = true
		if r.Board != "" && !ValidName(r.Board) {
			bad("%s.board: %q is not the name of a board", at, r.Board)
		}
		if !slices.Contains([]string{"", "ignore", "task"}, r.Text) {
			bad("%s.text: %q is neither ignore nor task", at, r.Text)
		}
		if r.ReadOnly && r.Text == "task" {
			bad("%s: a route that only reads makes no tasks of text", at)
		}
	}
}

func (t *Telegram) validate(bad func(string, ...any)) {
	if t.Token != "" && !SecretName(t.Token) { // not quoted: it may be the token itself
		bad("telegram.token wants the name of a secret in .env, not the token itself")
	}
	if u, err := url.Parse(t.Server); t.Server != "" && (err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "1")))) {
		bad("telegram.server: not an https address (http is for this host)")
	}
	for i, p := range t.Allow {
		at := fmt.Sprintf("telegram.allow[%d]", i)
		if !digitsRule.MatchString(p.ID) {
			bad("%s.id: %q is not a number; people find theirs by writing to @userinfobot", at, p.ID)
		}
		if p.Role != "" && !slices.Contains(Roles, p.Role) {
			bad("%s.role: %q is none of %s", at, p.Role, strings.Join(Roles, ", "))
		}
	}
	if w := t.Webhook; w != nil && !SecretName(w.Secret) {
		bad("telegram.webhook.secret wants the name of a secret in .env")
	}
}

func (c *Config) validateWebhooks(bad func(string, ...any)) {
	for i, w := range c.Webhooks {
		at := fmt.Sprintf("webhooks[%d]", i)
		if !ValidName(w.Name) {
			bad("%s.name: %q is not a name", at, w.Name)
		}
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "1"))) {
			bad("%s.url: not an https address (http is for this host)", at)
		}
		if !SecretName(w.Secret) {
			bad("%s.secret wants the name of a secret in .env", at)
		}
	}
}

// loopback reports whether host:port is on this host only.
func loopback(s string) bool {
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
