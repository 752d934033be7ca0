package events

import (
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
)

// Kind is one event type as it is written today.
type Kind struct {
	Type    Type
	Version int
	Zero    Payload // a zero value of its payload
}

// Catalog lists all event types in the order FORMAT.md does.
func Catalog() []Kind {
	list := make([]Kind, len(kinds))
	for i, k := range kinds {
		list[i] = Kind{k.name, int(k.version), k.zero}
	}
	return list
}

// kind maps a wire name and version to a constructor.
type kind struct {
	name    Type
	version uint32
	zero    Payload
	empty   bool // it has no members
	decode  func(data []byte) (any, error)
}

// of makes the row of a payload.
func of[P Payload](version uint32) kind {
	var zero P
	return kind{zero.Type(), version, zero, reflect.TypeFor[P]().NumField() == 0, construct[P]}
}

func construct[P any](data []byte) (any, error) {
	var p P
	err := json.Unmarshal(data, &p, strict)
	return p, err
}

var kinds = []kind{
	of[BoardCreated](1),
	of[BoardRenamed](1),
	of[BoardAccepted](1),
	of[BoardPaused](1),
	of[BoardResumed](1),
	of[PolicyChanged](1),
	of[AgentHeld](1),
	of[AgentReleased](1),
	of[CallRefused](1),
	of[BudgetReached](1),
	of[SubscriptionAdded](1),
	of[SubscriptionRemoved](1),
	of[NotifySent](1),
	of[NotifyDead](1),
	of[NotifyRetried](1),

	of[TaskCreated](1),
	of[TaskEdited](1),
	of[TaskAssigned](1),
	of[TaskPrioritized](1),
	of[TenantChanged](1),
	of[ModelChanged](1),
	of[TaskLinked](1),
	of[TaskUnlinked](1),
	of[TaskCommented](1),
	of[TaskAttached](1),
	of[TaskDetached](1),
	of[TaskPromoted](1),
	of[TaskDemoted](1),
	of[TaskSpecified](1),
	of[TaskDecomposed](1),
	of[PlanFailed](1),
	of[TaskScheduled](1),
	of[TaskBlocked](1),
	of[TaskUnblocked](1),
	of[ReviewRequested](1),
	of[TaskApproved](1),
	of[ChangesAsked](1),
	of[TaskCompleted](1),
	of[TaskReopened](1),
	of[TaskArchived](1),

	of[RunClaimed](1),
	of[RunStarted](1),
	of[RunStopping](1),
	of[RunHeartbeat](1),
	of[RunEnded](1),
}

// catalog finds kinds by name and lifts what older versions wrote.
type catalog struct {
	kinds map[Type]kind
	lifts map[stored]lift
}

// stored names a payload as some version wrote it.
type stored struct {
	name    Type
	version uint32
}

var production = newCatalog(kinds, lifts)

// newCatalog panics on a name given twice, and on a version from 1 to the
// current one that cannot be lifted: both are mistakes in a table.
func newCatalog(kinds []kind, lifts map[stored]lift) catalog {
	c := catalog{make(map[Type]kind, len(kinds)), lifts}
	for _, k := range kinds {
		if _, twice := c.kinds[k.name]; twice {
			panic(fmt.Sprintf("event type %s is in the catalog twice", k.name))
		}
		c.kinds[k.name] = k
		for v := uint32(1); v < k.version; v++ {
			if _, ok := lifts[stored{k.name, v}]; !ok {
				panic(fmt.Sprintf("version %d of event type %s cannot be lifted", v, k.name))
			}
		}
	}
	return c
}

// payload decodes data and lifts it to the current version.
func (c catalog) payload(name Type, version uint32, data []byte) (Payload, error) {
	value, err := c.asStored(name, version, data)
	if err != nil {
		return nil, err
	}
	for current := c.kinds[name].version; version < current; version++ {
		value = c.lifts[stored{name, version}].up(value)
	}
	return value.(Payload), nil
}

// asStored decodes data into the struct of its own version.
func (c catalog) asStored(name Type, version uint32, data []byte) (any, error) {
	k, ok := c.kinds[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("unknown event type %q", name)
	case version == 0 || version > k.version:
		return nil, fmt.Errorf("unknown version %d of %s (newest known: %d)", version, name, k.version)
	}
	decode := k.decode
	if version < k.version {
		decode = c.lifts[stored{name, version}].decode
	}
	value, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("data of %s: %w", name, err)
	}
	return value, nil
}
