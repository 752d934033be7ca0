package chat

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		line string
		want []string
	}{
		{"", nil},
		{"  list  ", []string{"list"}},
		{`create "a b" --assignee x`, []string{"create", "a b", "--assignee", "x"}},
		{`create “a b” —assignee x`, []string{"create", "a b", "--assignee", "x"}},
		{`create „a b“ –a x`, []string{"create", "a b", "-a", "x"}},
		{`create «a b» ―json`, []string{"create", "a b", "--json"}},
		{`create ‘a b’`, []string{"create", "a b"}},
		{`comment t1 it's fine`, []string{"comment", "t1", "it's", "fine"}},
		{`comment t1 it’s fine`, []string{"comment", "t1", "it’s", "fine"}},
		{`comment t1 'it's fine'`, []string{"comment", "t1", "it's fine"}},
		{`a --title="x y"`, []string{"a", "--title=x y"}},
		{`a ""`, []string{"a", ""}},
		{`a "say \"hi\" \\ \n"`, []string{"a", `say "hi" \ \n`}},
		{`a b\ c`, []string{"a", "b c"}},
		{`a $(rm -rf /) ;|& *`, []string{"a", "$(rm", "-rf", "/)", ";|&", "*"}},
		{`5–7 a—b`, []string{"5–7", "a—b"}},
		{`—`, []string{"--"}},
		{"a\nb", []string{"a", "b"}},
	} {
		got, err := Split(tc.line)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, %v, want %q", tc.line, got, err, tc.want)
		}
	}
	for _, line := range []string{`create "a`, `create “a`, `create 'a`, `"`, `a "b" "`} {
		if got, err := Split(line); !errors.Is(err, ErrQuote) {
			t.Errorf("%s: got %q, %v, want an error about the quotes", line, got, err)
		}
	}
	if _, err := Split(strings.Repeat("x ", MaxWords+1)); err == nil {
		t.Error("got no error for too many words")
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{`create "a b"`, "—x “y", "\\", "'", "\x00\xff", "a\u202eb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Split(line)
		if err == nil && strings.TrimSpace(line) != "" && !strings.ContainsAny(line, "\"'\\“”„«»‘’‚—―–") {
			if got, want := strings.Join(words, " "), strings.Join(strings.Fields(string([]rune(line))), " "); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}
