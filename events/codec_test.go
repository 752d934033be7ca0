package events

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	var shared Decoder
	for _, k := range Catalog() {
		t.Run(string(k.Type), rapid.MakeCheck(func(t *rapid.T) {
			want := drawRecord(t, k)
			b, err := Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			for name, decode := range map[string]func([]byte) (Record, error){
				"Decode": Decode, "Decoder": shared.Decode, "decodeAny": decodeAny,
			} {
				got, err := decode(b)
				if err != nil {
					t.Fatalf("%s(%s): %v", name, b, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%s(%s): %s", name, b, diff)
				}
			}
			agree(t, b)
			if err := CheckCanonical(b); err != nil {
				t.Fatal(err)
			}
		}))
	}
}

// The fast road takes all canonical bytes of hot types, or it would not be fast.
func TestFastRoadIsTaken(t *testing.T) {
	records := benchRecords()
	for _, k := range Catalog() {
		records = append(records, fixedRecord(k, true), fixedRecord(k, false))
	}
	encoded, _ := encodeAll(t, records)
	for _, b := range encoded {
		if _, ok := decodeCanonical(b, nil); !ok {
			t.Errorf("not read by the fast road: %s", b)
		}
	}
}

// agree fails unless both roads agree about b: what the fast one reads, the
// general one reads the same, and canonical bytes are encoded as they are.
func agree(t interface{ Fatalf(string, ...any) }, b []byte) {
	general, err := decodeAny(b)
	if fast, ok := decodeCanonical(b, new(interner)); ok {
		if err != nil {
			t.Fatalf("only the fast road reads %q: %v", b, err)
		}
		if diff := cmp.Diff(general, fast); diff != "" {
			t.Fatalf("the roads disagree on %q: %s", b, diff)
		}
	}
	again, err2 := reencode(b, production)
	if canonical := err == nil && err2 == nil && bytes.Equal(again, b); canonical != (CheckCanonical(b) == nil) {
		t.Fatalf("%q: canonical by struct tags: %v, but the check says %v", b, canonical, CheckCanonical(b))
	} else if canonical {
		if again, err := Encode(general); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q is canonical but is written %q (%v)", b, again, err)
		}
	}
}

func TestRoadsAgreeOnMutations(t *testing.T) {
	catalog := Catalog()
	rapid.Check(t, func(t *rapid.T) {
		b, err := Encode(drawRecord(t, rapid.SampledFrom(catalog).Draw(t, "kind")))
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "mutations") {
			b = mutate(t, b)
		}
		agree(t, b)
	})
}

