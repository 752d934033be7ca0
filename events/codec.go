package events

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"
)

// strict refuses what a lenient reader would let pass. Duplicate members,
// invalid UTF-8 and trailing bytes are refused anyway.
var strict = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.UnmarshalFunc(func(b []byte, id *ULID) error {
		s, err := jsontext.AppendUnquote(nil, b)
		if err != nil {
			return err
		}
		return parseULID(id, s)
	})),
)

// parseULID reads 26 letters in the only spelling that is written.
func parseULID(id *ULID, b []byte) error {
	if len(b) != ulid.EncodedSize || b[0] > '7' {
		return fmt.Errorf("%q is not a ULID", b)
	}
	var high, low uint64
	for _, c := range b {
		v := base32[c]
		if v > 31 {
			return fmt.Errorf("%q is not a ULID", b)
		}
		high, low = high<<5|low>>59, low<<5|uint64(v)
	}
	binary.BigEndian.PutUint64(id[:], high)
	binary.BigEndian.PutUint64(id[8:], low)
	return nil
}

// base32 maps an upper-case letter of Crockford's alphabet to its value, all else to 0xff.
var base32 = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range ulid.Encoding {
		t[c] = byte(i)
	}
	return t
}()

// Encode returns the canonical bytes of r. It refuses a record that could not
// be read back, for example one without an id, an actor or data, and returns
// ErrTooLarge over MaxRecordBytes. Data must be a value from the catalog, not
// a pointer to one. Safe for concurrent use.
func Encode(r Record) ([]byte, error) {
	var e Encoder
	return e.Encode(&r)
}

// Encoder encodes many records and texts into blocks that they share. The zero
// value is ready. Not safe for concurrent use.
type Encoder struct {
	w wire
}

const encoderBlock = 16 << 10

// begin makes room for one value and returns where it will start.
func (e *Encoder) begin() (*wire, int) {
	w := &e.w
	if cap(w.b)-len(w.b) < 1<<10 {
		w.b = make([]byte, 0, max(1<<10, min(4*cap(w.b), encoderBlock)))
	}
	w.writing, w.err = true, nil
	return w, len(w.b)
}

// Encode is [Encode].
func (e *Encoder) Encode(r *Record) ([]byte, error) {
	if r.Data == nil {
		return nil, fmt.Errorf("encode record %d: no data", r.Seq)
	}
	name := r.Data.Type()
	version := production.kinds[name].version
	w, start := e.begin()
	r.walkHead(w, &name, &version)
	if !writeHot(w, r.Data) {
		writeCold(w, name, r.Data)
	}
	return finish(w, start, r, name)
}

// finish writes what comes after the payload.
func finish(w *wire, start int, r *Record, name Type) ([]byte, error) {
	r.walkTail(w)
	b := w.b[start:len(w.b):len(w.b)]
	err := w.err
	if err == nil {
		err = r.check()
	}
	if err == nil && len(b) > MaxRecordBytes {
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), MaxRecordBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s at %d: %w", name, r.Seq, err)
	}
	return b, nil
}

// writeCold writes a payload by its struct tags and looks whether it reads back.
func writeCold(w *wire, name Type, payload Payload) {
	k, ok := production.kinds[name]
	if !ok {
		w.fail(fmt.Errorf("unknown event type %q", name))
		return
	}
	data, err := json.Marshal(payload)
	if err == nil {
		_, err = k.decode(data)
	}
	w.fail(err)
	w.b = append(w.b, data...)
}

// check holds what every record must say, in whatever order it said it.
func (r *Record) check() error {
	switch {
	case r.Seq == 0:
		return errors.New("seq is zero")
	case r.Cause >= r.Seq:
		return fmt.Errorf("cause %d is not before the record", r.Cause)
	case r.ID.IsZero():
		return errors.New("no id")
	case r.Time == 0:
		return errors.New("no time")
	case r.Actor.Kind == 0:
		return errors.New("no actor kind")
	case r.Cmd.IsZero():
		return errors.New("no cmd")
	}
	return nil
}

// Decode reads one record strictly: unknown and duplicate members, unknown
// types, versions and words, invalid UTF-8 and trailing bytes are refused. Old
// payload versions are lifted to the current one. Errors match ErrDamaged, and
// ErrTooLarge too over MaxRecordBytes. It does not ask for canonical bytes:
// see [CheckCanonical]. Data is a value from the catalog, never a pointer.
// Nothing of b is kept. Safe for concurrent use.
func Decode(b []byte) (Record, error) {
	return decode(b, nil)
}

// Decoder decodes many records and lets them share the short strings they have
// in common: names of agents, actors, tenants, models. The zero value is ready.
// Not safe for concurrent use.
type Decoder struct {
	names *interner
}

// Decode is [Decode].
func (d *Decoder) Decode(b []byte) (Record, error) {
	if d.names == nil {
		d.names = new(interner)
	}
	return decode(b, d.names)
}

