package agents

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// Schema is the JSON Schema (2020-12) of an agent's config.yaml: every key
// with its type, its words, and the runtimes that honour it.
func Schema() []byte {
	s := object(reflect.TypeFor[Agent](), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "An agent of Hermes: agents/NAME/config.yaml"
	s["required"] = []string{"runtime"}
	var all []any
	for _, kind := range Kinds {
		all = append(all, map[string]any{"if": whenKind(kind), "then": without(kind)})
	}
	s["allOf"] = all
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // maps, strings and bools only
	}
	return append(b, '\n')
}

// object describes a struct.
func object(t reflect.Type, prefix string) map[string]any {
	props, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := keyName(f)
		if name == "" {
			continue
		}
		k := keys[prefix+name]
		s := value(f.Type, prefix+name)
		s["description"] = k.about
		if k.one != nil {
			s["enum"] = k.one
		}
		if k.kinds != "" {
			kinds := strings.Fields(k.kinds)
			slices.Sort(kinds)
			s["description"] = k.about + " For runtimes " + strings.Join(kinds, ", ") + "."
		}
		props[name] = s
		if !strings.Contains(f.Tag.Get("yaml"), ",omitempty") {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// value describes the type of one key.
func value(t reflect.Type, path string) map[string]any {
	texts := func() map[string]any {
		return map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	}
	if t == reflect.TypeFor[Argv]() {
		return map[string]any{"oneOf": []any{map[string]any{"type": "string"}, texts()}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return value(t.Elem(), path)
	case reflect.Struct:
		return object(t, path+".")
	case reflect.Slice:
		return map[string]any{"type": "array", "items": value(t.Elem(), path)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
	case reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer", "minimum": 0}
	}
	return map[string]any{"type": "string"}
}

// whenKind matches configurations of one runtime.
func whenKind(kind string) map[string]any {
	return map[string]any{"properties": map[string]any{"runtime": map[string]any{
		"properties": map[string]any{"kind": map[string]any{"const": kind}}, "required": []string{"kind"}}}}
}

// without refuses the keys that a runtime cannot honour.
func without(kind string) map[string]any {
	top, runtime := map[string]any{}, map[string]any{}
	for path, k := range keys {
		if k.honoured(kind) {
			continue
		}
		if name, ok := strings.CutPrefix(path, "runtime."); ok {
			runtime[name] = false
		} else {
			top[path] = false
		}
	}
	if len(runtime) > 0 {
		top["runtime"] = map[string]any{"properties": runtime}
	}
	return map[string]any{"properties": top}
}
