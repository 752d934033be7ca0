package worker

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"complete", "comment", "block", "go"}
	for s, want := range map[string]string{
		"complet": "complete", "compelte": "complete", "coment": "comment", "blocks": "block", "complete": "complete",
		"": "", "xx": "", "entirely else": "", "gone": "", strings.Repeat("complete", 1000): "",
	} {
		if got := Nearest(s, words); got != want {
			t.Errorf("%.20q: got %q, want %q", s, got, want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("got %q of no words", got)
	}
}
