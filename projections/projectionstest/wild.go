package projectionstest

import (
	"math/rand/v2"
	"reflect"

	"github.com/hermesboard/hermes/events"
)

// Wild returns a record of any type with anything in it, also what no rule
// would let happen. Ids and positions are mostly small, so that they meet.
func Wild(rnd *rand.Rand) events.Record {
	kinds := events.Catalog()
	payload := reflect.New(reflect.TypeOf(kinds[rnd.IntN(len(kinds))].Zero)).Elem()
	scramble(rnd, payload)
	var r events.Record
	scramble(rnd, reflect.ValueOf(&r).Elem())
	r.Data = payload.Interface().(events.Payload)
	if rnd.IntN(2) == 0 {
		r.Run.Task = r.Task
	}
	return r
}

func scramble(rnd *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[events.Order]() { // snapshots hold a policy as text, which has no other words
		v.SetUint(uint64(rnd.IntN(3)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			scramble(rnd, v.Field(i))
		}
	case reflect.Pointer:
		if rnd.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scramble(rnd, v.Elem())
		}
	case reflect.Slice:
		if n := rnd.IntN(4); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n))
			for i := range n - 1 {
				scramble(rnd, v.Index(i))
			}
		}
	case reflect.Array:
		v.Index(rnd.IntN(v.Len())).SetUint(uint64(rnd.IntN(3)))
	case reflect.Bool:
		v.SetBool(rnd.IntN(2) == 0)
	case reflect.String:
		v.SetString([]string{"", "a", "b", "\x00ü\n", "agent-1"}[rnd.IntN(5)])
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(number(rnd))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(number(rnd)))
	}
}

func number(rnd *rand.Rand) int64 {
	switch rnd.IntN(20) {
	case 0:
		return rnd.Int64() - rnd.Int64()
	case 1:
		return -1
	}
	return rnd.Int64N(10)
}
