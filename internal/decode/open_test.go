package decode

import (
	"strings"
	"testing"

	"arbalest"
)

// TestDeclaredColumnsAmongInferredOnes holds that in a table of which some
// columns are declared those are strict, and never change, and that others are
// inferred beside them.
func TestDeclaredColumnsAmongInferredOnes(t *testing.T) {
	declared := func(name, kind string) arbalest.Column {
		typed, err := arbalest.ParseType(kind)
		if err != nil {
			t.Fatal(err)
		}
		return arbalest.Column{Name: name, Path: []string{name}, Type: typed, Declared: true}
	}
	table := arbalest.Table{Name: "a", Event: "a", Columns: []arbalest.Column{declared("n", "INTEGER"), declared("s", "VARCHAR(4)")}}
	lines := block(
		`{"n":"1","s":5,"x":1}`,           // converted, as in a declared table
		`{"n":1.5,"s":"ok","x":2.5}`,      // does not fit: not in the table
		`{"n":3,"s":{"k":1},"x":3.5}`,     // does not fit: too long
		`{"n":{"deep":1},"s":"ok","x":4}`, // an object is no number, and no columns are made of it
		`{"n":5,"y":{"z":true}}`)
	first := NewDecoder(table).Decode(Block{Lines: lines})
	grown, changed := Evolve(table, []*Novelty{first.Novelty})
	if !changed {
		t.Fatal("no column was inferred")
	}
	var names []string
	for _, c := range grown.Columns {
		names = append(names, c.Name+" "+c.Type.String())
	}
	if got := strings.Join(names, ", "); got != "n INTEGER, s VARCHAR(4), x DOUBLE PRECISION, y_z BOOLEAN" {
		t.Errorf("columns %s", got)
	}
	c := NewDecoder(grown).Decode(Block{Lines: lines})
	if c.Novelty != nil || c.Rows != 2 || len(c.Errors) != 3 {
		t.Fatalf("%d rows, novelty %+v, errors %+v", c.Rows, c.Novelty, c.Errors)
	}
	for i, want := range []string{"n", "s", "n"} {
		if e := c.Errors[i]; e.Column != want || e.Loaded {
			t.Errorf("error %d: %+v", i, e)
		}
	}
	if n := c.Columns[4].Int32; n[0] != 1 || n[1] != 5 {
		t.Errorf("n is %v", n)
	}
	if last := c.Columns[len(c.Columns)-1]; !strings.Contains(string(last.Data), `"y":{"z":true}`) {
		t.Errorf("properties are %s", last.Data)
	}
}

// block makes stored lines of properties.
func block(properties ...string) []byte {
	var b []byte
	for i, p := range properties {
		b = arbalest.AppendLine(b, arbalest.Event{ID: string(rune('a' + i)), Name: "a", Properties: []byte(p)})
	}
	return b
}
