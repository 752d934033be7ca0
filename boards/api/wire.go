package api

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/boards"
	"github.com/hermesboard/hermes/events"
)

// VersionHeader names the program's version in every request and response.
const VersionHeader = "Hermes-Version"

// MaxRequestBytes bounds the body of a request.
const MaxRequestBytes = 1 << 20

// Codes of [Error] that only the wire needs.
const (
	CodeBadRequest  = "bad_request"  // malformed, or a value is missing
	CodeTooLarge    = "too_large"    // the body is over MaxRequestBytes
	CodeUnknownPath = "unknown_path" // no such call
	CodeCancelled   = "cancelled"    // the caller went away; the command may still happen
)

// statuses maps every code of [Error] to its HTTP status. A rejection of the
// rules is always [StatusRejected], whatever its code.
var statuses = map[string]int{
	CodeBadRequest:  http.StatusBadRequest,
	CodeTooLarge:    http.StatusRequestEntityTooLarge,
	CodeUnknownPath: http.StatusNotFound,
	CodeNotFound:    http.StatusNotFound,
	CodeForbidden:   http.StatusForbidden,
	CodeBusy:        http.StatusServiceUnavailable,
	CodeFrozen:      http.StatusServiceUnavailable,
	CodeTooOld:      http.StatusNotImplemented,
	CodeDamaged:     http.StatusInternalServerError,
	CodeInternal:    http.StatusInternalServerError,
	CodeCancelled:   499,
}

// StatusRejected is the HTTP status of every rejection.
const StatusRejected = http.StatusUnprocessableEntity

// doRequest is the body of /v1/do and, without By, of /v1/run/do. Who sends it
// has a command as its Data, who receives it JSON that Command says how to read.
type doRequest[Data any] struct {
	By      actor            `json:"by,omitzero"`
	ID      events.CommandID `json:"id"`
	Command string           `json:"command"`
	Data    Data             `json:"data"`
}

// actor is a principal as a program of the operator names it.
type actor struct {
	Kind events.ActorKind `json:"kind"`
	Name string           `json:"name,omitzero"`
	Via  string           `json:"via,omitzero"`
}

type taskRequest struct {
	Task events.TaskID `json:"task"`
}

type readRequest struct {
	Task  events.TaskID `json:"task,omitzero"`
	From  uint64        `json:"from"`
	Limit int           `json:"limit,omitzero"`
}

type policyResponse struct {
	Policy events.Policy `json:"policy"`
	Seq    uint64        `json:"seq"`
}

type helloResponse struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

type entryResponse struct {
	Seq    uint64         `json:"seq"`
	Record jsontext.Value `json:"record"`
	Text   jsontext.Value `json:"text,omitzero"`
}

type errorResponse struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string        `json:"code"`
	Message string        `json:"message"`
	Hint    string        `json:"hint,omitzero"`
	Task    events.TaskID `json:"task,omitzero"`
}

// appendEntry writes an entry with its record and text exactly as stored:
// an encoder may not touch bytes that are hashed.
func appendEntry(b []byte, e events.Entry) []byte {
	b = fmt.Appendf(b, `{"seq":%d,"record":`, e.Seq)
	b = append(b, e.Record...)
	if e.Text != nil {
		b = append(b, `,"text":`...)
		b = append(b, e.Text...)
	}
	return append(b, '}')
}

func appendEntries(entries []events.Entry) []byte {
	n := 2
	for _, e := range entries {
		n += len(e.Record) + len(e.Text) + 48
	}
	b := append(make([]byte, 0, n), '[')
	for i, e := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEntry(b, e)
	}
	return append(b, ']')
}

func (e entryResponse) entry() events.Entry {
	return events.Entry{Seq: e.Seq, Record: e.Record, Text: e.Text}
}

// encodeError turns an error into its status and body. fault is set where the
// error has no code of its own and somebody should look at it.
func encodeError(err error) (status int, body []byte, fault bool) {
	out, status := errorBody{Code: CodeInternal, Message: err.Error()}, http.StatusInternalServerError
	var rejection *boards.Rejection
	var coded *Error
	switch {
	case errors.As(err, &rejection):
		status = StatusRejected
		out = errorBody{string(rejection.Code), rejection.Detail, rejection.Hint, rejection.Task}
	case errors.As(err, &coded):
		out.Code, out.Message, out.Hint = coded.Code, coded.Message, coded.Hint
		if s, ok := statuses[coded.Code]; ok {
			status = s
		}
	default:
		fault = true
	}
	body, err = json.Marshal(errorResponse{out})
	if err != nil { // invalid UTF-8 in a message
		body = []byte(`{"error":{"code":"` + CodeInternal + `","message":"an error that cannot be shown"}}`)
	}
	return status, body, fault
}

// decodeError is the inverse of encodeError.
func decodeError(status int, body []byte) error {
	var in errorResponse
	if err := json.Unmarshal(body, &in); err != nil || in.Error.Code == "" {
		return &Error{Code: CodeInternal, Message: fmt.Sprintf("the owner answered with status %d", status)}
	}
	e := in.Error
	if status == StatusRejected {
		return &boards.Rejection{Code: boards.Code(e.Code), Task: e.Task, Detail: e.Message, Hint: e.Hint}
	}
	return &Error{Code: e.Code, Message: e.Message, Hint: e.Hint}
}

func tooOld(what string) *Error {
	return &Error{Code: CodeTooOld, Message: fmt.Sprintf("the owner (pid %d) is an older program and does not know %s", os.Getpid(), what),
		Hint: "hermes gateway restart"}
}