// mutate changes a byte, or cuts, doubles or swaps a stretch.
func mutate(t *rapid.T, b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	from := rapid.IntRange(0, len(b)-1).Draw(t, "from")
	to := min(len(b), from+rapid.IntRange(1, 40).Draw(t, "length"))
	switch rapid.IntRange(0, 4).Draw(t, "how") {
	case 0:
		b = bytes.Clone(b)
		b[from] = rapid.Byte().Draw(t, "byte")
		return b
	case 1:
		return slicesJoin(b[:from], b[to:])
	case 2:
		return slicesJoin(b[:to], b[from:])
	case 3:
		piece := rapid.SampledFrom([]string{`"`, `\`, `\u0041`, `\ud800`, ` `, `,`, `{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `-`,
			`1e3`, `.0`, `00`, `18446744073709551615`, `18446744073709551616`, "\xff", "é", `"x":1,`, `"seq":1,`, `""`}).Draw(t, "piece")
		return slicesJoin(b[:from], []byte(piece), b[from:])
	default:
		return slicesJoin(b[:from], []byte(strings.ToUpper(string(b[from:to]))), b[to:])
	}
}

func slicesJoin(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

const minimal = `{"seq":7,"id":"01JABCDEFGHJKMNPQRSTVWXYZ0","time":"2026-03-04T05:06:07.890123Z","type":"task.assigned","v":1,` +
	`"actor":{"kind":"system"},"cmd":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ","data":{"assignee":"kai"}}`

func TestDecodeRefuses(t *testing.T) {
	if _, err := Decode([]byte(minimal)); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"unknown member":           {`"seq":7`, `"seq":7,"mood":1`},
		"unknown member of data":   {`{"assignee"`, `{"mood":1,"assignee"`},
		"unknown member of actor":  {`{"kind"`, `{"mood":1,"kind"`},
		"duplicate member":         {`"seq":7`, `"seq":7,"seq":7`},
		"duplicate member of data": {`{"assignee":"kai"`, `{"assignee":"kai","assignee":"kai"`},
		"other case":               {`"seq"`, `"Seq"`},
		"no seq":                   {`"seq":7,`, ``},
		"seq zero":                 {`"seq":7`, `"seq":0`},
		"seq negative":             {`"seq":7`, `"seq":-7`},
		"seq a fraction":           {`"seq":7`, `"seq":7.0`},
		"seq a string":             {`"seq":7`, `"seq":"7"`},
		"seq too large":            {`"seq":7`, `"seq":18446744073709551616`},
		"cause not before":         {`"data"`, `"cause":7,"data"`},
		"id in lower case":         {`01JABC`, `01jabc`},
		"id with other letters":    {`01JABC`, `01JILO`},
		"id too large":             {`01JABC`, `81JABC`},
		"time with a comma":        {`.890123Z`, `,890123Z`},
		"time with a zone":         {`.890123Z`, `.890123+00:00`},
		"time too short":           {`.890123Z`, `.890Z`},
		"no such day":              {`2026-03-04`, `2026-02-29`},
		"leap second":              {`05:06:07`, `05:06:60`},
		"unknown type":             {`task.assigned`, `task.sung`},
		"unknown version":          {`"v":1`, `"v":2`},
		"version zero":             {`"v":1`, `"v":0`},
		"unknown word":             {`"system"`, `"System"`},
		"empty word":               {`"system"`, `""`},
		"no actor":                 {`"actor":{"kind":"system"},`, ``},
		"task with leading zero":   {`"actor"`, `"task":"t042","actor"`},
		"task zero":                {`"actor"`, `"task":"t0","actor"`},
		"run without number":       {`"actor"`, `"run":"t42","actor"`},
		"no data":                  {`,"data":{"assignee":"kai"}`, ``},
		"data null":                {`{"assignee":"kai"}`, `null`},
		"data a list":              {`{"assignee":"kai"}`, `[]`},
		"digest in upper case":     {`"kai"}`, `"kai"},"text":"` + strings.Repeat("AB", 32) + `"`},
		"digest too short":         {`"kai"}`, `"kai"},"text":"abcd"`},
		"invalid UTF-8":            {`kai`, "k\xffi"},
		"half a surrogate":         {`kai`, `k\ud800i`},
		"control character":        {`kai`, "k\ni"},
		"trailing bytes":           {`"kai"}}`, `"kai"}}{}`},
		"cut short":                {`"kai"}}`, `"kai"}`},
	} {
		b := strings.Replace(minimal, edit[0], edit[1], 1)
		if b == minimal {
			t.Fatalf("%s: nothing was edited", name)
		}
		if r, err := Decode([]byte(b)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %+v, %v, want ErrDamaged\n%s", name, r, err, b)
		}
	}
}

// What is read but has another spelling is found by the canonical check.
func TestCheckCanonical(t *testing.T) {
	if err := CheckCanonical([]byte(minimal)); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"space":                {`"seq":7`, `"seq": 7`},
		"escape":               {`"kai"`, `"k\u0061i"`},
		"order":                {`"seq":7,"id":"01JABCDEFGHJKMNPQRSTVWXYZ0"`, `"id":"01JABCDEFGHJKMNPQRSTVWXYZ0","seq":7`},
		"zero written out":     {`"actor"`, `"tenant":"","actor"`},
		"null":                 {`"actor"`, `"tenant":null,"actor"`},
		"member left out":      {`"assignee":"kai"`, ``},
		"line feed at the end": {`"kai"}}`, "\"kai\"}}\n"},
	} {
		b := []byte(strings.Replace(minimal, edit[0], edit[1], 1))
		if _, err := Decode(b); err != nil {
			t.Errorf("%s: got %v from Decode", name, err)
		}
		if err := CheckCanonical(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v, want ErrDamaged", name, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Record){
		"no data":        func(r *Record) { r.Data = nil },
		"no seq":         func(r *Record) { r.Seq = 0 },
		"no id":          func(r *Record) { r.ID = ULID{} },
		"no time":        func(r *Record) { r.Time = 0 },
		"year 10000":     func(r *Record) { r.Time = maxTime + 1 },
		"year -1":        func(r *Record) { r.Time = minTime - 1 },
		"no actor":       func(r *Record) { r.Actor.Kind = 0 },
		"no cmd":         func(r *Record) { r.Cmd = CommandID{} },
		"cause ahead":    func(r *Record) { r.Cause = r.Seq },
		"half a run":     func(r *Record) { r.Run = RunID{Task: 1} },
		"tenant":         func(r *Record) { r.Tenant = "\xff" },
		"no status":      func(r *Record) { r.Data = TaskPromoted{} },
		"unknown status": func(r *Record) { r.Data = TaskPromoted{To: 99} },
		"no task":        func(r *Record) { r.Data = TaskCreated{Status: Todo, Parents: []Edge{{Needs: NeedsAny}}} },
		"cold, no task":  func(r *Record) { r.Data = TaskLinked{Needs: NeedsAny} },
		"cold, no word":  func(r *Record) { r.Data = TaskScheduled{At: maxTime + 1} },
		"not in catalog": func(r *Record) { r.Data = unheardOf{} },
	} {
		r := benchRecords()[1]
		spoil(&r)
		if b, err := Encode(r); err == nil {
			t.Errorf("%s: got %s, want an error", name, b)
		}
	}
}

type unheardOf struct{}

func (unheardOf) Type() Type { return "task.unheard" }

func TestLimits(t *testing.T) {
	r := benchRecords()[0]
	r.Tenant = ""
	b, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Tenant = strings.Repeat("x", MaxRecordBytes-len(b)-len(`"tenant":"",`))
	if b, err = Encode(r); err != nil || len(b) != MaxRecordBytes {
		t.Fatalf("got %d bytes, %v, want just %d", len(b), err, MaxRecordBytes)
	}
	if _, err := Decode(b); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	r.Tenant += "x"
	if _, err := Encode(r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if _, err := Decode(append(b, ' ')); !errors.Is(err, ErrTooLarge) || !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrTooLarge and ErrDamaged", err)
	}

	text := Text{Salt: Salt{1}, Fields: Fields{Body: "x"}}
	b, err = EncodeText(text)
	if err != nil {
		t.Fatal(err)
	}
	text.Fields.Body = strings.Repeat("x", MaxTextBytes-len(b)+1)
	if b, err = EncodeText(text); err != nil || len(b) != MaxTextBytes {
		t.Fatalf("got %d bytes, %v, want just %d", len(b), err, MaxTextBytes)
	}
	text.Fields.Body += "x"
	if _, err := EncodeText(text); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if _, err := DecodeText(append(b, ' ')); !errors.Is(err, ErrTooLarge) || !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v, want ErrTooLarge and ErrDamaged", err)
	}
}

