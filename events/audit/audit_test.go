package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const board = "01JABCDEFGHJKMNPQRSTVWXYZ0"

type entry struct{ record, text []byte }

func each(log []entry) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for _, e := range log {
			if !yield(e.record, e.text) {
				return
			}
		}
	}
}

// sampleLog writes a log as FORMAT.md says, without the writer.
func sampleLog(n int) []entry {
	log := make([]entry, n)
	for i := range log {
		var e entry
		typ, data, digest := "task.commented", `{}`, ""
		if i == 0 {
			typ, data = "board.created", `{"board":"`+board+`","slug":"demo"}`
		}
		if i%3 == 1 {
			e.text = fmt.Appendf(nil, `{"salt":"%032x","fields":{"comment":"say \"%d\"\n","metadata":{"b":1.50,"a":null}}}`, i+1, i)
			sum := sha256.Sum256(e.text)
			digest = `,"text":"` + hex.EncodeToString(sum[:]) + `"`
		}
		cause := ""
		if i > 0 {
			cause = fmt.Sprintf(`,"cause":%d`, i)
		}
		e.record = fmt.Appendf(nil, `{"seq":%d,"id":"01JABCDEFGHJKMNPQRSTV%05d","time":"2026-03-04T05:06:07.%06dZ","type":"%s","v":1,"task":"t%d",`+
			`"actor":{"kind":"human","name":"käthe"},"cmd":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"%s,"data":%s%s}`, i+1, i, i, typ, i+1, cause, data, digest)
		log[i] = e
	}
	return log
}

// mth is the definition of RFC 6962 section 2.1, word for word.
func mth(leaves []entry) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0].record...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := mth(leaves[:k]), mth(leaves[k:])
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// sign makes a checkpoint of a whole log.
func sign(log []entry, origin string, key ed25519.PrivateKey) Checkpoint {
	root := mth(log)
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, len(log), base64.StdEncoding.EncodeToString(root[:]))
	public := key.Public().(ed25519.PublicKey)
	signature := binary.BigEndian.AppendUint32(nil, keyHash(origin, public))
	signature = append(signature, ed25519.Sign(key, []byte(text))...)
	note := text + "\n— " + origin + " " + base64.StdEncoding.EncodeToString(signature) + "\n"
	return Checkpoint{[]byte(note), public}
}

func TestTreeIsThatOfTheRFC(t *testing.T) {
	log := sampleLog(70)
	var tr tree
	for n := range log {
		if got, want := tr.root(), mth(log[:n]); got != want {
			t.Fatalf("size %d: got %x, want %x", n, got, want)
		}
		tr.add(log[n].record)
	}
}

func TestSoundLog(t *testing.T) {
	log, key := sampleLog(50), testKey(1)
	log[4].text = nil // erased
	report := Check(each(log),
		sign(log, originPrefix+board, key), sign(log[:0], originPrefix+board, key),
		sign(log[:17], originPrefix+board, key), sign(log[:17], originPrefix+board, key))
	if len(report.Problems) != 0 || report.Size != 50 || report.Root != mth(log) || report.Erased != 1 {
		t.Errorf("got %+v, want a sound log of 50 with one text erased", report)
	}
}

// renumber repairs positions and causes after a record was moved, as someone
// who knows the format would.
func renumber(log []entry) []entry {
	for i, e := range log {
		var old uint64
		if _, err := fmt.Sscanf(string(e.record), `{"seq":%d,`, &old); err != nil {
			panic(err)
		}
		s := strings.Replace(string(e.record), fmt.Sprintf(`{"seq":%d,`, old), fmt.Sprintf(`{"seq":%d,`, i+1), 1)
		log[i].record = []byte(strings.Replace(s, fmt.Sprintf(`,"cause":%d`, old-1), fmt.Sprintf(`,"cause":%d`, i), 1))
	}
	return log
}

