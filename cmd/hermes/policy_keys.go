package main

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hermesboard/hermes/events"
)

// The keys of a policy are the names of its members in JSON, so a new member
// is a new key without further work. The type and the name of a member say how
// its value is written: …_ms is a duration and goes without that ending,
// what lies under budget is money, a list of caps has a key for each name.

// setting is one key of a policy.
type setting struct {
	key   string
	value reflect.Value // settable
	kind  settingKind
	name  string // of a cap
}

type settingKind uint8

const (
	plainNumber settingKind = iota
	plainText
	duration
	amount
	order
	oneCap  // of one name
	newCaps // a list of caps that has room for names
)

// policySettings lists the keys of a policy in the order of its members.
func policySettings(p *events.Policy) []setting {
	return settingsOf(reflect.ValueOf(p).Elem(), "")
}

func settingsOf(v reflect.Value, prefix string) []setting {
	var list []setting
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		s := setting{key: prefix + name, value: v.Field(i)}
		short, ms := strings.CutSuffix(s.key, "_ms")
		switch {
		case s.value.Kind() == reflect.Struct:
			list = append(list, settingsOf(s.value, s.key+".")...)
			continue
		case s.value.Kind() == reflect.Slice:
			s.kind = newCaps
			for _, c := range s.value.Interface().([]events.Cap) {
				list = append(list, setting{key: s.key + "." + c.Name, value: s.value, kind: oneCap, name: c.Name})
			}
			s.key += ".NAME"
		case s.value.Type() == reflect.TypeFor[events.Order]():
			s.kind = order
		case s.value.Kind() == reflect.String:
			s.kind = plainText
		case ms:
			s.key, s.kind = short, duration
		case strings.HasPrefix(s.key, "budget."):
			s.kind = amount
		}
		list = append(list, s)
	}
	return list
}

// text is the value as a person reads and writes it.
func (s setting) text(currency string) string {
	switch s.kind {
	case plainText:
		return dash(line(s.value.String()))
	case order:
		return cmp.Or(s.value.Interface().(events.Order), events.ByPriority).String()
	case oneCap:
		caps := s.value.Interface().([]events.Cap)
		if i := capIndex(caps, s.name); i >= 0 {
			return strconv.Itoa(int(caps[i].Max))
		}
		return "none"
	case newCaps:
		return "none"
	}
	n := number(s.value)
	switch {
	case n == 0 && s.kind != plainNumber, n == 0 && strings.HasSuffix(s.key, "_cap"):
		return "none"
	case s.kind == duration:
		return exactly(time.Duration(n) * time.Millisecond)
	case s.kind == amount:
		return money(n, currency)
	}
	return strconv.FormatInt(n, 10)
}

func number(v reflect.Value) int64 {
	if v.CanUint() {
		return int64(v.Uint())
	}
	return v.Int()
}

// exactly writes a duration so that it reads back the same: 15m, 7d, 90s.
func exactly(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.unit && d%u.unit == 0 {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return d.String()
}

func capIndex(caps []events.Cap, name string) int {
	return slices.IndexFunc(caps, func(c events.Cap) bool { return c.Name == name })
}

// setPolicy changes one key and returns the value before and after.
func setPolicy(p *events.Policy, key, value string) (before, after string, err error) {
	s, err := findSetting(policySettings(p), key)
	if err != nil {
		return "", "", err
	}
	before = s.text(p.Currency)
	if err := s.set(value); err != nil {
		return "", "", err
	}
	return before, s.text(p.Currency), nil
}

func findSetting(list []setting, key string) (setting, error) {
	key = strings.TrimSuffix(strings.ToLower(key), "_ms")
	var keys []string
	for _, s := range list {
		if s.key == key {
			return s, nil
		}
		caps, isCaps := strings.CutSuffix(s.key, "NAME")
		if name, ok := strings.CutPrefix(key, caps); isCaps && ok && name != "" {
			return setting{key: key, value: s.value, kind: oneCap, name: name}, nil
		}
		keys = append(keys, s.key)
	}
	hint := suggest(key, keys, "")
	if hint == "" {
		hint = "hermes board policy show lists the keys"
	}
	return setting{}, &usageError{msg: fmt.Sprintf("the policy has no key %q", key), hint: hint}
}

// set reads a value and puts it in.
func (s setting) set(text string) error {
	if s.kind == plainText {
		if text == "none" {
			text = ""
		}
		s.value.SetString(text)
		return nil
	}
	if s.kind == order {
		var o events.Order
		if text != "none" && o.UnmarshalText([]byte(text)) != nil {
			return usagef("%s: %q is neither priority nor fifo", s.key, text)
		}
		s.value.Set(reflect.ValueOf(o))
		return nil
	}
	n, err := s.parse(text)
	if err != nil {
		return err
	}
	switch {
	case s.kind == oneCap:
		s.setCap(int32(n))
	case s.value.CanUint():
		if s.value.OverflowUint(uint64(n)) {
			return usagef("%s: %s is too much", s.key, text)
		}
		s.value.SetUint(uint64(n))
	default:
		if s.value.OverflowInt(n) {
			return usagef("%s: %s is too much", s.key, text)
		}
		s.value.SetInt(n)
	}
	return nil
}

// setCap sets or takes away the cap of one name; the list is a copy, as the
// old one may be in use.
func (s setting) setCap(n int32) {
	caps := slices.Clone(s.value.Interface().([]events.Cap))
	i := capIndex(caps, s.name)
	switch {
	case n == 0 && i >= 0:
		caps = slices.Delete(caps, i, i+1)
	case n == 0:
	case i >= 0:
		caps[i].Max = n
	default:
		caps = append(caps, events.Cap{Name: s.name, Max: n})
	}
	s.value.Set(reflect.ValueOf(caps))
}

// parse reads a number that is not negative, as the setting's kind writes it.
func (s setting) parse(text string) (int64, error) {
	if text == "none" {
		return 0, nil
	}
	switch s.kind {
	case duration:
		d, err := parseDuration(text)
		if err != nil {
			return 0, usagef("%s: %v", s.key, err)
		}
		return d.Milliseconds(), nil
	case amount:
		return parseMoney(s.key, text)
	}
	bits := 64
	if s.kind == oneCap {
		bits = 32
	}
	n, err := strconv.ParseInt(text, 10, bits)
	if err != nil || n < 0 {
		return 0, usagef("%s: %q is not a number from 0 on", s.key, text)
	}
	return n, nil
}

// parseMoney reads 2.50 as millionths.
func parseMoney(key, text string) (int64, error) {
	f, err := strconv.ParseFloat(strings.TrimPrefix(text, "$"), 64)
	if err != nil || !(f >= 0) || f > 1e9 {
		return 0, usagef("%s: %q is not an amount (want for example 2.50)", key, text)
	}
	return int64(math.Round(f * 1e6)), nil
}