func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Text{Salt: Salt{1}}
		fill(drawn{t}, reflect.ValueOf(&want.Fields).Elem(), "fields", false)
		b, err := EncodeText(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeText(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if err := CheckCanonicalText(b); err != nil {
			t.Fatal(err)
		}
	})

	given := Text{Salt: Salt{1}, Fields: Fields{Metadata: jsontext.Value(` { "b" : 1.50, "a" : "\u0041\u2028" , "n" : null } `)}}
	b, err := EncodeText(given)
	want := `{"salt":"01000000000000000000000000000000","fields":{"metadata":{"b":1.50,"a":"A` + "\u2028" + `","n":null}}}`
	if string(b) != want || err != nil {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	for _, bad := range []string{`{`, `{"a":1,"a":2}`, `1 2`, "\"\xff\"", `"\ud800"`} {
		if b, err := EncodeText(Text{Salt: Salt{1}, Fields: Fields{Metadata: jsontext.Value(bad)}}); err == nil {
			t.Errorf("metadata %s: got %s, want an error", bad, b)
		}
	}
	if b, err := EncodeText(Text{}); err == nil {
		t.Errorf("no salt: got %s, want an error", b)
	}
	for _, bad := range []string{``, `{}`, `null`,
		`{"salt":"00000000000000000000000000000000","fields":{}}`,
		`{"salt":"AB000000000000000000000000000000","fields":{}}`,
		`{"salt":"ab000000000000000000000000000000","fields":{"mood":"x"}}`,
		`{"salt":"ab000000000000000000000000000000","fields":{}}x`} {
		if got, err := DecodeText([]byte(bad)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %+v, %v, want ErrDamaged", bad, got, err)
		}
	}
	if err := CheckCanonicalText([]byte(`{"fields":{},"salt":"ab000000000000000000000000000000"}`)); !errors.Is(err, ErrDamaged) {
		t.Errorf("other order: got %v, want ErrDamaged", err)
	}
}

