package bus

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hermesboard/hermes/events"
)

// Event is a committed event as a CloudEvents 1.0 JSON object. The attributes
// boardslug and sequence are extensions; sequence is the position in the log.
type Event struct {
	SpecVersion string      `json:"specversion"`
	ID          string      `json:"id"`     // the record's ULID
	Source      string      `json:"source"` // "hermes/<slug>"
	Type        string      `json:"type"`   // "board.hermes." and the event's type
	Subject     string      `json:"subject,omitzero"`
	Time        events.Time `json:"time"`
	ContentType string      `json:"datacontenttype"`
	BoardSlug   string      `json:"boardslug"`
	Sequence    uint64      `json:"sequence"`
	Data        Data        `json:"data"`
}

// Data is the record as it is stored, and what was said with it.
type Data struct {
	Record jsontext.Value `json:"record"`
	Text   *events.Fields `json:"text,omitzero"` // nil = none, or erased
}

// TypePrefix stands before an event's type in a published event.
const TypePrefix = "board.hermes."

// Encode returns an entry as a published event.
func Encode(board string, r *events.Record, e events.Entry) ([]byte, error) {
	ev := Event{
		SpecVersion: "1.0", ID: r.ID.String(), Source: "hermes/" + board, Type: TypePrefix + string(r.Data.Type()), Time: r.Time,
		ContentType: "application/json", BoardSlug: board, Sequence: r.Seq, Data: Data{Record: e.Record},
	}
	if r.Task != 0 {
		ev.Subject = r.Task.String()
	}
	if e.Text != nil {
		text, err := events.DecodeText(e.Text)
		if err != nil {
			return nil, err
		}
		ev.Data.Text = &text.Fields
	}
	return json.Marshal(&ev)
}
