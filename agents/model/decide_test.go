package model

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hermesboard/hermes/agents"
)

func TestAfter(t *testing.T) {
	talk, act := &reply{text: "Done."}, &reply{calls: []call{{Name: "shell"}}}
	long, no := &reply{text: "and so", stop: tooLong}, &reply{stop: declined}
	cutCall := &reply{stop: tooLong, calls: []call{{Name: "write_file"}}}
	for name, c := range map[string]struct {
		answers []*reply
		want    []deed
		says    string // in the last
	}{
		"calls":                     {[]*reply{act, act}, []deed{callTools, callTools}, ""},
		"a verdict is asked for":    {[]*reply{talk}, []deed{speak}, "kanban_complete or kanban_block"},
		"once":                      {[]*reply{talk, talk}, []deed{speak, giveUp}, "without a verdict"},
		"once since the last call":  {[]*reply{talk, act, talk, talk}, []deed{speak, callTools, speak, giveUp}, ""},
		"empty answers":             {[]*reply{{}, {}}, []deed{speak, giveUp}, ""},
		"a refusal is no verdict":   {[]*reply{no, no}, []deed{speak, giveUp}, ""},
		"cut off":                   {[]*reply{long, long, long, long, long}, []deed{speak, speak, speak, speak, giveUp}, ""},
		"cut off in a call":         {[]*reply{cutCall}, []deed{callTools}, ""},
		"the last answers are near": {[]*reply{act, act, act, act, act, act, act, act, act}, []deed{callTools, callTools, callTools, callTools, callTools, callTools, callTools, callTools, callTools}, "9 of your 10"},
		"the last answer":           {[]*reply{act, act, act, act, act, act, act, act, act, talk}, []deed{callTools, callTools, callTools, callTools, callTools, callTools, callTools, callTools, callTools, block}, "limit of 10 answers"},
		"the tokens": {[]*reply{act, {text: "x", tokens: agents.Tokens{Input: 500, CacheRead: 400, Output: 99, CacheWrite: 1}}}, []deed{callTools, block},
			"limit of 1000 tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			y := &tally{maxTurns: 10, maxTokens: 1000}
			var last next
			for i, r := range c.answers {
				if last = y.after(r); last.do != c.want[i] {
					t.Fatalf("answer %d: got %v (%s), want %v", i, last.do, last.say, c.want[i])
				}
			}
			if !strings.Contains(last.say, c.says) {
				t.Errorf("got %q, want %q in it", last.say, c.says)
			}
		})
	}
}

// TestLimit: calls of the last answer count, since one may be the verdict;
// nothing is asked after it.
func TestLimit(t *testing.T) {
	y := &tally{maxTurns: 2, maxTokens: 1000}
	act := &reply{calls: []call{{Name: "shell"}}}
	for i := range 2 {
		if y.spent() != "" {
			t.Fatalf("got %q before answer %d, want nothing", y.spent(), i)
		}
		if got := y.after(act); got.do != callTools {
			t.Fatalf("got %+v, want the calls carried out", got)
		}
	}
	if !strings.Contains(y.spent(), "limit of 2 answers") {
		t.Errorf("got %q", y.spent())
	}
}

func TestHostileCalls(t *testing.T) {
	object := json.RawMessage(`{"a":1}`)
	for name, c := range map[string]struct {
		in    call
		stop  stop
		wrong string // in why it is not carried out
		named string
		args  string
	}{
		"good":          {call{ID: "c1", Name: "shell", Args: object}, said, "", "shell", `{"a":1}`},
		"nothing":       {call{ID: "c1", Name: "kanban_show"}, said, "", "kanban_show", `{}`},
		"a bad id":      {call{ID: "../" + strings.Repeat("x", 100), Name: "shell", Args: object}, said, "", "shell", `{"a":1}`},
		"a bad name":    {call{ID: "c1", Name: "rm -rf /", Args: object}, said, "not the name", "no_such_tool", `{}`},
		"no name":       {call{ID: "c1", Args: object}, said, "not the name", "no_such_tool", `{}`},
		"a long name":   {call{ID: "c1", Name: strings.Repeat("n", 1<<20), Args: object}, said, "not the name", "no_such_tool", `{}`},
		"no JSON":       {call{ID: "c1", Name: "shell", Args: json.RawMessage(`{"a":`)}, said, "not a JSON object", "shell", `{}`},
		"no object":     {call{ID: "c1", Name: "shell", Args: json.RawMessage(`["ls"]`)}, said, "not a JSON object", "shell", `{}`},
		"two objects":   {call{ID: "c1", Name: "shell", Args: json.RawMessage(`{}{}`)}, said, "not a JSON object", "shell", `{}`},
		"a megabyte":    {call{ID: "c1", Name: "write_file", Args: json.RawMessage(`{"content":"` + strings.Repeat("x", 1<<20) + `"}`)}, said, "at most 524288", "write_file", `{}`},
		"cut off":       {call{ID: "c1", Name: "write_file", Args: json.RawMessage(`{"content":"x`)}, tooLong, "cut off at its limit", "write_file", `{}`},
		"whole, though": {call{ID: "c1", Name: "shell", Args: object}, tooLong, "", "shell", `{"a":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reply{calls: []call{c.in}, stop: c.stop}
			m := r.message(3)
			got := m.Calls[0]
			if got.Name != c.named || string(got.Args) != c.args || (got.wrong == "") != (c.wrong == "") || !strings.Contains(got.wrong, c.wrong) || len(got.wrong) > 1000 {
				t.Errorf("got %+v", got)
			}
			if !follows(nil, &m) {
				t.Errorf("got %+v, want what can be read again", m)
			}
		})
	}
	r := &reply{}
	for range 1000 {
		r.calls = append(r.calls, call{ID: "same", Name: "shell", Args: object})
	}
	m := r.message(0)
	if len(m.Calls) != maxCalls {
		t.Errorf("got %d calls, want %d", len(m.Calls), maxCalls)
	}
	ids := map[string]bool{}
	for _, c := range m.Calls {
		if ids[c.ID] {
			t.Errorf("got id %s twice", c.ID)
		}
		ids[c.ID] = true
	}
}
