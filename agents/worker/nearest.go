package worker

// maxTypos is how many letters apart a word that was meant may be.
const maxTypos = 2

// Nearest returns the word that was probably meant by s; empty if none is near.
func Nearest(s string, words []string) string {
	best, least := "", maxTypos+1
	for _, w := range words {
		if len(s) > len(w)+maxTypos {
			continue
		}
		if d := distance(s, w); d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