// Whoever tampers with a log and repairs it so that it is sound in itself is
// found by a checkpoint, and only by it.
func TestSkilfulTampering(t *testing.T) {
	checkpoint := sign(sampleLog(40), originPrefix+board, testKey(1))
	for name, tamper := range map[string]func([]entry) []entry{
		"edited":   func(l []entry) []entry { l[20].record = edit(l[20].record, "käthe", "kurt"); return l },
		"deleted":  func(l []entry) []entry { return renumber(slices.Delete(l, 20, 21)) },
		"inserted": func(l []entry) []entry { return renumber(slices.Insert(l, 20, entry{record: l[2].record})) },
		"swapped":  func(l []entry) []entry { l[20], l[23] = l[23], l[20]; return renumber(l) },
		"moved in time": func(l []entry) []entry {
			l[20].record = edit(l[20].record, "2026-03-04", "2026-03-03")
			return l
		},
		"last edited":      func(l []entry) []entry { l[39].record = edit(l[39].record, "käthe", "kurt"); return l },
		"last cut off":     func(l []entry) []entry { return l[:39] },
		"all cut off":      func(l []entry) []entry { return l[:1] },
		"text and digest":  forgeText,
		"actor kind":       func(l []entry) []entry { l[20].record = edit(l[20].record, `"human"`, `"system"`); return l },
		"first replaced":   func(l []entry) []entry { l[0].record = edit(l[0].record, `"demo"`, `"omed"`); return l },
		"another's record": func(l []entry) []entry { l[20].record = edit(l[20].record, `"t21"`, `"t22"`); return l },
	} {
		if r := Check(each(tamper(sampleLog(40)))); len(r.Problems) != 0 {
			t.Errorf("%s: got %v without a checkpoint; the test is not skilful", name, r.Problems)
		}
		if r := Check(each(tamper(sampleLog(40))), checkpoint); len(r.Problems) == 0 {
			t.Errorf("%s: got no problem", name)
		}
	}
}

func edit(b []byte, from, to string) []byte {
	s := strings.Replace(string(b), from, to, 1)
	if s == string(b) {
		panic("nothing was edited: " + from)
	}
	return []byte(s)
}

func forgeText(l []entry) []entry {
	old := sha256.Sum256(l[19].text)
	l[19].text = edit(l[19].text, "say", "shout")
	sum := sha256.Sum256(l[19].text)
	l[19].record = edit(l[19].record, hex.EncodeToString(old[:]), hex.EncodeToString(sum[:]))
	return l
}

// Without any repair most tampering is found even without a checkpoint.
func TestClumsyTampering(t *testing.T) {
	for name, tamper := range map[string]func([]entry) []entry{
		"deleted":          func(l []entry) []entry { return slices.Delete(l, 20, 21) },
		"inserted":         func(l []entry) []entry { return slices.Insert(l, 20, l[2]) },
		"swapped":          func(l []entry) []entry { l[20], l[23] = l[23], l[20]; return l },
		"text edited":      func(l []entry) []entry { l[19].text = edit(l[19].text, "say", "sag"); return l },
		"text added":       func(l []entry) []entry { l[20].text = l[19].text; return l },
		"text swapped":     func(l []entry) []entry { l[19].text, l[22].text = l[22].text, l[19].text; return l },
		"beginning is cut": func(l []entry) []entry { return renumber(l[1:]) },
		"empty record":     func(l []entry) []entry { l[20].record = nil; return l },
	} {
		if r := Check(each(tamper(sampleLog(40)))); len(r.Problems) == 0 {
			t.Errorf("%s: got no problem", name)
		}
	}
}

