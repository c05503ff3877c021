package arbalest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSchemaColumns(t *testing.T) {
	s := JSONObject("events",
		Property("property1", "VARCHAR(36)"),
		Property("Property2", "integer", As("Custom")),
		Property("property3.dottedName", "TIMESTAMP"),
		Nested("property4", Nested("child", Property("subchild", "BOOLEAN")), Property("it's", "SUPER")))
	columns, err := s.Columns(127)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range columns {
		got = append(got, fmt.Sprintf("%s %s %s", c.Name, c.Type, JSONPath(c.Path)))
	}
	want := []string{
		"property1 VARCHAR(36) $['property1']",
		"custom INTEGER $['Property2']",
		"property3.dottedname TIMESTAMP $['property3.dottedName']",
		"property4_child_subchild BOOLEAN $['property4']['child']['subchild']",
		`property4_it's JSON $['property4']['it\'s']`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if b, err := JSONPaths(columns[:4]); err != nil || string(b) != `{"jsonpaths":["$['property1']","$['Property2']","$['property3.dottedName']","$['property4']['child']['subchild']"]}` {
		t.Errorf("JSONPaths: %s, %v", b, err)
	}
	if _, err := JSONPaths(columns); !errors.Is(err, ErrInvalid) {
		t.Errorf("JSONPaths of a key with a quote: %v", err)
	}
}

func TestSchemaIsCutAndCollisionsAreRefused(t *testing.T) {
	long := strings.Repeat("é", 40) // 80 bytes
	columns, err := JSONObject("t", Property(long, "DATE")).Columns(63)
	if err != nil || columns[0].Name != strings.Repeat("é", 31) {
		t.Errorf("%v, %v", columns, err)
	}
	for name, s := range map[string]Schema{
		"folded":        JSONObject("t", Property("a", "DATE"), Property("A", "DATE")),
		"joined":        JSONObject("t", Nested("a", Property("b", "DATE")), Property("a_b", "DATE")),
		"cut":           JSONObject("t", Property(long+"1", "DATE"), Property(long+"2", "DATE")),
		"system":        JSONObject("t", Property("xmin", "DATE")),
		"type":          JSONObject("t", Property("a", "HSTORE")),
		"parameters":    JSONObject("t", Property("a", "VARCHAR(0)")),
		"no type":       JSONObject("t", Property("a", "")),
		"nameless":      JSONObject("t", Property("", "DATE")),
		"nothing":       JSONObject("t"),
		"empty nested":  JSONObject("t", Nested("a")),
		"no table":      JSONObject("", Property("a", "DATE")),
		"quote":         JSONObject(`a"b`, Property("a", "DATE")),
		"column quote":  JSONObject("t", Property("a", "DATE", As(`a"b`))),
		"three parts":   JSONObject("a.b.c", Property("a", "DATE")),
		"long table":    JSONObject(strings.Repeat("x", 64), Property("a", "DATE")),
		"object column": JSONObject("t", SchemaProperty{Name: "a", Column: "b", Children: []SchemaProperty{Property("c", "DATE")}}),
	} {
		if columns, err := s.Columns(63); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v, want ErrInvalid", name, columns, err)
		}
	}
}

func TestNestedPropertiesAreNamed(t *testing.T) {
	columns, err := JSONObject("event_created",
		Property("some.column.name", "VARCHAR(MAX)", As("my_column_name")),
		Nested("parent", Nested("child",
			Property("grandchild", "VARCHAR(MAX)"),
			Property("other", "VARCHAR(MAX)", As("anotherColumn"))))).Columns(127)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "my_column_name parent_child_grandchild anothercolumn" {
		t.Errorf("columns are %s", got)
	}
}

func TestJSONPathsOfNoColumns(t *testing.T) {
	if b, err := JSONPaths(nil); err != nil || string(b) != `{"jsonpaths":[]}` {
		t.Errorf("%s, %v", b, err)
	}
}

// TestTypesOfRedshift has the types that Redshift had in 2015, with their
// synonyms.
func TestTypesOfRedshift(t *testing.T) {
	for want, names := range map[string]string{
		"SMALLINT": "SMALLINT,INT2", "INTEGER": "INTEGER,INT,INT4", "BIGINT": "BIGINT,INT8", "DECIMAL(18,0)": "DECIMAL,NUMERIC", "REAL": "REAL,FLOAT4",
		"DOUBLE PRECISION": "DOUBLE PRECISION,FLOAT8,FLOAT", "BOOLEAN": "BOOLEAN,BOOL", "CHAR(1)": "CHAR,CHARACTER,NCHAR", "CHAR(256)": "BPCHAR",
		"VARCHAR(256)": "VARCHAR,CHARACTER VARYING,NVARCHAR", "VARCHAR(MAX)": "TEXT", "DATE": "DATE", "TIMESTAMP": "TIMESTAMP",
	} {
		for name := range strings.SplitSeq(names, ",") {
			for _, spelled := range []string{name, strings.ToLower(name)} {
				columns, err := JSONObject("t", Property("a", spelled)).Columns(127)
				if err != nil || columns[0].Type.String() != want {
					t.Errorf("%s is %v, %v, want %s", spelled, columns, err, want)
				}
			}
		}
	}
	for _, none := range []string{"BLOB", "BLOBINT", "MYDATE"} { // the original looked for its types within
		if _, err := JSONObject("t", Property("a", none)).Columns(127); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", none, err)
		}
	}
}
