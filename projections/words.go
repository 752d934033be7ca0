package projections

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hermesboard/hermes/events"
)

// Span says a duration in at most two units: "1 h 44 m", "12 s", "0.3 s".
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return pair(d, time.Minute, "m", time.Second, "s")
	case d < 48*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "m")
	}
	return pair(d, 24*time.Hour, "d", time.Hour, "h")
}

func pair(d, unit time.Duration, name string, part time.Duration, small string) string {
	s := fmt.Sprintf("%d %s", d/unit, name)
	if rest := d % unit / part; rest > 0 {
		s += fmt.Sprintf(" %d %s", rest, small)
	}
	return s
}

// Money says an amount in millionths of a currency: "$1.92", "3.50 CHF".
func Money(micros int64, currency string) string {
	amount := strconv.FormatFloat(float64(micros)/1e6, 'f', 2, 64)
	switch currency {
	case "USD", "":
		return "$" + amount
	case "EUR":
		return "€" + amount
	case "GBP":
		return "£" + amount
	}
	return amount + " " + currency
}

// Size says a number of bytes: "4 kB", "1.1 MB".
func Size(n int64) string {
	f, units := float64(n), []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	i := -1
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if f < 9.95 {
		return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + units[i]
	}
	return strconv.FormatFloat(f, 'f', 0, 64) + " " + units[i]
}

// Many says a large number: "950", "212k", "3.4M".
func Many(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10)
	case n < 999_500:
		return strconv.FormatInt((n+500)/1000, 10) + "k"
	}
	return strings.TrimSuffix(strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64), ".0") + "M"
}

// stamp says an instant.
func stamp(t events.Time) string { return t.Time().Format("2006-01-02 15:04") + " UTC" }

// And joins words as a sentence does: "t7", "t7 and t9", "t7, t8 and t9".
func And[T fmt.Stringer](list []T) string {
	var b strings.Builder
	for i, x := range list {
		switch {
		case i > 0 && i == len(list)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(x.String())
	}
	return b.String()
}

const quoteRunes = 160

// Quote puts what somebody wrote on one line between quotes: without control
// characters, and cut where it is long. What was erased says so, unquoted.
func Quote(s string) string {
	if s == erased {
		return s
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > quoteRunes {
		s = string(r[:quoteRunes-1]) + "…"
	}
	return `"` + s + `"`
}

// plain says a word of the log with spaces: "needs input".
func plain(s fmt.Stringer) string { return strings.ReplaceAll(s.String(), "_", " ") }
