package events

// interner hands out one string for equal names, so that a million records do
// not hold a million copies of the same few. It is a table of fixed size in
// which a newcomer displaces whoever hashes alike: hostile names cost speed,
// never memory.
type interner [1024]string

const internBytes = 32 // longer strings are rarely repeated

func (n *interner) intern(b []byte) string {
	if n == nil || len(b) > internBytes {
		return string(b)
	}
	h := uint32(2166136261) // FNV-1a
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	slot := &n[(h^h>>16)%uint32(len(n))]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
