package events

import "github.com/go-json-experiment/json/jsontext"

// Fields is what people and agents wrote with an event. Which members an
// event uses is listed with its payload. No rule may read a text.
type Fields struct {
	Title    string         `json:"title,omitzero"`
	Body     string         `json:"body,omitzero"`
	Summary  string         `json:"summary,omitzero"`
	Result   string         `json:"result,omitzero"`
	Comment  string         `json:"comment,omitzero"`
	Reason   string         `json:"reason,omitzero"`
	Answer   string         `json:"answer,omitzero"`
	Note     string         `json:"note,omitzero"`
	Evidence string         `json:"evidence,omitzero"` // tail of a run's output
	Options  []string       `json:"options,omitzero"`  // offered answers, in order
	Names    []string       `json:"names,omitzero"`    // names of the artifacts, in the payload's order
	Metadata jsontext.Value `json:"metadata,omitzero"` // free JSON, compacted, members as given
}

// Text is what is stored beside a record: the fields and a salt that keeps the
// digest from being guessed once the fields are erased.
type Text struct {
	Salt   Salt   `json:"salt"`
	Fields Fields `json:"fields"`
}

// Salt is 128 random bits, written as 32 hexadecimal digits.
type Salt [16]byte
