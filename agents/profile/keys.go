package profile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/hermesboard/hermes/agents"
	"github.com/hermesboard/hermes/agents/worker"
)

// Key is one key of a config.yaml that can be set by itself.
type Key struct {
	Path  string `json:"key"`  // terminal.backend
	Type  string `json:"type"` // text, number, yes or no, list of texts, list, names and texts, object
	About string `json:"about"`
}

// abouts describe the keys that are a profile's alone; those of terminal are
// described where agents have them.
var abouts = map[string]string{
	"description":             "What this profile is, in a line.",
	"boards":                  "Boards it may open; * is every board. None if left out, except for the default profile.",
	"board":                   "The board that is meant where none is named.",
	"tenant":                  "Tenant of what it creates and lists, unless said otherwise.",
	"agent":                   "What holds for all its agents.",
	"agent.disabled_toolsets": "Groups of tools that no agent of it may use, as in file, terminal, web; runtime command cannot honour it.",
	"terminal":                "What holds for agents whose own configuration leaves a key out.",
	"terminal.cwd":            "Its folder: tasks that name no workspace are worked on there.",
	"gateway":                 "How its gateway serves.",
	"gateway.operator":        "uid:N or group:NAME that may look in from another account.",
	"gateway.listen":          "Address of this host for health and metrics; none if left out.",
	"chat":                    "What holds on every platform.",
	"chat.time_zone":          "As in Europe/Berlin; the host's if left out.",
	"chat.quiet_hours":        "No messages then: 22:00-07:30.",
	"chat.digest":             "When the morning's summary is sent: 07:30.",
	"chat.reminder":           "After how long one reminder is sent for what still waits: 7h.",
	"chat.rate_per_minute":    "Messages a chat may send in a minute.",
	"chat.routes":             "Prefixes such as /support, and where they lead: {prefix, board, tenant, assignee, read_only, text}.",
	"telegram":                "Its Telegram bot.",
	"telegram.token":          "The name of the secret with the bot's token; TELEGRAM_BOT_TOKEN if left out.",
	"telegram.server":         "Address of a Bot API server; Telegram's if left out.",
	"telegram.allow":          "Who may use the bot: {id, name, role, chat}; role is owner, member or viewer.",
	"telegram.webhook":        "How Telegram reaches us: {url, listen, secret}; the bot asks Telegram if left out.",
	"webhooks":                "Destinations of notifications: {name, url, secret}.",
}

// Keys lists every key there is, in the order of the file.
func Keys() []Key {
	var keys []Key
	about := terminalAbouts()
	walkKeys(reflect.TypeFor[Config](), "", func(path string, t reflect.Type) {
		if t.Kind() == reflect.Struct {
			return
		}
		k := Key{Path: path, Type: typeWord(t), About: abouts[path]}
		if k.About == "" {
			k.About = about[path]
		}
		keys = append(keys, k)
	})
	return keys
}

// terminalAbouts takes the words about an agent's terminal from its schema.
func terminalAbouts() map[string]string {
	var schema struct {
		Properties struct {
			Terminal struct {
				Properties map[string]struct {
					Description string `json:"description"`
				} `json:"properties"`
			} `json:"terminal"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(agents.Schema(), &schema); err != nil {
		panic(err) // we made it ourselves
	}
	out := map[string]string{}
	for name, p := range schema.Properties.Terminal.Properties {
		out["terminal."+name] = p.Description
	}
	return out
}

// walkKeys visits the keys of a struct, parents first. Elements of lists have
// no keys of their own.
func walkKeys(t reflect.Type, prefix string, visit func(path string, t reflect.Type)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if opts == "inline" {
			walkKeys(f.Type, prefix, visit)
			continue
		}
		visit(prefix+name, f.Type)
		if f.Type.Kind() == reflect.Struct {
			walkKeys(f.Type, prefix+name+".", visit)
		}
	}
}

func typeWord(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[[]string]():
		return "list of texts"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map:
		return "names and texts"
	case t.Kind() == reflect.Bool:
		return "yes or no"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64, t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Pointer:
		return "object"
	}
	return "text"
}

// KeyError is about a key that does not exist or cannot be what it was to be.
type KeyError struct {
	Path string
	Why  string
	Near string // the key that was probably meant; empty = none is near
}

// Error names the key and what is wrong.
func (e *KeyError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Why) }

// keyType finds the type of a key. The key of an object such as terminal is
// one, too; below a key of names and texts any name is one.
func keyType(path string) (reflect.Type, error) {
	var found reflect.Type
	var names []string
	walkKeys(reflect.TypeFor[Config](), "", func(p string, t reflect.Type) {
		names = append(names, p)
		if p == path {
			found = t
		} else if rest, ok := strings.CutPrefix(path, p+"."); ok && t.Kind() == reflect.Map && SecretName(rest) {
			found = t.Elem()
		}
	})
	if found != nil {
		return found, nil
	}
	return nil, &KeyError{path, "there is no such key", nearestKey(path, names)}
}

// nearestKey also finds a key whose last part alone was meant.
func nearestKey(path string, names []string) string {
	if near := worker.Nearest(path, names); near != "" {
		return near
	}
	last := path[strings.LastIndexByte(path, '.')+1:]
	for _, n := range names {
		if n[strings.LastIndexByte(n, '.')+1:] == last {
			return n
		}
	}
	return ""
}

var secretRule = regexp.MustCompile(`(?i)^[a-z][a-z0-9_]*_(token|key|secret|password)$`)

// IsSecretKey reports whether a key names a secret, which belongs into .env.
func IsSecretKey(path string) bool { return secretRule.MatchString(path) }

// parseValue reads what was typed for a key: texts as they stand, lists and
// objects as YAML or JSON. A single word is a list of one.
func parseValue(path, text string) (any, error) {
	t, err := keyType(path)
	if err != nil {
		return nil, err
	}
	bad := func(format string, a ...any) (any, error) {
		return nil, &KeyError{Path: path, Why: fmt.Sprintf(format, a...)}
	}
	switch t.Kind() {
	case reflect.String:
		return text, nil
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bad("wants a whole number, not %q", text)
		}
		return n, nil
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return bad("wants a number, not %q", text)
		}
		return n, nil
	case reflect.Bool:
		switch {
		case slices.Contains([]string{"true", "yes", "on"}, text):
			return true, nil
		case slices.Contains([]string{"false", "no", "off"}, text):
			return false, nil
		}
		return bad("wants true or false, not %q", text)
	}
	if t == reflect.TypeFor[[]string]() && text != "" && !strings.ContainsAny(text, "[]{},:\n\"'") {
		return []string{text}, nil
	}
	v := reflect.New(t)
	if err := decode([]byte(text), v.Interface()); err != nil {
		return bad("wants a %s in YAML or JSON: %v", typeWord(t), plainError(err))
	}
	return v.Elem().Interface(), nil
}

// Get returns the value of a key as a configuration has it, and whether it has
// any.
func (c *Config) Get(path string) (any, bool, error) {
	if _, err := keyType(path); err != nil {
		return nil, false, err
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, false, err
	}
	var tree map[string]any
	if err := decode(b, &tree); err != nil {
		return nil, false, err
	}
	var v any = tree
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false, nil
		}
		if v, ok = m[name]; !ok {
			return nil, false, nil
		}
	}
	return v, true, nil
}