func TestTimeAgreesWithStd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Time(rapid.Int64Range(int64(minTime), int64(maxTime)).Draw(t, "time"))
		got, ok := parseTime([]byte(want.Time().Format(timeLayout)))
		if !ok || got != want {
			t.Fatalf("got %v, %v, want %v", got, ok, want)
		}
	})
	for _, at := range []Time{minTime, maxTime, -1, 1} {
		if got, ok := parseTime([]byte(at.String())); !ok || got != at {
			t.Errorf("%v: got %v, %v", at, got, ok)
		}
	}
}

func TestDecoderShares(t *testing.T) {
	encoded, _ := encodeAll(t, benchRecords())
	var d Decoder
	for _, b := range encoded { // the first round fills the table
		if _, err := d.Decode(b); err != nil {
			t.Fatal(err)
		}
	}
	promoted := encoded[1]
	if got := testing.AllocsPerRun(100, func() { _, _ = d.Decode(promoted) }); got > 2 {
		t.Errorf("got %v allocations a record, want 2 (payload and wire, no strings)", got)
	}
}

func TestCommandIDs(t *testing.T) {
	a, b := BoardID{1}, BoardID{2}
	seen := map[CommandID]string{}
	for name, id := range map[string]CommandID{
		"a/x/yz": ForeignCommandID(a, "x", "yz"),
		"a/xy/z": ForeignCommandID(a, "xy", "z"),
		"b/x/yz": ForeignCommandID(b, "x", "yz"),
		"a//xyz": ForeignCommandID(a, "", "xyz"),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are both %s", name, other, id)
		}
		seen[id] = name
	}
	if got, want := ForeignCommandID(a, "x", "yz").String(), "4VNHK2MAJ2EAHYBKKKZZR5KC0W"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	check := CheckOf(Actor{Human, "ann", "cli"}, []byte("content"))
	if got, want := hex.EncodeToString(check[:]), "c8ac735f029d0f45a319e4e8305487ee"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if CheckOf(Actor{Human, "an", "ncli"}, []byte("content")) == check {
		t.Error("two actors have one check")
	}
}

// A text is written by hand as its struct tags say.
func TestEncodeTextAsTagged(t *testing.T) {
	values := []reflect.Value{}
	for _, v := range []any{"", "plain", "\"\\/\b\f\n\r\t\x01\x7f", "Grüße \u2028 <&> 🐢", "bad \xff", []string(nil), []string{}, []string{"", "a\"", "ü"},
		jsontext.Value(nil), jsontext.Value(`{"b": [1, 2], "a" : "\u00fc"}`), jsontext.Value(``), jsontext.Value(`{"a":1,"a":2}`)} {
		values = append(values, reflect.ValueOf(v))
	}
	tried := 0
	for i := range reflect.TypeFor[Fields]().NumField() {
		for _, v := range values {
			text := Text{Salt: Salt{1, 0xab}, Fields: Fields{Note: "n"}}
			field := reflect.ValueOf(&text.Fields).Elem().Field(i)
			if field.Type() != v.Type() {
				continue
			}
			field.Set(v)
			want, wantErr := json.Marshal(text)
			got, err := EncodeText(text)
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
				t.Errorf("field %d: got %s, %v, want %s, %v", i, got, err, want, wantErr)
			}
			tried++
		}
	}
	if tried < 50 {
		t.Errorf("%d values tried, want more", tried)
	}
}