// No byte of a record or a text can be changed, dropped or doubled.
func TestEveryByteCounts(t *testing.T) {
	checkpoint := sign(sampleLog(6), originPrefix+board, testKey(1))
	change := map[string]func(b []byte, i int) []byte{
		"flipped": func(b []byte, i int) []byte { c := bytes.Clone(b); c[i] ^= 1; return c },
		"dropped": func(b []byte, i int) []byte { return slices.Delete(bytes.Clone(b), i, i+1) },
		"added":   func(b []byte, i int) []byte { return slices.Insert(bytes.Clone(b), i, ' ') },
	}
	for name, change := range change {
		for i := range sampleLog(6)[4].record {
			log := sampleLog(6)
			log[4].record = change(log[4].record, i)
			if r := Check(each(log), checkpoint); len(r.Problems) == 0 {
				t.Errorf("byte %d of a record %s: got no problem", i, name)
			}
		}
		for i := range sampleLog(6)[4].text {
			log := sampleLog(6)
			log[4].text = change(log[4].text, i)
			if r := Check(each(log), checkpoint); len(r.Problems) == 0 {
				t.Errorf("byte %d of a text %s: got no problem", i, name)
			}
		}
	}
}

func TestCheckpointsThatDoNotCount(t *testing.T) {
	log, key := sampleLog(9), testKey(1)
	good := sign(log, originPrefix+board, key)
	other := originPrefix + "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
	for name, checkpoint := range map[string]Checkpoint{
		"another key":        {good.Note, testKey(2).Public().(ed25519.PublicKey)},
		"no key":             {good.Note, nil},
		"not a note":         {[]byte("hello"), good.Key},
		"no signature":       {good.Note[:bytes.Index(good.Note, []byte("\n\n"))+2], good.Key},
		"another board":      sign(log, other, key),
		"no board":           sign(log, "go.sum database tree", key),
		"another root":       sign(sampleLog(9)[1:], originPrefix+board, key),
		"a longer log":       sign(sampleLog(10), originPrefix+board, key),
		"an edited size":     {edit(good.Note, "\n9\n", "\n8\n"), good.Key},
		"another name signs": {edit(good.Note, "— "+originPrefix+board, "— "+other), good.Key},
	} {
		if r := Check(each(log), checkpoint); len(r.Problems) == 0 {
			t.Errorf("%s: got no problem", name)
		}
	}
	two := edit(good.Note, "\n\n", "\n\n— witness.example AAAAAAAA\n")
	if r := Check(each(log), Checkpoint{two, good.Key}); len(r.Problems) != 0 {
		t.Errorf("a witness's signature besides: got %v", r.Problems)
	}
}

