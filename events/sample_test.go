package events

import (
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"
)

var sampleTime = time.Date(2026, 3, 4, 5, 6, 7, 890123000, time.UTC)

// enums lists every enum with its words; FORMAT.md does too.
var enums = []struct {
	typ   reflect.Type
	name  string
	words words
}{
	{reflect.TypeFor[Status](), "status", statusWords},
	{reflect.TypeFor[Verdict](), "verdict", verdictWords},
	{reflect.TypeFor[Needs](), "needs", needsWords},
	{reflect.TypeFor[BlockKind](), "block kind", blockKindWords},
	{reflect.TypeFor[Outcome](), "outcome", outcomeWords},
	{reflect.TypeFor[Then](), "then", thenWords},
	{reflect.TypeFor[ActorKind](), "actor kind", actorKindWords},
	{reflect.TypeFor[Role](), "role", roleWords},
	{reflect.TypeFor[WorkspaceKind](), "workspace kind", workspaceKindWords},
	{reflect.TypeFor[Order](), "order", orderWords},
}

func wordsOf(t reflect.Type) words {
	for _, e := range enums {
		if e.typ == t {
			return e.words
		}
	}
	return nil
}

// source decides about the values that fill puts into a struct.
type source interface {
	skip(what string) bool // leave an optional member out
	length() int           // of a list
	number(lo, hi int64) int64
	unsigned(hi uint64) uint64
	text(member string) string
}

// fill sets v, a member called name, to a value that can be written.
func fill(s source, v reflect.Value, name string, omitzero bool) {
	if omitzero && s.skip(name) {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *Time:
		*p = Time(s.number(int64(minTime), int64(maxTime)))
		if *p == 0 {
			*p = 1
		}
		return
	case *TaskID:
		*p = TaskID(1 + s.unsigned(math.MaxUint32-1))
		return
	case *RunID:
		*p = RunID{TaskID(1 + s.unsigned(math.MaxUint32-1)), uint32(1 + s.unsigned(math.MaxUint32-1))}
		return
	case *Digest:
		*p = DigestOf([]byte(s.text(name)))
		return
	case *ULID:
		sum := DigestOf([]byte(s.text(name)))
		*p = ULID(sum[:16])
		return
	case *jsontext.Value:
		*p = jsontext.Value(`{"b":[1,2.50,null],"a":"x"}`)
		return
	}
	if w := wordsOf(v.Type()); w != nil {
		v.SetUint(1 + s.unsigned(uint64(len(w)-2)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			member, opt := memberOf(v.Type().Field(i))
			fill(s, v.Field(i), member, opt)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(s, v.Elem(), name, false)
	case reflect.Slice:
		n := s.length()
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(s, v.Index(i), name, false)
		}
	case reflect.String:
		v.SetString(s.text(name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(s.number(math.MinInt32, math.MaxInt32))
	case reflect.Int64:
		v.SetInt(s.number(math.MinInt64, math.MaxInt64))
	case reflect.Uint8:
		v.SetUint(s.unsigned(math.MaxUint8))
	case reflect.Uint32:
		v.SetUint(s.unsigned(math.MaxUint32))
	case reflect.Uint64:
		v.SetUint(s.unsigned(math.MaxUint64))
	default:
		panic("no sample for " + v.Type().String())
	}
}

// memberOf returns the name that a field has in JSON and whether it may be left out.
func memberOf(f reflect.StructField) (name string, omitzero bool) {
	name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, option == "omitzero"
}

// drawn fills with whatever rapid thinks of.
type drawn struct{ *rapid.T }

func (d drawn) skip(name string) bool { return rapid.Bool().Draw(d.T, "without "+name) }
func (d drawn) length() int           { return rapid.IntRange(0, 3).Draw(d.T, "length") }
func (d drawn) number(lo, hi int64) int64 {
	return rapid.Int64Range(lo, hi).Draw(d.T, "number")
}
func (d drawn) unsigned(hi uint64) uint64 { return rapid.Uint64Range(0, hi).Draw(d.T, "unsigned") }
func (d drawn) text(name string) string   { return rapid.String().Draw(d.T, name) }

// fixed fills every member, or only the required ones, always the same way.
type fixed struct{ minimal bool }

func (f fixed) skip(string) bool { return f.minimal }
func (f fixed) length() int      { return 2 }
func (f fixed) number(lo, hi int64) int64 {
	if lo == int64(minTime) {
		return int64(TimeOf(sampleTime))
	}
	return min(42, hi)
}
func (f fixed) unsigned(hi uint64) uint64 { return min(6, hi) }
func (f fixed) text(name string) string   { return name }

// payloadOf returns a filled payload of a kind.
func payloadOf(s source, k Kind) Payload {
	v := reflect.New(reflect.TypeOf(k.Zero)).Elem()
	fill(s, v, "data", false)
	return v.Interface().(Payload)
}

// drawRecord returns any record that can be written.
func drawRecord(t *rapid.T, k Kind) Record {
	var e envelope
	s := drawn{t}
	for i, v := 0, reflect.ValueOf(&e).Elem(); i < v.NumField(); i++ {
		f := v.Type().Field(i)
		if f.Name == "Type" || f.Name == "V" || f.Name == "Data" {
			continue
		}
		member, omitzero := memberOf(f)
		fill(s, v.Field(i), member, omitzero)
	}
	e.Seq = max(e.Seq, 1)
	e.Cause = min(e.Cause, e.Seq-1)
	return e.record(payloadOf(s, k))
}

// fixedRecord is the record of a kind in the golden vectors.
func fixedRecord(k Kind, minimal bool) Record {
	r := Record{
		Seq:   7,
		ID:    ulid.MustParseStrict("01JABCDEFGHJKMNPQRSTVWXYZ0"),
		Time:  TimeOf(sampleTime),
		Actor: Actor{Kind: System},
		Cmd:   ulid.MustParseStrict("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
		Data:  payloadOf(fixed{minimal}, k),
	}
	if !minimal {
		r.Task, r.Run, r.Tenant, r.Cause = 42, RunID{42, 1}, "acme \"north\" \\ zürich\n\u2028\x01", 6
		r.Actor = Actor{Kind: Human, Name: "käthe", Via: "telegram"}
		r.Text = DigestOf(fixedTextBytes())
	}
	return r
}

func fixedText() Text {
	t := Text{Salt: Salt{0xab, 1, 2, 3, 15: 0xff}}
	fill(fixed{}, reflect.ValueOf(&t.Fields).Elem(), "fields", false)
	return t
}

func fixedTextBytes() []byte {
	b, err := EncodeText(fixedText())
	if err != nil {
		panic(err)
	}
	return b
}
