package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arbalest"
)

// files writes files into a new data directory.
func files(t *testing.T, of map[string]string) *place {
	t.Helper()
	dir := t.TempDir()
	for name, text := range of {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &place{dir: dir}
}

const wholeDefinition = `
events:
  user.created:
    table: users
    columns:
      - {name: email_address, type: VARCHAR(64)}
      - {path: address.city, type: VARCHAR(80), contract: discard_value}
      - {name: odd, path: [a, "b.c"], type: JSON}
    required: [email_address, address.city, [a, "b.c"]]
    schema:
      type: object
      properties:
        email_address: {type: string, format: email}
    contract: {columns: evolve, data_type: freeze}
    privacy:
      hash: [email_address, "items.*.email"]
      drop: [password]
      truncate:
        - {path: ip, to: ip}
        - {path: name, to: 3}
  user.verified:
    schema: verified.json
    contract: freeze
`

func TestDefinitionsInFiles(t *testing.T) {
	t.Setenv("ARBALEST_TEST_KEY", "0123456789abcdef")
	p := files(t, map[string]string{
		"arbalest.yaml":        "privacy: {key: \"${ARBALEST_TEST_KEY}\"}\ncontract: {tables: freeze}\nevents:\n  a.b:\n    columns: []\n",
		"events/users.yaml":    wholeDefinition,
		"events/verified.json": `{"properties":{"n":{"type":"integer"}}}`,
	})
	c, err := p.read()
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.definition("user.created")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Columns) != 3 || d.Columns[1].Mode != "discard_value" || strings.Join(d.Columns[2].Path, "|") != "a|b.c" || len(d.Required) != 3 || string(d.Contract.Columns) != "evolve" || string(d.Contract.DataType) != "freeze" ||
		len(d.Privacy.Hash) != 2 || len(d.Privacy.Hash[1]) != 3 || d.Privacy.Truncate[0].Characters != 0 || d.Privacy.Truncate[1].Characters != 3 || !strings.Contains(string(d.Schema), `"format": "email"`) {
		t.Errorf("%+v\n%s", d, d.Schema)
	}
	tables, err := c.tables()
	if err != nil || len(tables) != 2 || !tables[0].Declared || tables[1].Declared || !tables[1].Columns[0].Declared || tables[1].Name != "users" {
		t.Errorf("%+v, %v", tables, err)
	}
	door, err := c.door()
	if err != nil || !door.guarded {
		t.Fatal(err)
	}
	for name, want := range map[arbalest.EventName]string{"user.created": "required", "user.verified": "", "a.b": "", "who": "no definition"} {
		policy := door.policies(name)
		if policy == nil {
			if want != "" {
				t.Errorf("%s has no policy", name)
			}
			continue
		}
		refusal := policy.Admit(&arbalest.Event{Name: name, Properties: []byte("{}")}, false)
		if (refusal == nil) != (want == "") || refusal != nil && !strings.Contains(refusal.Reason, want) {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	if door.policies("a.b") != nil {
		t.Error("a.b has nothing to be checked")
	}
}

// TestNothingToDoIsNil holds that events cost nothing where none has anything to
// be done at the door.
func TestNothingToDoIsNil(t *testing.T) {
	c, err := files(t, map[string]string{"arbalest.yaml": "events:\n  a:\n    columns: [{name: x, type: DATE}]\n"}).read()
	if err != nil {
		t.Fatal(err)
	}
	if d, err := c.door(); err != nil || d.policies != nil || d.guarded {
		t.Errorf("%v, %v", d, err)
	}
}

func TestDefinitionsThatAreWrong(t *testing.T) {
	one := func(text string) map[string]string { return map[string]string{"events/e.yaml": text} }
	for name, c := range map[string]struct {
		files map[string]string
		says  []string
	}{
		"an unknown key":            {one("events:\n  a:\n    colums: []\n"), []string{"e.yaml", "[3:5]", "colums"}},
		"an unknown key in a map":   {one("events:\n  a:\n    contract: {colums: freeze}\n"), []string{"e.yaml", "[3:", "colums"}},
		"an unknown rule":           {one("events:\n  a:\n    privacy: {hide: [x]}\n"), []string{"e.yaml", "[3:", "hide"}},
		"an unknown key at its top": {one("event:\n  a: {}\n"), []string{"e.yaml", "[1:1]", "event"}},
		"defined twice":             {map[string]string{"arbalest.yaml": "events:\n  a: {required: [x]}\n", "events/e.yaml": "events:\n  b: {}\n  a: {required: [y]}\n"}, []string{"arbalest.yaml:2:", "e.yaml:3:", "twice"}},
		"a type":                    {one("events:\n  a:\n    columns:\n      - {name: x, type: DATE}\n      - {name: y, type: MONEY}\n"), []string{"e.yaml:5:", "MONEY"}},
		"a mode":                    {one("events:\n  a:\n    required: [x]\n    contract: stop\n"), []string{"e.yaml:4:", "discard_value"}},
		"no key":                    {one("events:\n  a:\n    privacy:\n      hash: [x]\n"), []string{"e.yaml:4:", "privacy.key"}},
		"no such schema":            {one("events:\n  a:\n    schema: none.json\n"), []string{"e.yaml:3:", "none.json"}},
		"a schema that is none":     {one("events:\n  a:\n    schema: {type: objekt}\n"), []string{"e.yaml:3:", "schema"}},
		"truncate to what":          {one("events:\n  a:\n    privacy:\n      truncate: [{path: x}]\n"), []string{"e.yaml:4:", "to what"}},
		"truncate to nothing":       {one("events:\n  a:\n    privacy:\n      truncate: [{path: x, to: 0}]\n"), []string{"e.yaml", "characters"}},
		"tables":                    {map[string]string{"arbalest.yaml": "contract: {tables: discard_value}\n"}, []string{"tables"}},
		"not yaml":                  {one("events: ["), []string{"e.yaml"}},
	} {
		_, err := files(t, c.files).read()
		if !errors.Is(err, arbalest.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, says := range c.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v\nwant %q", name, err, says)
			}
		}
	}
}

func TestTheKeyIsAskedForByCaptureOnly(t *testing.T) {
	c, err := files(t, map[string]string{"arbalest.yaml": "privacy: {key: \"${ARBALEST_TEST_NONE}\"}\nevents:\n  a: {privacy: {hash: [x]}}\n"}).read()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.door(); !errors.Is(err, arbalest.ErrInvalid) || !strings.Contains(err.Error(), "ARBALEST_TEST_NONE is not set") {
		t.Error(err)
	}
}
