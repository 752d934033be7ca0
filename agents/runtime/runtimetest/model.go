package runtimetest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// Request is what a model is asked, the same for every API.
type Request struct {
	API     string // messages, responses or chat
	Header  http.Header
	Model   string
	Tools   []string // as they are named to the model; those in a namespace as namespace/name
	Said    []string // every text of the conversation but the model's own, in order, instructions first
	Results []string // what tools answered, in order
	Body    []byte
}

// Has reports whether a tool of a board is offered, whatever the agent's
// program calls it.
func (r *Request) Has(tool string) bool { return r.name(tool) != "" }

func (r *Request) name(tool string) string {
	for _, t := range r.Tools {
		if t == tool || strings.HasSuffix(t, "_"+tool) || strings.HasSuffix(t, "/"+tool) {
			return t
		}
	}
	return ""
}

// Heard reports whether a text occurs in what was said.
func (r *Request) Heard(text string) bool {
	return strings.Contains(strings.Join(r.Said, "\n"), text)
}

// Reply is what a model answers: a failure, or a text, or the call of a tool.
type Reply struct {
	Status int         // of a failure; 0 = none
	Type   string      // of the failure, as the API names it
	Say    string      // of the failure
	Header http.Header // of a failure

	Text string
	Tool string // by its name on the board, or as the request has it
	Args any
}

// What every answer is said to have cost.
const (
	InputTokens  = 1000
	OutputTokens = 20
	CacheTokens  = 300 // read; of Messages besides the input, of the others a part of it
)

// Model answers requests by a script. It is safe for concurrent use; the script
// is called for one request at a time. Fields are set before it is used.
type Model struct {
	// Script answers the n-th request, from 0, that is allowed to use tools.
	Script func(n int, r *Request) Reply

	mu       sync.Mutex
	requests []*Request // of the script
	paths    map[string]int
	n        int
}

// ServeHTTP answers a request. Requests that are no call of a model, and those
// of side jobs, which offer no tool, are answered without the script.
func (m *Model) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	body, err := io.ReadAll(io.LimitReader(hr.Body, 64<<20))
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paths == nil {
		m.paths = make(map[string]int)
	}
	m.paths[hr.Method+" "+hr.URL.Path]++
	dialect, ok := dialects[hr.URL.Path]
	if hr.Method != http.MethodPost || !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	r := dialect.read(body)
	r.Header, r.Body = hr.Header, body
	reply := Reply{Text: "A task"}
	if len(r.Tools) > 0 {
		m.requests = append(m.requests, r)
		reply = m.Script(len(m.requests)-1, r)
	}
	m.n++
	if reply.Status != 0 {
		maps.Copy(w.Header(), reply.Header)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(reply.Status)
		w.Write(encode(dialect.failure(reply)))
		return
	}
	if reply.Tool != "" {
		if name := r.name(reply.Tool); name != "" {
			reply.Tool = name
		}
		if reply.Args == nil {
			reply.Args = map[string]any{}
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	dialect.write(&events{w}, fmt.Sprintf("%04d", m.n), r, reply)
}

// Requests returns what the script was asked.
func (m *Model) Requests() []*Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]*Request(nil), m.requests...)
}

// Paths counts all requests by method and path.
func (m *Model) Paths() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.paths)
}

// dialect is one API.
type dialect struct {
	read    func(body []byte) *Request
	write   func(e *events, id string, r *Request, reply Reply)
	failure func(Reply) any
}

var dialects = map[string]dialect{
	"/v1/messages":         {readMessages, writeMessages, failMessages},
	"/v1/responses":        {readResponses, writeResponses, failOpenAI},
	"/v1/chat/completions": {readChat, writeChat, failOpenAI},
}

func failOpenAI(r Reply) any {
	return object{"error": object{"message": r.Say, "type": r.Type, "code": r.Type}}
}

type object = map[string]any

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a script gave what is not JSON
	}
	return b
}

// events writes server-sent events, each at once.
type events struct{ w http.ResponseWriter }

func (e *events) named(v object) {
	fmt.Fprintf(e.w, "event: %s\ndata: %s\n\n", v["type"], encode(v))
	e.w.(http.Flusher).Flush()
}

func (e *events) data(v any) {
	fmt.Fprintf(e.w, "data: %s\n\n", encode(v))
	e.w.(http.Flusher).Flush()
}

// texts finds the texts in a content that is a text or a list of parts.
func texts(content json.RawMessage) (out []string) {
	var s string
	if json.Unmarshal(content, &s) == nil {
		return []string{s}
	}
	var parts []struct {
		Text string `json:"text"`
	}
	json.Unmarshal(content, &parts)
	for _, p := range parts {
		if p.Text != "" {
			out = append(out, p.Text)
		}
	}
	return out
}