func decode(b []byte, names *interner) (Record, error) {
	if len(b) > MaxRecordBytes {
		return Record{}, fmt.Errorf("%w: %w: %d bytes, at most %d", ErrDamaged, ErrTooLarge, len(b), MaxRecordBytes)
	}
	if r, ok := decodeCanonical(b, names); ok {
		return r, nil
	}
	r, err := decodeAny(b)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

// decodeCanonical reads canonical bytes of current versions quickly. What it
// reads, decodeAny reads the same; it need not read everything.
func decodeCanonical(b []byte, names *interner) (r Record, ok bool) {
	var name Type
	var version uint32
	w := wire{b: b, names: names}
	r.walkHead(&w, &name, &version)
	if w.err != nil {
		return Record{}, false
	}
	r.Data = readPayload(&w, name, version)
	r.walkTail(&w)
	return r, w.err == nil && w.at == len(b) && r.check() == nil
}

func readPayload(w *wire, name Type, version uint32) Payload {
	k := production.kinds[name]
	if version != k.version {
		w.fail(errNotCanonical)
		return nil
	}
	if p, ok := readHot(w, name); ok {
		return p
	}
	data := w.raw()
	if k.empty && string(data) == "{}" {
		return k.zero
	}
	value, err := k.decode(data)
	w.fail(err)
	p, _ := value.(Payload)
	return p
}

// envelope is a record whose payload is still to be read.
type envelope struct {
	Seq    uint64         `json:"seq"`             // position in the log, from 1 without a gap
	ID     ULID           `json:"id"`              // names the event outside this board
	Time   Time           `json:"time"`            // when it was decided; for people and schedules, never for ordering
	Type   Type           `json:"type"`            // what happened
	V      uint32         `json:"v"`               // version of the payload
	Task   TaskID         `json:"task,omitzero"`   // what it is about, if a task
	Run    RunID          `json:"run,omitzero"`    // and which attempt
	Tenant string         `json:"tenant,omitzero"` // the task's tenant at that time
	Actor  Actor          `json:"actor"`           // who caused it, as the door established it
	Cmd    CommandID      `json:"cmd"`             // the command it is part of
	Cause  uint64         `json:"cause,omitzero"`  // position of the earlier event that led to this one
	Data   jsontext.Value `json:"data"`            // the payload, an object as its type says
	Text   Digest         `json:"text,omitzero"`   // SHA-256 of the record's text, if it has one
}

func (e *envelope) record(data Payload) Record {
	return Record{e.Seq, e.ID, e.Time, e.Task, e.Run, e.Tenant, e.Actor, e.Cmd, e.Cause, data, e.Text}
}

// decodeAny reads a record in any order of members and any spelling of strings.
func decodeAny(b []byte) (Record, error) {
	var e envelope
	if err := json.Unmarshal(b, &e, strict); err != nil {
		return Record{}, err
	}
	if e.Data.Kind() != '{' {
		return Record{}, errors.New("data is not an object")
	}
	data, err := production.payload(e.Type, e.V, e.Data)
	if err != nil {
		return Record{}, err
	}
	r := e.record(data)
	return r, r.check()
}

// CheckCanonical reports whether b is the one way to write the record in it:
// decoding and encoding again, as the version that was stored, gives the same
// bytes. Errors match ErrDamaged.
func CheckCanonical(b []byte) error {
	if r, ok := decodeCanonical(b, nil); ok {
		if again, err := Encode(r); err == nil && bytes.Equal(again, b) {
			return nil
		}
	}
	again, err := reencode(b, production)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case !bytes.Equal(again, b):
		return fmt.Errorf("%w: record is not in canonical form, which is %s", ErrDamaged, again)
	}
	return nil
}

// reencode reads b in the general way and writes it by struct tags, as the
// version that was stored.
func reencode(b []byte, c catalog) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(b, &e, strict); err != nil {
		return nil, err
	}
	value, err := c.asStored(e.Type, e.V, e.Data)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(value)
	if err == nil {
		_, err = c.asStored(e.Type, e.V, data)
	}
	if err != nil {
		return nil, err
	}
	r := e.record(nil)
	var enc Encoder
	w, start := enc.begin()
	r.walkHead(w, &e.Type, &e.V)
	w.b = append(w.b, data...)
	return finish(w, start, &r, e.Type)
}

// EncodeText returns the canonical bytes of t. It refuses a zero salt, and
// returns ErrTooLarge over MaxTextBytes. Safe for concurrent use.
func EncodeText(t Text) ([]byte, error) {
	var e Encoder
	return e.EncodeText(t.Salt, &t.Fields)
}

// EncodeText is [EncodeText].
func (e *Encoder) EncodeText(salt Salt, f *Fields) ([]byte, error) {
	if salt == (Salt{}) {
		return nil, errors.New("encode text: the salt is zero")
	}
	w, start := e.begin()
	w.writeText(salt, f)
	b := w.b[start:len(w.b):len(w.b)]
	if w.err != nil {
		return nil, fmt.Errorf("encode text: %w", w.err)
	}
	if len(b) > MaxTextBytes {
		return nil, fmt.Errorf("encode text: %w: %d bytes, at most %d", ErrTooLarge, len(b), MaxTextBytes)
	}
	return b, nil
}

// DecodeText reads a text as strictly as [Decode] reads a record.
func DecodeText(b []byte) (Text, error) {
	if len(b) > MaxTextBytes {
		return Text{}, fmt.Errorf("%w: text: %w: %d bytes, at most %d", ErrDamaged, ErrTooLarge, len(b), MaxTextBytes)
	}
	var t Text
	err := json.Unmarshal(b, &t, strict)
	if err == nil && t.Salt == (Salt{}) {
		err = errors.New("the salt is zero")
	}
	if err != nil {
		return Text{}, fmt.Errorf("%w: text: %w", ErrDamaged, err)
	}
	return t, nil
}

// CheckCanonicalText is [CheckCanonical] for a text.
func CheckCanonicalText(b []byte) error {
	t, err := DecodeText(b)
	if err != nil {
		return err
	}
	again, err := EncodeText(t)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("%w: text is not in canonical form", ErrDamaged)
	}
	return nil
}
