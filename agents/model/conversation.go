package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// message is a part of a conversation, whatever API it is held by: what we
// say, what the model answers, or what its calls came to.
type message struct {
	Said     string            `json:"said,omitzero"`     // by us
	Thoughts []json.RawMessage `json:"thoughts,omitzero"` // of the model, as its API wants them back
	Text     string            `json:"text,omitzero"`     // by the model
	Calls    []call            `json:"calls,omitzero"`    // by the model
	Results  []result          `json:"results,omitzero"`  // of the calls of the message before
}

// call is a tool that the model wants to be called.
type call struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"` // an object

	wrong string // why it is not carried out; empty = it is
}

// result is what a call came to.
type result struct {
	ID      string `json:"id"`
	Text    string `json:"text"`
	Refused bool   `json:"refused,omitzero"`
}

func (m *message) byModel() bool { return m.Text != "" || len(m.Calls) > 0 || len(m.Thoughts) > 0 }

// Bounds of a transcript.
const (
	maxTranscript = 64 << 20
	maxMessage    = 8 << 20
)

// transcript is a conversation and the file it is kept in.
type transcript struct {
	messages []message
	file     *os.File
}

// openTranscript goes on with what is in the file, or begins anew. What does
// not make sense, and all that follows it, is cut off.
func openTranscript(name string, resume bool) (*transcript, error) {
	root, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	base := filepath.Base(name)
	if info, err := root.Lstat(base); err == nil && !info.Mode().IsRegular() {
		if err := root.RemoveAll(base); err != nil {
			return nil, err
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := root.OpenFile(base, os.O_CREATE|os.O_RDWR|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	t := &transcript{file: f}
	size := int64(0)
	if resume {
		t.messages, size = readTranscript(f)
	}
	if err = f.Truncate(size); err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err == nil {
		err = t.settle()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// readTranscript reads the messages that make sense, and how many bytes they take.
func readTranscript(f *os.File) (ms []message, size int64) {
	if info, err := f.Stat(); err != nil || info.Size() > maxTranscript {
		return nil, 0
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxMessage)
	lines.Split(wholeLines)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil || !follows(ms, &m) {
			break
		}
		ms, size = append(ms, m), size+int64(len(lines.Bytes()))
	}
	return ms, size
}

// wholeLines splits lines, their ends included; a last one without its end was
// cut off while it was written.
func wholeLines(data []byte, _ bool) (int, []byte, error) {
	i := bytes.IndexByte(data, '\n') + 1
	return i, data[:i:i], nil
}

// follows reports whether a message can come next: one thing in it, and
// results exactly for the calls before.
func follows(ms []message, m *message) bool {
	kinds := 0
	for _, is := range []bool{m.Said != "", m.byModel(), len(m.Results) > 0} {
		if is {
			kinds++
		}
	}
	var open []call
	if len(ms) > 0 {
		open = ms[len(ms)-1].Calls
	}
	if kinds != 1 || len(open) != len(m.Results) {
		return false
	}
	for i, r := range m.Results {
		if r.ID != open[i].ID {
			return false
		}
	}
	for _, c := range m.Calls {
		if !isName(c.ID) || !isName(c.Name) || !isObject(c.Args) {
			return false
		}
	}
	return true
}

// settle answers calls that an earlier attempt did not live to answer.
func (t *transcript) settle() error {
	if len(t.messages) == 0 {
		return nil
	}
	calls := t.messages[len(t.messages)-1].Calls
	if len(calls) == 0 {
		return nil
	}
	m := message{}
	for _, c := range calls {
		m.Results = append(m.Results, result{c.ID, "the attempt was cut off: this may or may not have been done", true})
	}
	return t.add(m)
}

// add appends a message to the conversation and to its file.
func (t *transcript) add(m message) error {
	t.messages = append(t.messages, m)
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = t.file.Write(append(b, '\n'))
	return err
}

// Of a conversation that is too long, results and arguments longer than short
// are left out, but not those of the most recent messages.
const (
	short  = 500
	recent = 8
)

// fit returns the conversation with about so many bytes at most: where it has
// more, what was long ago is left out.
func fit(ms []message, most int) []message {
	size := 0
	for i := range ms {
		size += ms[i].size()
	}
	if size <= most {
		return ms
	}
	out := slices.Clone(ms)
	most = most / 4 * 3 // more than needed, so that the next requests begin alike
	for i := 0; i < len(out)-recent && size > most; i++ {
		size -= out[i].size()
		out[i] = out[i].shortened()
		size += out[i].size()
	}
	return out
}

func (m message) shortened() message {
	m.Results, m.Calls = slices.Clone(m.Results), slices.Clone(m.Calls)
	for i := range m.Results {
		if r := &m.Results[i]; len(r.Text) > short {
			r.Text = "(left out, to keep the conversation short; call again if you need it)"
		}
	}
	for i := range m.Calls {
		if c := &m.Calls[i]; len(c.Args) > short {
			c.Args = json.RawMessage(`{"left out":"to keep the conversation short"}`)
		}
	}
	return m
}

func (m *message) size() int {
	n := len(m.Said) + len(m.Text)
	for _, t := range m.Thoughts {
		n += len(t)
	}
	for _, c := range m.Calls {
		n += len(c.Name) + len(c.Args)
	}
	for _, r := range m.Results {
		n += len(r.Text)
	}
	return n
}
