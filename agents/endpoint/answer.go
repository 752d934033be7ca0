package endpoint

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/agents"
)

// maxLine is how much of a stream's line is looked at.
const maxLine = 4 << 20

// maxTokens keeps nonsense out of the sums.
const maxTokens = 1_000_000_000

// message is what counts in an answer, or in an event of a stream, of the three
// APIs. No two of them use one name for different things.
type message struct {
	Type    string           `json:"type"`
	Usage   *usage           `json:"usage"`
	Error   *apiError        `json:"error"`
	Choices []jsontext.Value `json:"choices"`
	Code    any              `json:"code"` // of the event error of Responses
	Message *struct {
		Usage *usage `json:"usage"`
	} `json:"message"`
	Response *struct {
		Usage *usage    `json:"usage"`
		Error *apiError `json:"error"`
	} `json:"response"`
}

// usage is what an answer consumed, in the words of the three APIs. OpenAI
// counts the cache within the input, Anthropic beside it.
type usage struct {
	InputTokens  int64    `json:"input_tokens"`
	OutputTokens int64    `json:"output_tokens"`
	CacheRead    int64    `json:"cache_read_input_tokens"`
	CacheWrite   int64    `json:"cache_creation_input_tokens"`
	InputDetails *details `json:"input_tokens_details"`

	PromptTokens     int64    `json:"prompt_tokens"`
	CompletionTokens int64    `json:"completion_tokens"`
	PromptDetails    *details `json:"prompt_tokens_details"`
}

type details struct {
	Cached  int64 `json:"cached_tokens"`
	Written int64 `json:"cache_write_tokens"`
}

func (u *usage) tokens(api string) agents.Tokens {
	bounded := func(n int64) int64 { return min(max(n, 0), maxTokens) }
	if api == agents.Anthropic {
		return agents.Tokens{Input: bounded(u.InputTokens), Output: bounded(u.OutputTokens), CacheRead: bounded(u.CacheRead), CacheWrite: bounded(u.CacheWrite)}
	}
	in, out, d := u.InputTokens, u.OutputTokens, u.InputDetails
	if api == agents.OpenAIChat {
		in, out, d = u.PromptTokens, u.CompletionTokens, u.PromptDetails
	}
	if d == nil {
		d = &details{}
	}
	t := agents.Tokens{Output: bounded(out), CacheRead: bounded(d.Cached), CacheWrite: bounded(d.Written)}
	t.Input = bounded(in - t.CacheRead - t.CacheWrite)
	return t
}

// answer is what is learnt of one answer while it is passed on. It belongs to
// one goroutine.
type answer struct {
	api    string
	model  string
	price  agents.Price
	priced bool
	counts bool  // a model answers
	asked  int64 // bytes of the request
	hidden bool  // the chunk that only has the usage is left out

	got     agents.Tokens // what the provider said so far
	told    bool          // it said how much was read
	whole   bool          // it said all
	words   int64         // what is estimated where it does not say
	ended   bool          // the stream came to its end
	broken  bool          // something was no event
	failure *apiError     // it told instead of an end

	charged agents.Tokens // what was booked
	cost    int64

	part    []byte // the beginning of a line
	long    bool   // the line at hand is too long to be looked at
	left    bool   // an event was left out, its empty line will be
	through []byte // lines that go inside
}

// next looks at a piece of a stream and returns what goes inside. It is valid
// until the next call.
func (a *answer) next(b []byte) []byte {
	all := b
	a.through = a.through[:0]
	for len(b) > 0 {
		if n := a.skim(b); n > 0 {
			b = b[n:]
			continue
		}
		piece, ends := b, false
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			piece, ends = b[:i+1], true
		}
		b = b[len(piece):]
		line := piece
		if !a.long && (len(a.part) > 0 || !ends) {
			a.part = append(a.part, piece...)
			line = a.part
		}
		switch {
		case a.long:
			a.pass(piece)
			a.long = !ends
		case ends:
			if !a.line(line) {
				a.pass(line)
			}
			a.part = a.part[:0]
		case len(a.part) > maxLine:
			a.pass(a.part)
			a.part, a.long = nil, true
		}
	}
	if a.hidden {
		return a.through
	}
	return all
}

// wordsOnly begins what most of a stream is, by API: events in which only words
// can be. Chunks of Chat Completions have no such beginning.
var wordsOnly = map[string][]byte{
	agents.Anthropic:       []byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\","),
	agents.OpenAIResponses: []byte("event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","),
}

// skim counts the events at the beginning of b that are nothing but words, and
// returns how long they are.
func (a *answer) skim(b []byte) (n int) {
	begin := wordsOnly[a.api]
	if begin == nil || a.long || len(a.part) > 0 {
		return 0
	}
	for bytes.HasPrefix(b[n:], begin) {
		rest := b[n+len(begin):]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 || end+1 == len(rest) || rest[end+1] != '\n' {
			break
		}
		n += len(begin) + end + 2
		a.words++
	}
	return n
}

