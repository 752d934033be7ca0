package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var sameMessages = cmpopts.IgnoreUnexported(call{})

func TestTranscript(t *testing.T) {
	const (
		begin = `{"said":"work"}` + "\n"
		asks  = `{"text":"I look.","calls":[{"id":"c1","name":"shell","args":{}}]}` + "\n"
		looks = `{"results":[{"id":"c1","text":"a b"}]}` + "\n"
	)
	for name, c := range map[string]struct {
		file string
		want int // messages
		last string
	}{
		"nothing":             {"", 0, ""},
		"whole":               {begin + asks + looks, 3, ""},
		"torn":                {begin + `{"text":"I lo`, 1, ""},
		"a line without end":  {begin + `{"text":"I look."}`, 1, ""},
		"calls without ends":  {begin + asks, 3, "cut off"},
		"no JSON":             {begin + "ls\n" + looks, 1, ""},
		"results of nothing":  {begin + looks, 1, ""},
		"others' results":     {begin + asks + strings.Replace(looks, "c1", "c2", 1), 3, "cut off"},
		"two things at once":  {begin + `{"said":"a","text":"b"}` + "\n", 1, ""},
		"nothing in it":       {begin + "{}\n" + asks, 1, ""},
		"a bad id":            {begin + strings.Replace(asks, "c1", "c 1", 1), 1, ""},
		"a bad name":          {begin + strings.Replace(asks, "shell", "sh ell", 1), 1, ""},
		"arguments no object": {begin + strings.Replace(asks, "{}}", "[]}", 1), 1, ""},
		"a long line":         {begin + `{"text":"` + strings.Repeat("x", maxMessage) + `"}` + "\n", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "t.jsonl")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			tr, err := openTranscript(file, true)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.file.Close()
			if len(tr.messages) != c.want {
				t.Fatalf("got %+v, want %d messages", tr.messages, c.want)
			}
			if c.last != "" && !strings.Contains(tr.messages[c.want-1].Results[0].Text, c.last) {
				t.Errorf("got %+v", tr.messages[c.want-1])
			}
			if err := tr.add(message{Said: "go on"}); err != nil {
				t.Fatal(err)
			}
			again, err := openTranscript(file, true)
			if err != nil {
				t.Fatal(err)
			}
			defer again.file.Close()
			if diff := cmp.Diff(tr.messages, again.messages, sameMessages); diff != "" {
				t.Errorf("read again (-kept +read):\n%s", diff)
			}
		})
	}
}

// TestTranscriptElsewhere: an agent can put anything where its transcript was.
func TestTranscriptElsewhere(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "t.jsonl")
	for _, lay := range []func() error{
		func() error { return os.Symlink(victim, file) },
		func() error { return os.MkdirAll(filepath.Join(file, "deep"), 0o700) },
	} {
		if err := lay(); err != nil {
			t.Fatal(err)
		}
		tr, err := openTranscript(file, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.add(message{Said: "hello"}); err != nil {
			t.Fatal(err)
		}
		tr.file.Close()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("got %q, %v, want it untouched", b, err)
	}
}

func TestFit(t *testing.T) {
	ms := []message{{Said: "work"}}
	for range 20 {
		ms = append(ms, message{Calls: []call{{ID: "c", Name: "write_file", Args: []byte(`{"content":"` + strings.Repeat("y", 1000) + `"}`)}}}, message{Results: []result{{ID: "c", Text: strings.Repeat("x", 1000)}}})
	}
	if got := fit(ms, 1<<20); len(got) != len(ms) || got[2].Results[0].Text != ms[2].Results[0].Text {
		t.Errorf("got a conversation that is short enough changed")
	}
	got, size := fit(ms, 20_000), 0
	for i := range got {
		size += got[i].size()
	}
	if size > 20_000 || len(got) != len(ms) {
		t.Errorf("got %d messages of %d bytes, want %d of at most 20000", len(got), size, len(ms))
	}
	if last := len(ms) - 1; got[last].Results[0].Text != ms[last].Results[0].Text || !strings.HasPrefix(got[2].Results[0].Text, "(left out") || !isObject(got[1].Calls[0].Args) || len(got[1].Calls[0].Args) > short {
		t.Errorf("got the wrong results left out")
	}
	if len(ms[2].Results[0].Text) != 1000 || len(ms[1].Calls[0].Args) < 1000 {
		t.Error("got the kept conversation changed")
	}
}
