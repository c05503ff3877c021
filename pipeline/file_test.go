package pipeline

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"arbalest"
)

const whole = `
name: whole
schedule: "@hourly"
steps:
  - bulk_copy:
      source: events/bulk
      table: destination_table_name
      max_errors: ${MAX_ERRORS}
      allow_empty: true
      properties:
        - {name: id, type: VARCHAR(36)}
        - {name: someNumber, type: INTEGER, as: custom_column_name}
        - name: child
          properties:
            - {name: subchild, type: BOOLEAN}
  - manifest_copy: {source: events/manifest, table: incremental, adopt: true, max_errors: 3, properties: [{name: id, type: VARCHAR(36)}]}
  - time_series: {source: events/series, table: series, order_by: t, sources: hours, from: "2014-11-10/05", to: "${LAST}", follow: true, update_from: "2014-11-10", properties: [{name: t, type: TIMESTAMP}]}
  - sql: DROP TABLE IF EXISTS derived
  - sql:
      - CREATE TABLE derived AS SELECT 1 AS n
      - {statement: "DELETE FROM derived WHERE n > $1 AND n < $2", parameters: [5, "${LAST}"]}
  - sync: {}
`

func lookup(name string) (string, bool) {
	value, ok := map[string]string{"MAX_ERRORS": "7", "LAST": "2014-11-12"}[name]
	return value, ok
}

func TestFileCompilesToTheSameSteps(t *testing.T) {
	f, err := Parse("whole.yaml", []byte(whole), lookup)
	if err != nil {
		t.Fatal(err)
	}
	want := New("whole",
		BulkCopy("events/bulk", arbalest.JSONObject("destination_table_name",
			arbalest.Property("id", "VARCHAR(36)"),
			arbalest.Property("someNumber", "INTEGER", arbalest.As("custom_column_name")),
			arbalest.Nested("child", arbalest.Property("subchild", "BOOLEAN"))), MaxErrors(7), AllowEmpty()),
		ManifestCopy("events/manifest", arbalest.JSONObject("incremental", arbalest.Property("id", "VARCHAR(36)")), MaxErrors(3), Adopt()),
		TimeSeries("events/series", arbalest.JSONObject("series", arbalest.Property("t", "TIMESTAMP")), "t", Hours().From("2014-11-10/05").To("2014-11-12").Follow(), UpdateFrom("2014-11-10")),
		SQL(S("DROP TABLE IF EXISTS derived")),
		SQL(S("CREATE TABLE derived AS SELECT 1 AS n"), S("DELETE FROM derived WHERE n > $1 AND n < $2", 5, "2014-11-12")),
		Sync())
	if f.Schedule != "@hourly" || f.name != want.name {
		t.Errorf("%q %q", f.name, f.Schedule)
	}
	for i, s := range want.steps {
		if got := f.steps[i]; got.Name() != s.Name() || got.fingerprint() != s.fingerprint() {
			t.Errorf("step %d is %s %s, want %s %s", i+1, got.Name(), got.fingerprint(), s.Name(), s.fingerprint())
		}
	}
}

// wrong are files that are refused, and what the error must have in it.
var wrong = map[string][2]string{
	"unknown key":       {"steps:\n  - sync: {}\nstep: 1\n", "3:1"},
	"unknown in a step": {"steps:\n  - bulk_copy:\n      source: s\n      tabel: t\n", "4:7"},
	"two in one":        {"steps:\n  - sync: {}\n    sql: SELECT 1\n", "2:"},
	"none in one":       {"steps:\n  - sync: {}\n  - {}\n", "3:5"},
	"bad type":          {"steps:\n  - sync: {}\n  - bulk_copy: {source: s, table: t, properties: [{name: a, type: MONEY}]}\n", "3:"},
	"no steps":          {"name: a\n", "no steps"},
	"bad name":          {"name: a b\nsteps: [{sync: {}}]\n", "a b"},
	"bad sources":       {"steps:\n  - time_series: {source: s, table: t, order_by: a, sources: weeks, properties: [{name: a, type: DATE}]}\n", "2:"},
	"bad max errors":    {"steps:\n  - bulk_copy: {source: s, table: t, max_errors: many, properties: [{name: a, type: DATE}]}\n", "2:"},
	"not set":           {"steps:\n  - bulk_copy: {source: \"${NOWHERE}\", table: t, properties: [{name: a, type: DATE}]}\n", "NOWHERE is not set"},
	"not yaml":          {"steps: [", "pipeline"},
	"requires":          {"requires: [a.yaml]\nsteps: [{sync: {}}]\n", "ReadFile"},
}

func TestFileErrorsHaveTheirPlace(t *testing.T) {
	for name, w := range wrong {
		if _, err := Parse("f.yaml", []byte(w[0]), lookup); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), w[1]) || !strings.Contains(err.Error(), "f.yaml") {
			t.Errorf("%s: %v, want ErrInvalid with %q", name, err, w[1])
		}
	}
}

func TestReadFileReadsWhatIsRequired(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("base.yaml", "steps: [{sync: {}}]")
	write("in/left.yaml", "requires: [../base.yaml]\nsteps: [{sync: {}}]")
	top := write("top.yaml", "requires: [in/left.yaml, base.yaml]\nsteps: [{sync: {}}]")
	f, err := ReadFile(top, lookup)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name() != "top" || len(f.requires) != 2 || f.requires[0].requires[0] != f.requires[1] {
		t.Errorf("%s requires %v", f.Name(), f.requires)
	}
	write("base.yaml", "requires: [top.yaml]\nsteps: [{sync: {}}]")
	if _, err := ReadFile(top, lookup); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), "require itself") {
		t.Errorf("a circle: %v", err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none.yaml"), lookup); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestJSONSchemaIsTheFile holds that the schema takes what Parse takes, refuses
// what it can see is wrong, and has every key that there is.
func TestJSONSchemaIsTheFile(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("pipeline.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("pipeline.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) error {
		b, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
	if err := valid(whole); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"unknown key", "unknown in a step", "two in one", "none in one", "no steps", "bad name", "bad sources"} {
		if valid(wrong[name][0]) == nil {
			t.Errorf("the schema takes %s", name)
		}
	}
	defs := document.(map[string]any)["$defs"].(map[string]any)
	for name, of := range map[string]any{"step": stepSpec{}, "bulk_copy": bulkSpec{}, "manifest_copy": manifestSpec{}, "time_series": seriesSpec{}, "property": propertySpec{}} {
		wantKeys(t, name, defs[name], of)
	}
	wantKeys(t, "file", document, fileSpec{})
}

func wantKeys(t *testing.T, name string, schema, of any) {
	t.Helper()
	var got, want []string
	for key := range schema.(map[string]any)["properties"].(map[string]any) {
		got = append(got, key)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
		want = append(want, f.Tag.Get("yaml"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the schema of %s has %v, the file %v", name, got, want)
	}
}