// pass lets a line go inside, where lines wait for what they turn out to be.
func (a *answer) pass(b []byte) {
	if a.hidden {
		a.through = append(a.through, b...)
	}
}

// rest is what waits at the end of a stream.
func (a *answer) rest() []byte {
	if !a.hidden || len(a.part) == 0 || a.line(a.part) {
		return nil
	}
	return a.part
}

var (
	newline, carriage = []byte("\n"), []byte("\r")

	hasUsage = []byte(`"usage"`)
	hasError = []byte(`"error"`)
	hasStop  = []byte(`"message_stop"`)
	isNull   = []byte(`:null`)
)

// tells reports whether something that counts may be in an event's data. Most
// chunks of Chat Completions say that they have no usage.
func tells(data []byte) bool {
	if bytes.Contains(data, hasError) || bytes.Contains(data, hasStop) {
		return true
	}
	for {
		_, after, found := bytes.Cut(data, hasUsage)
		if !found || !bytes.HasPrefix(after, isNull) {
			return found
		}
		data = after
	}
}

// line looks at one line of a stream and reports whether it is to be left out.
func (a *answer) line(line []byte) (leave bool) {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, newline), carriage)
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok {
		leave = a.left && len(line) == 0
		a.left = false
		return leave
	}
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		a.ended = true
		return false
	}
	a.words++
	if len(data) == 0 || data[0] != '{' {
		a.broken = true
		return false
	}
	if !tells(data) {
		return false
	}
	m := a.read(data)
	if m == nil {
		return false
	}
	a.left = a.hidden && m.Usage != nil && len(m.Choices) == 0
	return a.left
}

// read takes what counts of an event, or of an answer that is no stream. It is
// nil if it is not JSON.
func (a *answer) read(data []byte) *message {
	m := &message{}
	if json.Unmarshal(data, m, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
		a.broken = true
		return nil
	}
	switch {
	case m.Message != nil && m.Message.Usage != nil: // message_start: what was read, and a first word
		a.add(m.Message.Usage)
	case m.Usage != nil:
		a.add(m.Usage)
		a.whole = true
	case m.Response != nil && m.Response.Usage != nil:
		a.add(m.Response.Usage)
		a.whole = true
	}
	switch m.Type {
	case "message_stop", "response.completed", "response.incomplete", "response.failed":
		a.ended = true
	}
	switch {
	case m.Response != nil && m.Response.Error != nil:
		a.failure = m.Response.Error
	case m.Error != nil:
		a.failure = m.Error
	case m.Type == "error":
		a.failure = &apiError{Code: m.Code}
	}
	return m
}

// add takes what the provider says. Later numbers include earlier ones.
func (a *answer) add(u *usage) {
	t := u.tokens(a.api)
	a.told = true
	a.got = agents.Tokens{
		Input: max(a.got.Input, t.Input), Output: max(a.got.Output, t.Output),
		CacheRead: max(a.got.CacheRead, t.CacheRead), CacheWrite: max(a.got.CacheWrite, t.CacheWrite),
	}
}

// guess fills in what the provider did not say; it reports whether that was
// needed.
func (a *answer) guess() bool {
	if a.whole || !a.counts {
		return false
	}
	if !a.told {
		a.got.Input = min(a.asked/4, maxTokens)
	}
	a.got.Output = max(a.got.Output, min(a.words, maxTokens))
	a.whole = true
	return true
}

// due is what is to be booked since the last time.
func (a *answer) due() (t agents.Tokens, cost int64) {
	if a.priced {
		cost = a.price.Cost(a.got) - a.cost
	}
	t = agents.Tokens{
		Input: a.got.Input - a.charged.Input, Output: a.got.Output - a.charged.Output,
		CacheRead: a.got.CacheRead - a.charged.CacheRead, CacheWrite: a.got.CacheWrite - a.charged.CacheWrite,
	}
	a.charged, a.cost = a.got, a.cost+cost
	return t, cost
}

// minHidden is the shortest credential that is looked for: a shorter one would
// hit words that are none.
const minHidden = 6

// scrubber takes a credential out of what goes inside.
type scrubber struct {
	secret []byte
	held   []byte // an end that may be the beginning of the credential
}

// next returns what can go inside of a piece; with last, all that is left.
func (s *scrubber) next(b []byte, last bool) []byte {
	if len(s.secret) < minHidden {
		return b
	}
	if len(s.held) > 0 {
		b = append(s.held, b...)
		s.held = nil
	}
	if bytes.Contains(b, s.secret) {
		b = bytes.ReplaceAll(b, s.secret, []byte("***"))
	}
	if last {
		return b
	}
	for n := min(len(s.secret)-1, len(b)); n > 0; n-- {
		if bytes.HasSuffix(b, s.secret[:n]) {
			s.held = bytes.Clone(b[len(b)-n:])
			return b[:len(b)-n]
		}
	}
	return b
}
