package agents

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// The APIs that a model endpoint can speak: what an agent says to it and what
// it says to its upstream are the same.
const (
	Anthropic       = "anthropic"        // Messages
	OpenAIResponses = "openai-responses" // Responses
	OpenAIChat      = "openai-chat"      // Chat Completions, which most other servers speak
)

// Endpoint is how an agent reaches its model: one upstream, a few requests,
// and a credential that never enters the sandbox.
type Endpoint struct {
	Kind       string     `yaml:"kind" json:"kind"`                            // anthropic, openai-responses or openai-chat
	Upstream   string     `yaml:"upstream,omitempty" json:"upstream,omitzero"` // base URL without /v1; empty = the maker's of the API
	Allow      []string   `yaml:"allow,omitempty" json:"allow,omitzero"`       // "METHOD /path", exact; empty = what the API needs
	Credential Credential `yaml:"credential,omitempty" json:"credential"`      // zero = the upstream wants none
	Prices     []Price    `yaml:"prices,omitempty" json:"prices,omitzero"`     // the first that matches a model counts
}

// Credential names a secret; it never holds one. At most one field is set.
type Credential struct {
	Env  string `yaml:"env,omitempty" json:"env,omitzero"`   // a name in the profile's .env
	File string `yaml:"file,omitempty" json:"file,omitzero"` // a file with nothing else in it, absolute or below the profile
}

// Price is what a model costs, in millionths of the home's currency for a
// million tokens: 3000000 is 3.00 for a million.
type Price struct {
	Model      string `yaml:"model" json:"model"` // as the API names it; * at the end stands for any rest
	Input      int64  `yaml:"input" json:"input"`
	Output     int64  `yaml:"output" json:"output"`
	CacheRead  int64  `yaml:"cache_read,omitempty" json:"cache_read,omitzero"`   // 0 = as input
	CacheWrite int64  `yaml:"cache_write,omitempty" json:"cache_write,omitzero"` // 0 = as input
	AsOf       string `yaml:"as_of" json:"as_of"`                                // the day it was looked up, 2026-11-22
}

// maxPrice keeps sums of tokens and prices within an int64.
const maxPrice = 1_000_000_000

// Tokens is what a model read and wrote. Input does not count what came out
// of, or went into, the provider's cache.
type Tokens struct {
	Input      int64 `json:"input,omitzero"`
	Output     int64 `json:"output,omitzero"`
	CacheRead  int64 `json:"cache_read,omitzero"`
	CacheWrite int64 `json:"cache_write,omitzero"`
}

// Cost is the price of tokens in millionths of the home's currency, rounded up.
func (p Price) Cost(t Tokens) int64 {
	read, write := p.CacheRead, p.CacheWrite
	if read == 0 {
		read = p.Input
	}
	if write == 0 {
		write = p.Input
	}
	sum := t.Input*p.Input + t.Output*p.Output + t.CacheRead*read + t.CacheWrite*write
	return (sum + 999_999) / 1_000_000
}

// Price finds what a model costs; false if nobody said.
func (e *Endpoint) Price(model string) (Price, bool) {
	for _, p := range e.Prices {
		if prefix, open := strings.CutSuffix(p.Model, "*"); p.Model == model || open && strings.HasPrefix(model, prefix) {
			return p, true
		}
	}
	return Price{}, false
}

// api is what an API's maker runs, and the requests an agent needs.
type api struct {
	upstream string
	allow    []string
}

var apis = map[string]api{
	Anthropic:       {"https://api.anthropic.com", []string{"POST /v1/messages", "POST /v1/messages/count_tokens"}},
	OpenAIResponses: {"https://api.openai.com", []string{"POST /v1/responses"}},
	OpenAIChat:      {"https://api.openai.com", []string{"POST /v1/chat/completions"}},
}

// Target is the upstream's base URL, the default filled in, without a slash at
// the end.
func (e *Endpoint) Target() string {
	if e.Upstream != "" {
		return strings.TrimSuffix(e.Upstream, "/")
	}
	return apis[e.Kind].upstream
}

// Allowed lists the requests that are let through, the default filled in.
func (e *Endpoint) Allowed() []string {
	if len(e.Allow) > 0 {
		return e.Allow
	}
	return apis[e.Kind].allow
}

// Allows reports whether a request is let through. path is as in the URL,
// without a query.
func (e *Endpoint) Allows(method, path string) bool {
	return slices.Contains(e.Allowed(), method+" "+path)
}

func (e *Endpoint) validate(p *problems) {
	if _, ok := apis[e.Kind]; !ok {
		p.add("model_endpoint.kind %q is unknown (%s, %s, %s)", e.Kind, Anthropic, OpenAIResponses, OpenAIChat)
	}
	if e.Upstream != "" {
		if err := checkUpstream(e.Upstream); err != nil {
			p.add("model_endpoint.upstream: %w", err)
		}
	}
	for _, a := range e.Allow {
		method, where, _ := strings.Cut(a, " ")
		if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, method) ||
			!strings.HasPrefix(where, "/") || path.Clean(where) != where || strings.ContainsAny(where, "?#*% \x00") {
			p.add("model_endpoint.allow: %q is not a method and an exact path, as in \"POST /v1/messages\"", a)
		}
	}
	e.Credential.validate(p)
	for i, price := range e.Prices {
		if err := price.check(); err != nil {
			p.add("model_endpoint.prices[%d]: %w", i, err)
		}
	}
}

// validate quotes no value: it may be a secret that was put in the wrong place.
func (c *Credential) validate(p *problems) {
	switch {
	case c.Env != "" && c.File != "":
		p.add("model_endpoint.credential: both env and file are given")
	case c.Env != "" && (!variableRule.MatchString(c.Env) || strings.HasPrefix(c.Env, "HERMES_")):
		p.add("model_endpoint.credential.env wants the name of a variable in the profile's .env, not the key itself")
	case c.File != "" && (path.Clean(c.File) != c.File || c.File == "/" || c.File == "." || c.File == ".." ||
		strings.HasPrefix(c.File, "../") || strings.ContainsAny(c.File, "\x00\n")):
		p.add("model_endpoint.credential.file wants a clean path, absolute or below the profile")
	}
}

// checkUpstream refuses what would send a credential in the clear over a
// network, and what hides one in the address.
func checkUpstream(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return fmt.Errorf("not a URL such as https://api.example.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("a user, query or fragment has no place in it")
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/v1"):
		return fmt.Errorf("leave out /v1: the agent's requests have it")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && private(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("http is for addresses of this host or a private network; use https")
	}
	return fmt.Errorf("scheme %q is neither https nor http", u.Scheme)
}

func private(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (a.IsLoopback() || a.IsPrivate())
}

func (p Price) check() error {
	if p.Model == "" {
		return fmt.Errorf("model is missing")
	}
	if _, err := time.Parse(time.DateOnly, p.AsOf); err != nil {
		return fmt.Errorf("as_of %q is not a day such as 2026-11-22", p.AsOf)
	}
	for _, n := range []int64{p.Input, p.Output, p.CacheRead, p.CacheWrite} {
		if n < 0 || n > maxPrice {
			return fmt.Errorf("%d is no price; they are millionths for a million tokens, up to %d", n, maxPrice)
		}
	}
	return nil
}
