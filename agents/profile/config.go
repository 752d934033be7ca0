package profile

import "github.com/hermesboard/hermes/agents"

// Config is a profile's config.yaml. The zero value is a profile with every
// default: it may open no board unless it is the default profile.
type Config struct {
	Description string `yaml:"description,omitempty" json:"description,omitzero"`

	// Boards are those the profile may open; "*" is every board of the home.
	Boards []string `yaml:"boards,omitempty" json:"boards,omitzero"`
	Board  string   `yaml:"board,omitempty" json:"board,omitzero"`   // meant where none is named
	Tenant string   `yaml:"tenant,omitempty" json:"tenant,omitzero"` // of what it creates, unless said otherwise

	Agent    AgentDefaults `yaml:"agent,omitempty" json:"agent,omitzero"`
	Terminal Terminal      `yaml:"terminal,omitempty" json:"terminal,omitzero"`
	Gateway  Gateway       `yaml:"gateway,omitempty" json:"gateway,omitzero"`
	Chat     Chat          `yaml:"chat,omitempty" json:"chat,omitzero"`
	Telegram Telegram      `yaml:"telegram,omitempty" json:"telegram,omitzero"`
	Webhooks []Webhook     `yaml:"webhooks,omitempty" json:"webhooks,omitzero"`
}

// Terminal holds for agents whose own configuration leaves a key out.
type Terminal struct {
	// Cwd is the profile's folder: tasks that it creates without naming a
	// workspace are worked on there. Empty = in a new folder each.
	Cwd string `yaml:"cwd,omitempty" json:"cwd,omitzero"`

	agents.Terminal `yaml:",inline"`
}

// AgentDefaults hold for every agent of the profile.
type AgentDefaults struct {
	// DisabledToolsets are groups of tools no agent of the profile may use;
	// see [Toolsets]. Runtime command, whose tools nobody knows, refuses.
	DisabledToolsets []string `yaml:"disabled_toolsets,omitempty" json:"disabled_toolsets,omitzero"`
}

// Gateway is how the profile's gateway serves.
type Gateway struct {
	Operator string `yaml:"operator,omitempty" json:"operator,omitzero"` // uid:N or group:NAME that may look in from another account
	Listen   string `yaml:"listen,omitempty" json:"listen,omitzero"`     // loopback address of health and metrics; empty = none
}

// Chat is what holds on every platform.
type Chat struct {
	TimeZone   string  `yaml:"time_zone,omitempty" json:"time_zone,omitzero"`     // IANA name; empty = the host's
	QuietHours string  `yaml:"quiet_hours,omitempty" json:"quiet_hours,omitzero"` // "22:00-07:30"; empty = none
	Digest     string  `yaml:"digest,omitempty" json:"digest,omitzero"`           // "07:30"; empty = none
	Reminder   string  `yaml:"reminder,omitempty" json:"reminder,omitzero"`       // after so long one reminder, "7h"; empty = none
	RatePerMin int     `yaml:"rate_per_minute,omitempty" json:"rate_per_minute,omitzero"`
	Routes     []Route `yaml:"routes,omitempty" json:"routes,omitzero"`
}

// Route leads a prefix, for example /support, to a board.
type Route struct {
	Prefix   string `yaml:"prefix" json:"prefix"`
	Board    string `yaml:"board,omitempty" json:"board,omitzero"` // empty = the profile's
	Tenant   string `yaml:"tenant,omitempty" json:"tenant,omitzero"`
	Assignee string `yaml:"assignee,omitempty" json:"assignee,omitzero"`
	ReadOnly bool   `yaml:"read_only,omitempty" json:"read_only,omitzero"`
	Text     string `yaml:"text,omitempty" json:"text,omitzero"` // what free text does: ignore (default) or task
}

// Telegram is the profile's bot.
type Telegram struct {
	Token   string   `yaml:"token,omitempty" json:"token,omitzero"` // name of the secret, default TELEGRAM_BOT_TOKEN
	Server  string   `yaml:"server,omitempty" json:"server,omitzero"`
	Allow   []Person `yaml:"allow,omitempty" json:"allow,omitzero"`
	Webhook *struct {
		URL    string `yaml:"url" json:"url"`
		Listen string `yaml:"listen" json:"listen"`
		Secret string `yaml:"secret" json:"secret"` // name of the secret
	} `yaml:"webhook,omitempty" json:"webhook,omitzero"`
}

// Person is somebody who may use a chat.
type Person struct {
	ID   string `yaml:"id" json:"id"`                        // as the platform names them
	Name string `yaml:"name,omitempty" json:"name,omitzero"` // for the record
	Role string `yaml:"role,omitempty" json:"role,omitzero"` // owner, member (default) or viewer
	Chat string `yaml:"chat,omitempty" json:"chat,omitzero"` // a group they may speak in; empty = in private
}

// Webhook is a destination of notifications: webhook:<name>.
type Webhook struct {
	Name   string `yaml:"name" json:"name"`
	URL    string `yaml:"url" json:"url"`
	Secret string `yaml:"secret" json:"secret"` // name of the secret it is signed with
}
