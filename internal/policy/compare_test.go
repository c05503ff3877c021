package policy

import (
	"slices"
	"strings"
	"testing"

	"arbalest"
)

func TestCompare(t *testing.T) {
	plan, amount := column(t, "plan", "VARCHAR(36)"), column(t, "amount", "INTEGER")
	base := func(change func(*Definition)) Definition {
		d := Definition{Event: "user.created", Declared: true, Columns: []Column{plan, amount}, Required: paths("plan")}
		if change != nil {
			d.Columns = slices.Clone(d.Columns)
			change(&d)
		}
		return d
	}
	schema := func(text string) func(*Definition) { return func(d *Definition) { d.Schema = []byte(text) } }
	for name, c := range map[string]struct {
		before, after func(*Definition)
		additive      bool
		says          string
	}{
		"nothing":              {nil, nil, true, ""},
		"a new column":         {nil, func(d *Definition) { d.Columns = append(d.Columns, column(t, "city", "DATE")) }, true, "column city: new, DATE"},
		"a new required one":   {nil, func(d *Definition) { d.Required = paths("plan", "city") }, false, "may lack it"},
		"no longer required":   {nil, func(d *Definition) { d.Required = nil }, false, "counts on it"},
		"a longer text":        {nil, func(d *Definition) { d.Columns[0] = column(t, "plan", "VARCHAR(MAX)") }, true, "holds the same values"},
		"a shorter text":       {nil, func(d *Definition) { d.Columns[0] = column(t, "plan", "VARCHAR(9)") }, false, "narrower"},
		"a wider integer":      {nil, func(d *Definition) { d.Columns[1] = column(t, "amount", "BIGINT") }, true, "holds the same values"},
		"an integer as double": {nil, func(d *Definition) { d.Columns[1] = column(t, "amount", "DOUBLE PRECISION") }, true, ""},
		"a bigint as double": {func(d *Definition) { d.Columns[1] = column(t, "amount", "BIGINT") },
			func(d *Definition) { d.Columns[1] = column(t, "amount", "DOUBLE PRECISION") }, false, "not every BIGINT"},
		"an integer as text":     {nil, func(d *Definition) { d.Columns[1] = column(t, "amount", "VARCHAR(9)") }, false, "no value of the one"},
		"a column is left out":   {nil, func(d *Definition) { d.Columns = d.Columns[:1] }, false, "gets NULL"},
		"another property":       {nil, func(d *Definition) { d.Columns[1].Path = []string{"total"} }, false, "mean something else"},
		"another table":          {nil, func(d *Definition) { d.Table = "people" }, false, "other table"},
		"opened":                 {nil, func(d *Definition) { d.Declared, d.Contract.Columns = false, Evolve }, true, "inferred beside"},
		"closed":                 {func(d *Definition) { d.Declared, d.Contract.Columns = false, Evolve }, nil, false, "no columns are inferred"},
		"frozen":                 {nil, func(d *Definition) { d.Contract.Columns = Freeze }, false, "is not from then on"},
		"thawed":                 {func(d *Definition) { d.Contract.DataType = Freeze }, nil, true, "freeze becomes the default"},
		"hashed from now on":     {nil, func(d *Definition) { d.Privacy.Hash = paths("plan") }, false, "joins over them break"},
		"hashed no longer":       {func(d *Definition) { d.Privacy.Hash = paths("plan") }, nil, false, "no longer"},
		"a schema":               {nil, schema(`{}`), false, "may not fit it"},
		"a property":             {schema(`{"properties":{"a":{"type":"string"}}}`), schema(`{"title":"x","properties":{"a":{"type":"string"},"b":{}}}`), true, "schema.properties.b: new"},
		"more types":             {schema(`{"properties":{"a":{"type":"integer"}}}`), schema(`{"properties":{"a":{"type":["number","null"]}}}`), true, "more is taken"},
		"fewer types":            {schema(`{"properties":{"a":{"type":["number","null"]}}}`), schema(`{"properties":{"a":{"type":"number"}}}`), false, "not of it"},
		"more of a list":         {schema(`{"properties":{"a":{"enum":[1,2]}}}`), schema(`{"properties":{"a":{"enum":[1,2,3]}}}`), true, "more values"},
		"less of a list":         {schema(`{"properties":{"a":{"enum":[1,2]}}}`), schema(`{"properties":{"a":{"enum":[1]}}}`), false, "cannot be told"},
		"longer":                 {schema(`{"properties":{"a":{"maxLength":5}}}`), schema(`{"properties":{"a":{"maxLength":6}}}`), true, "more is taken"},
		"at least more":          {schema(`{"properties":{"a":{"minimum":5}}}`), schema(`{"properties":{"a":{"minimum":6}}}`), false, "cannot be told"},
		"a pattern":              {schema(`{"properties":{"a":{}}}`), schema(`{"properties":{"a":{"pattern":"x"}}}`), false, "may not fit it"},
		"required by the schema": {schema(`{"required":["a"]}`), schema(`{"required":["a","b"]}`), false, "may lack it"},
		"a property is left out": {schema(`{"properties":{"a":{}}}`), schema(`{"properties":{}}`), false, "left out"},
		"a first definition": {func(d *Definition) {
			d.Inferred, d.Declared, d.Required = true, false, nil
			d.Columns = append(d.Columns, column(t, "more", "DATE"))
		}, func(d *Definition) {
			d.Declared, d.Contract, d.Privacy.Hash = false, Contract{Evolve, Freeze}, paths("plan")
		}, true, ""},
		"a first one that closes": {func(d *Definition) { d.Inferred, d.Declared = true, false }, nil, false, "no columns are inferred"},
		"additional ones":         {schema(`{"additionalProperties":false}`), schema(`{}`), true, "are taken"},
		"no additional ones":      {schema(`{}`), schema(`{"additionalProperties":false}`), false, "may not fit it"},
	} {
		changes := Compare(base(c.before), base(c.after))
		additive, text := true, ""
		for _, ch := range changes {
			additive = additive && ch.Additive
			text += ch.Part + ": " + ch.What + " (" + ch.Why + ")\n"
			if ch.Additive != (ch.Why == "") {
				t.Errorf("%s: %+v", name, ch)
			}
		}
		if additive != c.additive || !strings.Contains(text, c.says) || (name == "nothing" || name == "a first definition") != (len(changes) == 0) {
			t.Errorf("%s: %v, %s", name, additive, text)
		}
	}
}

func TestNextName(t *testing.T) {
	taken := func(name arbalest.EventName) bool { return name == "a.v3" }
	for name, want := range map[arbalest.EventName]arbalest.EventName{
		"user.created": "user.created.v2", "user.created.v2": "user.created.v3", "user_created_v9": "user_created_v10", "a.v2": "a.v4", "verify": "verify.v2", "a-v1": "a-v2",
	} {
		if got := NextName(name, taken); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	long := arbalest.EventName(strings.Repeat("a", arbalest.MaxEventName))
	if got := NextName(long, taken); got.Validate() != nil {
		t.Error(got)
	}
}

func TestNamed(t *testing.T) {
	d := Definition{Event: "a", Columns: []Column{column(t, "x", "JSON"), column(t, "y", "DATE", "o", "y")}, Required: paths("r"), Schema: []byte(`{"properties":{"s":{"properties":{"t":{}}}}}`)}
	for path, want := range map[string]bool{"x": true, "x.any": true, "o.y": true, "o.z": false, "r": true, "s.t": true, "s.u": false, "z": false, "timestamp": true} {
		if got := d.Names(strings.Split(path, ".")); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := len(d.Named()); got != 4 {
		t.Errorf("%v", d.Named())
	}
}