func TestShape(t *testing.T) {
	good := string(sampleLog(2)[1].record)
	if _, problems := readRecord([]byte(good)); len(problems) != 0 {
		t.Fatal(problems)
	}
	for name, change := range map[string][2]string{
		"space":               {`"seq":2`, `"seq": 2`},
		"needless escape":     {`käthe`, `k\u00e4the`},
		"long escape":         {`käthe`, `k\u000athe`},
		"escaped solidus":     {`käthe`, `k\/the`},
		"half a surrogate":    {`käthe`, `k\ud800the`},
		"unknown member":      {`"v":1`, `"v":1,"w":1`},
		"duplicate member":    {`"v":1`, `"v":1,"v":1`},
		"order":               {`"type":"task.commented","v":1`, `"v":1,"type":"task.commented"`},
		"no id":               {`"id":"01JABCDEFGHJKMNPQRSTV00001",`, ``},
		"lower-case id":       {`01JABC`, `01jabc`},
		"large id":            {`01JABC`, `81JABC`},
		"zero cmd":            {`7ZZZZZZZZZZZZZZZZZZZZZZZZZ`, `00000000000000000000000000`},
		"no such day":         {`2026-03-04`, `2026-02-30`},
		"short time":          {`.000001Z`, `.001Z`},
		"version zero":        {`"v":1`, `"v":0`},
		"version a string":    {`"v":1`, `"v":"1"`},
		"task zero":           {`"t2"`, `"t0"`},
		"empty name":          {`"name":"käthe"`, `"name":""`},
		"unknown actor kind":  {`"human"`, `"robot"`},
		"unknown actor part":  {`"human"`, `"human","age":3`},
		"null data":           {`"data":{}`, `"data":null`},
		"null in data":        {`"data":{}`, `"data":{"x":null}`},
		"fraction in data":    {`"data":{}`, `"data":{"x":[1.5]}`},
		"exponent in data":    {`"data":{}`, `"data":{"x":1e3}`},
		"minus zero in data":  {`"data":{}`, `"data":{"x":-0}`},
		"duplicate in data":   {`"data":{}`, `"data":{"x":1,"x":1}`},
		"no record":           {good, `null`},
		"a list":              {good, `[]`},
		"trailing":            {good, good + `{}`},
		"white space after":   {good, good + "\n"},
		"not UTF-8":           {`käthe`, "k\xffthe"},
		"too long":            {`käthe`, strings.Repeat("k", maxRecord)},
		"digest too short":    {`"text":"`, `"text":"ab"}` + `//`},
		"digest in the wrong": {`"data":{},`, `"text":"` + strings.Repeat("ab", 32) + `","data":{},`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: nothing was edited", name)
		}
		if _, problems := readRecord([]byte(bad)); len(problems) == 0 {
			t.Errorf("%s: got no problem with %s", name, bad)
		}
	}
	for _, bad := range []string{`null`, `{}`, `{"salt":"ab","fields":{}}`, `{"fields":{},"salt":"` + strings.Repeat("ab", 16) + `"}`,
		`{"salt":"` + strings.Repeat("00", 16) + `","fields":{}}`, `{"salt":"` + strings.Repeat("ab", 16) + `","fields":{"mood":"x"}}`,
		`{"salt":"` + strings.Repeat("ab", 16) + `","fields":{"options":[1]}}`} {
		if problems := readText([]byte(bad)); len(problems) == 0 {
			t.Errorf("got no problem with text %s", bad)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	log := make([]entry, 700) // two or more problems each
	r := Check(each(log))
	if len(r.Problems) != maxProblems || r.Omitted == 0 {
		t.Errorf("got %d problems and %d omitted, want %d and some", len(r.Problems), r.Omitted, maxProblems)
	}
}

// What the writer wrote, as frozen in its golden vectors, is sound.
func TestWriterAgrees(t *testing.T) {
	var checkpoint struct {
		Verifier string
		Records  []string
		Note     string
	}
	readJSON(t, "../testdata/vectors/checkpoint.json", &checkpoint)
	origin, key, err := ParseKey(checkpoint.Verifier)
	if err != nil || !strings.HasPrefix(checkpoint.Note, origin+"\n") {
		t.Fatalf("got key of %s, %v", origin, err)
	}
	var log []entry
	for _, r := range checkpoint.Records {
		log = append(log, entry{record: []byte(r)})
	}
	if r := Check(each(log), Checkpoint{[]byte(checkpoint.Note), key}); len(r.Problems) != 0 {
		t.Errorf("checkpoint vector: %v", r.Problems)
	}

	var text struct{ Text string }
	readJSON(t, "../testdata/vectors/text.json", &text)
	if problems := readText([]byte(text.Text)); len(problems) != 0 {
		t.Errorf("text vector: %v", problems)
	}

	paths, err := filepath.Glob("../testdata/vectors/*.v*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("got %d vectors, %v", len(paths), err)
	}
	for _, path := range paths {
		var v struct{ Full, Minimal string }
		readJSON(t, path, &v)
		for _, b := range []string{v.Full, v.Minimal} {
			if _, problems := readRecord([]byte(b)); len(problems) != 0 {
				t.Errorf("%s: %v", path, problems)
			}
		}
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for _, bad := range []string{"", "name", "name+00000000", "name+00000000+AAAA",
		"name+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{1}, testKey(1)[32:]...))} {
		if name, _, err := ParseKey(bad); err == nil {
			t.Errorf("%q: got key of %q, want an error", bad, name)
		}
	}
}

// The verifier is worth something only while it shares no code with the writer.
func TestImportsOnlyStd(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("got %d files, %v", len(paths), err)
	}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if first, _, _ := strings.Cut(strings.Trim(i.Path.Value, `"`), "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	log := sampleLog(1000)
	for b.Loop() {
		if r := Check(each(log)); len(r.Problems) > 0 {
			b.Fatal(r.Problems)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
