package main

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t *testing.T, of string) (*jsonschema.Schema, map[string]any) {
	t.Helper()
	text, err := editorSchema(of)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(of+".json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(of + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return schema, document.(map[string]any)
}

func fits(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

// TestEditorSchemaIsTheConfiguration holds that the JSON Schema of arbalest.yaml
// has every key that there is, and no other.
func TestEditorSchemaIsTheConfiguration(t *testing.T) {
	_, document := compileSchema(t, "config")
	sameKeys(t, document, "", document, reflect.TypeFor[config]())
	_, document = compileSchema(t, "events")
	sameKeys(t, document, "", document, reflect.TypeFor[eventsFile]())
}

// sameKeys compares a schema with a type that is read from YAML.
func sameKeys(t *testing.T, whole map[string]any, at string, node any, of reflect.Type) {
	t.Helper()
	switch of.Kind() {
	case reflect.Pointer:
		sameKeys(t, whole, at, node, of.Elem())
		return
	case reflect.Slice:
		sameKeys(t, whole, at+"[]", resolved(whole, node)["items"], of.Elem())
		return
	case reflect.Map:
		sameKeys(t, whole, at+".*", resolved(whole, node)["additionalProperties"], of.Elem())
		return
	case reflect.Struct:
	default:
		return
	}
	want := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(of) {
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && key != "-" {
			want[key] = f.Type
		}
	}
	if len(want) == 0 {
		return // it reads itself
	}
	schema := resolved(whole, node)
	if one, ok := schema["oneOf"].([]any); ok {
		schema = resolved(whole, one[len(one)-1])
	}
	properties, _ := schema["properties"].(map[string]any)
	for key, of := range want {
		if properties[key] == nil {
			t.Errorf("arbalest.schema.json lacks %s.%s: add it", at, key)
			continue
		}
		sameKeys(t, whole, at+"."+key, properties[key], of)
	}
	for key := range properties {
		if want[key] == nil {
			t.Errorf("arbalest.schema.json has %s.%s, which there is not", at, key)
		}
	}
	if schema["additionalProperties"] != false {
		t.Errorf("arbalest.schema.json takes unknown keys in %s", at)
	}
}

// resolved follows references.
func resolved(whole map[string]any, node any) map[string]any {
	m, _ := node.(map[string]any)
	if ref, ok := m["$ref"].(string); ok && strings.HasPrefix(ref, "#/$defs/") {
		return resolved(whole, whole["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")])
	}
	return m
}

func TestEditorSchemaTakesWhatIsTaken(t *testing.T) {
	events, _ := compileSchema(t, "events")
	if err := fits(t, events, wholeDefinition); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"events: {a: {colums: []}}", "events: {a: {contract: stop}}", "events: {a: {contract: {tables: freeze}}}", "events: {a: {privacy: {truncate: [{path: x}]}}}", "events: {a: {columns: [{name: x}]}}", "event: {}", "events: {a b: {}}", "events: {a: {schema: {type: objekt}}}"} {
		if fits(t, events, wrong) == nil {
			t.Errorf("the schema takes %s", wrong)
		}
	}
	whole, _ := compileSchema(t, "config")
	sample, err := os.ReadFile("sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := fits(t, whole, uncommented(string(sample))); err != nil {
		t.Error(err)
	}
}

// uncommented is the sample with everything in it in use.
func uncommented(sample string) string {
	key := regexp.MustCompile(`^# ([a-z_]+:| +(- |\{|[a-z_."]+:))`)
	var out []string
	for _, line := range strings.Split(sample, "\n") {
		if rest, ok := strings.CutPrefix(line, "# "); ok && key.MatchString(line) {
			out = append(out, rest)
		}
	}
	return strings.Join(slices.Clip(out), "\n")
}
