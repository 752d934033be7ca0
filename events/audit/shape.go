package audit

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxRecord = 60 << 10
	maxText   = 256 << 10
)

var (
	ulidForm    = regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`)
	timeForm    = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)
	typeForm    = regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
	taskForm    = regexp.MustCompile(`^t[1-9][0-9]{0,9}$`)
	runForm     = regexp.MustCompile(`^t[1-9][0-9]{0,9}\.[1-9][0-9]{0,9}$`)
	kindForm    = regexp.MustCompile(`^(human|worker|dispatcher|gateway|system)$`)
	digestForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	saltForm    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	anyForm     = regexp.MustCompile(`^(?s).+$`)
	integerForm = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
)

// rule is one member of an object of fixed shape. Exactly one of form and
// check is set.
type rule struct {
	name     string
	optional bool
	form     *regexp.Regexp       // a string that matches
	check    func(v value) string // what is wrong with the value
}

var recordRules = []rule{
	{name: "seq", check: positive},
	{name: "id", check: nonzero(ulidForm)},
	{name: "time", check: instant},
	{name: "type", form: typeForm},
	{name: "v", check: positive},
	{name: "task", form: taskForm, optional: true},
	{name: "run", form: runForm, optional: true},
	{name: "tenant", form: anyForm, optional: true},
	{name: "actor", check: func(v value) string { return shape(v, actorRules) }},
	{name: "cmd", check: nonzero(ulidForm)},
	{name: "cause", check: positive, optional: true},
	{name: "data", check: payload},
	{name: "text", check: nonzero(digestForm), optional: true},
}

var actorRules = []rule{
	{name: "kind", form: kindForm},
	{name: "name", form: anyForm, optional: true},
	{name: "via", form: anyForm, optional: true},
}

var textRules = []rule{
	{name: "salt", check: nonzero(saltForm)},
	{name: "fields", check: func(v value) string { return shape(v, fieldRules) }},
}

var fieldRules = []rule{
	{name: "title", form: anyForm, optional: true},
	{name: "body", form: anyForm, optional: true},
	{name: "summary", form: anyForm, optional: true},
	{name: "result", form: anyForm, optional: true},
	{name: "comment", form: anyForm, optional: true},
	{name: "reason", form: anyForm, optional: true},
	{name: "answer", form: anyForm, optional: true},
	{name: "note", form: anyForm, optional: true},
	{name: "evidence", form: anyForm, optional: true},
	{name: "options", check: stringList, optional: true},
	{name: "names", check: stringList, optional: true},
	{name: "metadata", check: func(value) string { return "" }, optional: true},
}

// record is what the other checks need of a record; members that are missing
// or malformed are zero.
type record struct {
	seq, cause uint64
	typ, text  string
	board      string // board.created: the board's id
}

// readRecord checks one record by itself.
func readRecord(b []byte) (r record, problems []string) {
	if len(b) > maxRecord {
		problems = append(problems, fmt.Sprintf("has %d bytes, at most %d are allowed", len(b), maxRecord))
	}
	v, more, ok := parseCanonical(b)
	problems = append(problems, more...)
	if !ok {
		return r, problems
	}
	if p := shape(v, recordRules); p != "" {
		problems = append(problems, p)
	}
	o, _ := v.(object)
	r.seq, r.cause = o.number("seq"), o.number("cause")
	r.typ, r.text = o.string("type"), o.string("text")
	data, _ := o.get("data").(object)
	r.board = data.string("board")
	return r, problems
}

// readText checks one text by itself.
func readText(b []byte) (problems []string) {
	if len(b) > maxText {
		problems = append(problems, fmt.Sprintf("has %d bytes, at most %d are allowed", len(b), maxText))
	}
	v, more, ok := parseCanonical(b)
	problems = append(problems, more...)
	if ok {
		if p := shape(v, textRules); p != "" {
			problems = append(problems, p)
		}
	}
	return problems
}

// shape checks that v is an object with the members of rules, in their order.
func shape(v value, rules []rule) string {
	o, ok := v.(object)
	if !ok {
		return "is not an object"
	}
	for _, r := range rules {
		if len(o) == 0 || o[0].name != r.name {
			if !r.optional {
				return fmt.Sprintf("member %q is missing or out of order", r.name)
			}
			continue
		}
		if p := r.apply(o[0].value); p != "" {
			return fmt.Sprintf("member %q %s", r.name, p)
		}
		o = o[1:]
	}
	if len(o) > 0 {
		return fmt.Sprintf("member %q is unknown or out of order", o[0].name)
	}
	return ""
}

func (r rule) apply(v value) string {
	if r.check != nil {
		return r.check(v)
	}
	return matches(v, r.form)
}

func matches(v value, form *regexp.Regexp) string {
	if s, ok := v.(string); !ok || !form.MatchString(s) {
		return fmt.Sprintf("is %s, which is not of the form %s", canonical(nil, v), form)
	}
	return ""
}

// nonzero checks for a form, and that not all digits are 0.
func nonzero(form *regexp.Regexp) func(value) string {
	return func(v value) string {
		if s, ok := v.(string); ok && strings.Trim(s, "0") == "" {
			return "is zero"
		}
		return matches(v, form)
	}
}

func instant(v value) string {
	if p := matches(v, timeForm); p != "" {
		return p
	}
	if _, err := time.Parse(time.RFC3339Nano, v.(string)); err != nil {
		return fmt.Sprintf("is %s, which no calendar has", canonical(nil, v))
	}
	return ""
}

func positive(v value) string {
	n, _ := v.(json.Number)
	if i, err := strconv.ParseUint(string(n), 10, 64); err != nil || i == 0 || !integerForm.MatchString(string(n)) {
		return fmt.Sprintf("is %s, which is not a positive number", canonical(nil, v))
	}
	return ""
}

func stringList(v value) string {
	l, ok := v.(list)
	if !ok || slices.ContainsFunc(l, func(e value) bool { _, ok := e.(string); return !ok }) {
		return "is not a list of strings"
	}
	return ""
}

// payload checks what holds for all payloads: an object without null and
// without any number but integers.
func payload(v value) string {
	if _, ok := v.(object); !ok {
		return "is not an object"
	}
	return plain(v)
}

func plain(v value) string {
	switch v := v.(type) {
	case nil:
		return "contains null"
	case json.Number:
		if !integerForm.MatchString(string(v)) {
			return fmt.Sprintf("contains %s, which is not an integer", v)
		}
	case list:
		for _, e := range v {
			if p := plain(e); p != "" {
				return p
			}
		}
	case object:
		for _, m := range v {
			if p := plain(m.value); p != "" {
				return p
			}
		}
	}
	return ""
}

func (o object) get(name string) value {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func (o object) string(name string) string {
	s, _ := o.get(name).(string)
	return s
}

func (o object) number(name string) uint64 {
	n, _ := o.get(name).(json.Number)
	i, _ := strconv.ParseUint(string(n), 10, 64)
	return i
}
