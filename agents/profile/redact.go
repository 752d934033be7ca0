package profile

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// tokenPatterns are what credentials look like that are in nobody's .env: bot
// tokens, API keys of the common providers, and the headers that carry them.
var tokenPatterns = []*regexp.Regexp{
	regexp.MustCompile(`\d{6,12}:[A-Za-z0-9_-]{30,}`),    // Telegram bots
	regexp.MustCompile(`\bsk-[A-Za-z0-9_-]{16,}`),        // OpenAI, Anthropic
	regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{20,}`),   // GitHub
	regexp.MustCompile(`\bxox[abprs]-[A-Za-z0-9-]{10,}`), // Slack
	regexp.MustCompile(`(?i)\bbearer\s+[A-Za-z0-9._~+/-]{8,}=*`),
	regexp.MustCompile(`(?i)\b(x-api-key|authorization)"?\s*[:=]\s*"?[^\s"*]{8,}`),
}

// minRedacted is the shortest value that is looked for: a shorter one would
// hit words that are no secret.
const minRedacted = 6

// Redactor is a writer that replaces secrets by *** in what goes through: the
// values it was given, and whatever looks like a credential. Each Write is
// looked at by itself, so a line should be written at once. Safe for
// concurrent use.
type Redactor struct {
	mu     sync.Mutex
	w      io.Writer
	values *strings.Replacer // guarded by mu
}

// NewRedactor writes to w what is left.
func NewRedactor(w io.Writer, secrets ...Secret) *Redactor {
	r := &Redactor{w: w}
	r.Hide(secrets...)
	return r
}

// Hide replaces the values that are looked for.
func (r *Redactor) Hide(secrets ...Secret) {
	var pairs []string
	slices.SortFunc(secrets, func(a, b Secret) int { return len(b.value) - len(a.value) }) // longest first
	for _, s := range secrets {
		if len(s.value) >= minRedacted {
			pairs = append(pairs, s.value, hidden)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values = strings.NewReplacer(pairs...)
}

// Write implements io.Writer. It reports as written what it was given.
func (r *Redactor) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []byte(r.values.Replace(string(b)))
	for _, p := range tokenPatterns {
		out = p.ReplaceAll(out, []byte(hidden))
	}
	if bytes.Equal(out, b) {
		return r.w.Write(b)
	}
	if _, err := r.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}
