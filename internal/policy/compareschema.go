package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// annotations are keywords of JSON Schema that take nothing away.
var annotations = []string{"$id", "$schema", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}

// lower and upper are keywords that bound from below and from above.
var (
	lower = []string{"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
	upper = []string{"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
)

// schemas compares JSON Schemas keyword by keyword. What it cannot tell to be
// additive is not.
func (c *comparison) schemas(before, after Definition) {
	switch {
	case len(before.Schema) == 0 && len(after.Schema) == 0:
		return
	case len(before.Schema) == 0:
		c.bad("schema", "events as they are sent now may not fit it, and would be refused", "new")
		return
	case len(after.Schema) == 0:
		c.bad("schema", "who reads the events counts on it", "it is left out")
		return
	}
	was, errWas := jsonschema.UnmarshalJSON(bytes.NewReader(before.Schema))
	is, errIs := jsonschema.UnmarshalJSON(bytes.NewReader(after.Schema))
	if errWas != nil || errIs != nil {
		c.bad("schema", "it cannot be read", "changed")
		return
	}
	c.schema("schema", was, is)
}

func (c *comparison) schema(at string, was, is any) {
	if reflect.DeepEqual(was, is) {
		return
	}
	a, ok := was.(map[string]any)
	b, fine := is.(map[string]any)
	if !ok || !fine {
		c.bad(at, "it cannot be told that it takes what it took", "%s becomes %s", brief(was), brief(is))
		return
	}
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	for _, key := range sortedKeys(all) {
		old, had := a[key]
		now, has := b[key]
		if slices.Contains(annotations, key) || had && has && reflect.DeepEqual(old, now) {
			continue
		}
		c.keyword(at, key, old, now, had, has)
	}
}

func (c *comparison) keyword(at, key string, was, is any, had, has bool) {
	part := at + "." + key
	switch {
	case key == "properties", key == "patternProperties", key == "$defs", key == "definitions":
		c.named(part, was, is)
	case (key == "items" || key == "additionalProperties") && had && has && isSchema(was) && isSchema(is):
		c.schema(part, was, is)
	case key == "additionalProperties" && had && was == false && (!has || is == true):
		c.add(part, "properties that are not named are taken")
	case key == "required":
		c.requiredBySchema(part, was, is)
	case key == "type":
		c.typed(part, was, is, had, has)
	case key == "enum" && had && has && subset(was, is):
		c.add(part, "more values are taken: %s", brief(is))
	case slices.Contains(lower, key) && had && (!has || compareNumbers(is, was) <= 0), slices.Contains(upper, key) && had && (!has || compareNumbers(is, was) >= 0):
		c.add(part, "%s becomes %s: more is taken", brief(was), brief(is))
	case had && has:
		c.bad(part, "it cannot be told that it takes what it took", "%s becomes %s", brief(was), brief(is))
	case has:
		c.bad(part, "events as they are sent now may not fit it", "new, %s", brief(is))
	default:
		c.bad(part, "who reads the events counts on it", "it is left out, and was %s", brief(was))
	}
}

func isSchema(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// named compares maps of schemas.
func (c *comparison) named(at string, was, is any) {
	a, _ := was.(map[string]any)
	b, _ := is.(map[string]any)
	for _, name := range sortedKeys(a) {
		if now, ok := b[name]; ok {
			c.schema(at+"."+name, a[name], now)
		} else {
			c.bad(at+"."+name, "who reads it counts on what it says", "it is left out")
		}
	}
	for _, name := range sortedKeys(b) {
		if _, ok := a[name]; !ok {
			c.add(at+"."+name, "new")
		}
	}
}

func (c *comparison) requiredBySchema(at string, was, is any) {
	a, _ := was.([]any)
	b, _ := is.([]any)
	for _, name := range b {
		if !slices.Contains(a, name) {
			c.bad(at, "events as they are sent now may lack it, and would be refused", "%v must be there from then on", name)
		}
	}
	for _, name := range a {
		if !slices.Contains(b, name) {
			c.bad(at, "who reads it counts on it being there", "%v need not be there any more", name)
		}
	}
}

// typed compares types: more of them are additive, and number takes integer.
func (c *comparison) typed(at string, was, is any, had, has bool) {
	a, b := listOf(was), listOf(is)
	holds := !has || had
	for _, t := range a {
		if has && !slices.Contains(b, t) && (t != any("integer") || !slices.Contains(b, any("number"))) {
			holds = false
		}
	}
	if holds {
		c.add(at, "%s becomes %s: more is taken", brief(was), brief(is))
		return
	}
	c.bad(at, "values as they are sent now are not of it", "%s becomes %s", brief(was), brief(is))
}

func listOf(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

func subset(a, b any) bool {
	of, in := listOf(a), listOf(b)
	for _, v := range of {
		if !slices.ContainsFunc(in, func(w any) bool { return reflect.DeepEqual(v, w) }) {
			return false
		}
	}
	return true
}

func compareNumbers(a, b any) int {
	x, okX := a.(json.Number)
	y, okY := b.(json.Number)
	if !okX || !okY {
		return 0
	}
	f, _ := x.Float64()
	g, _ := y.Float64()
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

// brief spells a value for people.
func brief(v any) string {
	if v == nil {
		return "none"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 100 {
		return string(bytes.ToValidUTF8(b[:100], nil)) + "…"
	}
	return string(b)
}
