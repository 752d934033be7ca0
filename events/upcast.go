package events

// lift reads the payload of an old version and makes the next version's of it.
type lift struct {
	decode func(data []byte) (any, error)
	up     func(any) any
}

// upcast makes the row for version Old of a type. When a payload changes, its
// old struct stays under a name with its version, the catalog's version goes
// up by one, and a row is added here. up is pure and total: whatever was
// stored once can be lifted for ever.
func upcast[Old, New any](up func(Old) New) lift {
	return lift{construct[Old], func(old any) any { return up(old.(Old)) }}
}

// lifts holds one step for each old version of a type.
var lifts = map[stored]lift{}
